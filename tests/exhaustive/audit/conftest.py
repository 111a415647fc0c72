"""What the forgeries are made in: logs in which everything holds."""

from tests.unit.audit.conftest import honest, honest_second, honest_turn

__all__ = ["honest", "honest_second", "honest_turn"]
