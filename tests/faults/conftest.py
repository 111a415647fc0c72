"""A real cluster: PostgreSQL, agents, control plane, each a process of its own.

A worker makes one cluster, once, and every test starts from a copy of it, at the same path and on the same ports: so
one runs at a time. The copies live in memory where there is room: what a killed process has written stays all the
same, and nothing here pulls a plug.
"""

import inspect
import os
import select
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from aerodb.kernel.postgres.installation import find_installation
from aerodb.kernel.postgres.naming import programs_named
from aerodb.local.layout import Layout
from aerodb.local.making import make_cluster
from aerodb.local.size import Size
from aerodb.local.stage import READY_SECONDS_MAX, Stage
from aerodb.protocol import canonical
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import Facts, structural
from tests.conftest import PLAYED_ON
from tests.faults.people import Api, Impostor
from tests.faults.waiting import wait_until
from tests.postgresqls import oldest_other

PORTS_FROM = int(os.environ.get("AERODB_TEST_PORTS", "12000"))  # Two runs on one machine can be kept apart.
PORTS_A_WORKER = 1_000
POSTGRES = os.environ.get("AERODB_TEST_POSTGRES", "")  # Of which PostgreSQL all clusters are; empty: AeroDB's own.
NO_OTHER = "no PostgreSQL beside AeroDB's own"
MEMORY = Path("/dev/shm")  # noqa: S108 - each worker makes a folder of its own in it, by mkdtemp.
ROOM_BYTES = 2 << 30


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test here: each runs real processes. In a module those that share a cluster come first, as written.

    A worker has one cluster at a time, so a test that needs one of its own ends the shared one. What shares one shares
    its past too: it runs on one worker and in one order, so that what is found today is found again tomorrow.
    """
    order: dict[Path, int] = {}
    for item in items:
        order.setdefault(item.path, len(order))
        if Path(__file__).parent not in item.path.parents:
            continue
        item.add_marker(pytest.mark.faults)
        if "ground" in getattr(item, "fixturenames", ()) and not _has_its_own(item):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
    items.sort(key=lambda item: (order[item.path], *_place(item)))


def _place(item: pytest.Item) -> tuple[bool, int, str]:
    """Return where a test stands among its module's: one of real processes in a place of its own, others wherever."""
    if Path(__file__).parent not in item.path.parents:
        return False, 0, ""
    return _has_its_own(item), item.location[1] or 0, item.name


def _has_its_own(item: pytest.Item) -> bool:
    """Tell whether a test begins a cluster of its own: by the fixture for that, or on the ground itself."""
    asked = inspect.signature(item.function).parameters if isinstance(item, pytest.Function) else {}
    return "fresh" in getattr(item, "fixturenames", ()) or "ground" in asked


@pytest.fixture(scope="session")
def ports_from() -> int:
    """Return where this worker's ports begin."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    return PORTS_FROM + PORTS_A_WORKER * int(worker)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Play what is marked on the oldest PostgreSQL that is here as well, unless one was named for all.

    Where there is no other, what would be played on it fails: nothing passes by in silence.
    """
    if metafunc.definition.get_closest_marker("older_too") and not POSTGRES:
        other = oldest_other()
        second = {other.version: str(other.bin)} if other is not None else {NO_OTHER: NO_OTHER}
        each = {find_installation().version: POSTGRES, **second}
        metafunc.parametrize("ground", each.values(), ids=each, indirect=True, scope="module")


class Running:
    """A cluster that runs."""

    def __init__(self, layout: Layout) -> None:
        """Take the cluster in a folder; nothing is started yet."""
        self.layout, self.stage = layout, Stage(layout)
        self.cluster = self.stage.cluster
        self.api, self.impostor = Api(layout), Impostor(layout)

    def settled(self) -> bool:
        """Tell whether every standby streams from n1, as it was made, and nothing changes between two reads."""
        once, again = ({node: self._structure(node) for node in self.cluster.data_nodes} for _ in range(2))
        first = again["n1"].instance
        states = [sender.state for sender in first.senders] if first is not None else []
        return once == again and states == ["streaming"] * (len(again) - 1)

    def _structure(self, node: str) -> Facts:
        return structural(self.impostor.facts(node))

    def restart_control(self) -> None:
        """Kill the control plane, if it lives, and start it anew."""
        self.stage.kill("control")
        self.stage.start_control()
        self.stage.wait_for("control")

    def kill_all(self) -> None:
        """Kill every agent and the control plane; PostgreSQL goes on."""
        for name in self.stage._processes:
            self.stage.kill(name)

    def home(self, node: str) -> Path:
        """Return the home of a node's PostgreSQL."""
        return self.layout.node(node) / "postgres"

    def postmaster(self, node: str) -> int:
        """Return the process id that a node's data folder names."""
        return int((self.home(node) / "data" / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0])


