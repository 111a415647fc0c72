"""What writes durably here writes where the unit tests do."""

from tests.unit.conftest import _no_certificates, tmp_path, tmp_path_factory

__all__ = ["_no_certificates", "tmp_path", "tmp_path_factory"]
