"""A real cluster, one a worker: PostgreSQL, agents, control plane, each a process of its own."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aerodb.kernel.node import read_node
from aerodb.local.layout import Layout
from aerodb.local.making import make_cluster
from aerodb.local.stage import Stage
from tests.faults.people import Api, Impostor

PORTS_FROM = int(os.environ.get("AERODB_TEST_PORTS", "12000"))  # Two runs on one machine can be kept apart.
PORTS_A_WORKER = 1_000


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test here; each runs real processes."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.faults)


@pytest.fixture(scope="session")
def ports_from() -> int:
    """Return where this worker's ports begin."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    return PORTS_FROM + PORTS_A_WORKER * int(worker)


class Running:
    """A cluster that runs."""

    def __init__(self, layout: Layout, stage: Stage) -> None:
        """Keep its parts."""
        self.layout, self.stage = layout, stage
        self.api, self.impostor = Api(layout), Impostor(layout)


def _begin(folder: Path, ports_from: int) -> Running:
    if os.geteuid() == 0:
        folder.chmod(0o711)  # PostgreSQL's account must be able to go through.
    make_cluster(folder / "cluster", 3, ports_from=ports_from)
    layout = Layout(root=folder / "cluster")
    stage = Stage(layout)
    running = Running(layout, stage)
    try:
        stage.start()
    except BaseException:
        _finish(running)
        raise
    return running


def _finish(running: Running) -> None:
    """Stop what still runs, whatever a test did to it."""
    running.stage.stop()
    for name in running.stage.cluster.data_nodes:
        node = read_node(running.layout.node(name))
        instance = node.postgres()
        if instance is not None and instance.running:
            instance.stop()


@pytest.fixture(scope="session")
def make_running(ports_from: int) -> Iterator[Callable[[], Running]]:
    """Return a maker of clusters; all are ended with the session."""
    folders: list[Path] = []
    made: list[Running] = []

    def make() -> Running:
        folder = Path(tempfile.mkdtemp(prefix="aerodb-faults-", dir="/var/tmp"))
        folders.append(folder)
        made.append(_begin(folder, ports_from))
        return made[-1]

    yield make
    for running in made:
        _finish(running)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def shared(make_running: Callable[[], Running]) -> Running:
    """Return a cluster for one module's tests, which leave it as it was."""
    return make_running()


@pytest.fixture
def fresh(make_running: Callable[[], Running]) -> Running:
    """Return a cluster of the test's own."""
    return make_running()
