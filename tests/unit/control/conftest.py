"""A cluster in memory, for what needs the whole control plane."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.neighbours.cluster import MemoryCluster
from tests.unit.neighbours.life import PEOPLE


@pytest.fixture
def room(tmp_path: Path) -> Iterator[MemoryCluster]:
    """Yield a cluster as it was founded."""
    made = MemoryCluster(tmp_path, PEOPLE)
    yield made
    made.close()
