"""The PostgreSQL in memory stands in for all of the real one."""

import pytest

from aerodb.kernel.postgres.folders import DataFolders
from aerodb.kernel.postgres.instance import Postgres
from aerodb.kernel.postgres.replicating import Replicating
from tests.unit.neighbours.postgres import MemoryData, MemoryPostgres, MemoryReplication


@pytest.mark.parametrize(
    ("real", "memory"), [(Postgres, MemoryPostgres), (Replicating, MemoryReplication), (DataFolders, MemoryData)]
)
def test_nothing_of_the_real_one_is_left(real: type, memory: type) -> None:
    """Whatever the agent can call is answered in memory: a new method is not forgotten, and starts nothing."""
    public = {name for name in vars(real) if not name.startswith("_")}
    assert public
    assert public <= set(vars(memory))
