"""What the tests of the log's meaning share."""

import pytest

from tests.unit.audit.forging import Forged, genuine
from tests.unit.audit.seconding import Seconded, seconded
from tests.unit.audit.sequencing import sequenced


@pytest.fixture(scope="session")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Forged:
    """Return the content of a log in which everything holds."""
    return genuine(tmp_path_factory.mktemp("genuine"))


@pytest.fixture(scope="session")
def honest_second(tmp_path_factory: pytest.TempPathFactory) -> Seconded:
    """Return the content of a log with second persons, in which everything holds."""
    return seconded(tmp_path_factory.mktemp("seconded"))


@pytest.fixture(scope="session")
def honest_turn() -> Forged:
    """Return the content of a log with a promotion that was signed ahead, in which everything holds."""
    return sequenced()
