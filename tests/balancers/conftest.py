"""The real HAProxy and PgBouncer, in front of a real cluster or of agents that a test plays itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.balancers.programs import Balancer, Pool, running_balancer, running_pool
from tests.faults.conftest import PORTS_A_WORKER, PORTS_FROM, Running, fresh, ground, one_ground, shared
from tests.faults.conftest import ports_from as ports_of_worker

__all__ = ["PORTS_A_WORKER", "PORTS_FROM", "fresh", "ground", "one_ground", "ports_of_worker", "shared"]


@pytest.fixture(scope="session")
def ports_from(ports_of_worker: int) -> int:
    """Return where this folder's ports begin: beyond those of the other real clusters of this worker."""
    return ports_of_worker + 600


@pytest.fixture
def balancer(fresh: Running, ports_from: int, tmp_path: Path) -> Iterator[Balancer]:
    """Yield HAProxy, as the cluster's own folder configures it."""
    with running_balancer(fresh.layout.balancer, ports_from + 100, tmp_path / "haproxy.log") as running:
        yield running


@pytest.fixture
def pool(fresh: Running, balancer: Balancer, ports_from: int) -> Iterator[Pool]:
    """Yield PgBouncer in front of it, as the cluster's own folder configures it."""
    with running_pool(fresh.layout, balancer, ports_from + 110) as running:
        yield running
