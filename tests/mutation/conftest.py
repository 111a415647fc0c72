"""What the mutants of the audit's checks are tried on."""

from tests.unit.audit.conftest import honest, honest_second, honest_turn

__all__ = ["honest", "honest_second", "honest_turn"]