class Ground:
    """One worker's folder: the cluster that was made once of each PostgreSQL, and the copy that runs."""

    def __init__(self, folder: Path, ports_from: int) -> None:
        """Make nothing yet."""
        if os.geteuid() == 0:
            folder.chmod(0o711)  # PostgreSQL's account must be able to go through.
        self._folder, self._cluster, self._ports_from = folder, folder / "cluster", ports_from
        self._templates: dict[str, Path] = {}
        self._template, self.version = folder, ""
        self._running: Running | None = None

    def of(self, postgres: str) -> "Ground":
        """Have all that begins from now on be of this PostgreSQL: make the cluster that it is a copy of, once."""
        self.end()
        if postgres not in self._templates:
            made = self._folder / f"template-{len(self._templates)}"
            make_cluster(self._cluster, Size().at_free_ports(self._ports_from), postgres=postgres)
            self._templates[postgres] = self._cluster.rename(made)
        self._template = self._templates[postgres]
        self.version = find_installation(programs_named(postgres)).version
        return self

    def begin(self, change: Callable[[Cluster], Cluster] | None = None) -> Running:
        """Start a copy, under a configuration that is changed everywhere alike; what ran before is ended."""
        self.end()
        subprocess.run(["cp", "-a", "--sparse=always", self._template, self._cluster], check=True)
        layout = Layout(root=self._cluster)
        if change is not None:
            text = canonical.encode(change(layout.cluster()))
            for path in self._cluster.rglob("cluster.json"):
                path.write_bytes(text)
        self._running = Running(layout)
        troubles = self._running.stage.start_what_starts(threading.Event(), READY_SECONDS_MAX)
        assert set(troubles) <= {"status"}, troubles  # Whose operator may not look is told no more.
        wait_until(self._running.settled)
        return self._running

    def end(self) -> None:
        """End every process that is left, whatever a test did to it, and remove the copy."""
        running, self._running = self._running, None
        if running is not None:
            running.kill_all()
            for node in running.cluster.data_nodes:
                _end_postgres(running, node)
        shutil.rmtree(self._cluster, ignore_errors=True)


def _end_postgres(running: Running, node: str) -> None:
    """Shut a node's PostgreSQL down at once, without a word to its agent; it still lets go of its shared memory."""
    with suppress(OSError, ValueError, IndexError):
        pid = running.postmaster(node)
        watched = os.pidfd_open(pid)
        os.kill(pid, signal.SIGCONT)
        os.kill(pid, signal.SIGQUIT)
        select.select([watched], [], [], 20)
        os.close(watched)


def _folder_above() -> Path:
    """Return where clusters are made: in memory, where there is room for them."""
    try:
        roomy = shutil.disk_usage(MEMORY).free >= ROOM_BYTES and os.access(MEMORY, os.W_OK | os.X_OK)
    except OSError:
        roomy = False
    return MEMORY if roomy else Path("/var/tmp")  # noqa: S108 - the same.


@pytest.fixture(scope="session")
def one_ground(ports_from: int) -> Iterator[Ground]:
    """Return this worker's ground, of no PostgreSQL yet."""
    folder = Path(tempfile.mkdtemp(prefix="aerodb-faults-", dir=_folder_above()))
    made: Ground | None = None
    try:
        made = Ground(folder, ports_from)
        yield made
    finally:
        if made is not None:
            made.end()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def ground(request: pytest.FixtureRequest, one_ground: Ground) -> Ground:
    """Return this worker's ground, of the PostgreSQL that the test is played on."""
    postgres: str = getattr(request, "param", POSTGRES)
    if postgres == NO_OTHER:
        pytest.fail(f"there is {NO_OTHER}: `make second` installs one, for tests alone")
    return one_ground.of(postgres)


@pytest.fixture(autouse=True)
def _played_on(request: pytest.FixtureRequest, record_property: Callable[[str, str], None]) -> None:
    """Record of which version a test's cluster is: the summary says it."""
    if "ground" in request.fixturenames:
        record_property(PLAYED_ON, request.getfixturevalue("ground").version)


@pytest.fixture(scope="module")
def shared(ground: Ground) -> Iterator[Running]:
    """Return a cluster for one module's tests, which leave it as it was."""
    yield ground.begin()
    ground.end()


@pytest.fixture
def fresh(ground: Ground) -> Iterator[Running]:
    """Return a cluster of the test's own."""
    yield ground.begin()
    ground.end()
