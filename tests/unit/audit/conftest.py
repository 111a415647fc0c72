"""What the tests of the log's meaning share."""

import pytest

from tests.unit.audit.forging import Forged, genuine


@pytest.fixture(scope="session")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Forged:
    """Return the content of a log in which everything holds."""
    return genuine(tmp_path_factory.mktemp("genuine"))
