"""The clusters that are measured: AeroDB's, with its agents and control plane, and the same PostgreSQL without them.

Both are made by the same code, with the same settings, on the same disk; each is made when it is first needed.
"""

import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from aerodb.control.errors import SnapshotInconsistent
from aerodb.errors import AeroError
from aerodb.kernel.node import place_of, read_node
from aerodb.kernel.postgres import process
from aerodb.kernel.postgres.installation import Installation, find_installation
from aerodb.kernel.postgres.instance import Postgres
from aerodb.kernel.postgres.place import Place
from aerodb.kernel.postgres.session import PostgresSession
from aerodb.local.layout import Layout
from aerodb.local.making import make_cluster
from aerodb.local.size import Size
from aerodb.local.stage import Stage
from aerodb.protocol import canonical
from aerodb.protocol.ahead import Earlier, Later
from aerodb.protocol.api import Ask, Confirm, Done, Planned
from aerodb.protocol.sshsig import PrivateKey, sign_with_key
from aerodb.transport.client import Client, Kept
from aerodb.transport.problem import read_answer
from aerodb.transport.tls import tls_in
from benchmarks.measured import say

PORTS_FROM = 22_000
REASON = "a measurement"
SETTLED_SECONDS_MAX = 30.0


class Operator:
    """The operator, who reads nothing and confirms at once, through the HTTP API, over one connection.

    As a person would, they ask anew where the cluster changed while it was looked at; `asked_again` counts it.
    """

    def __init__(self, layout: Layout) -> None:
        """Read the profile."""
        profile = layout.profile("operator")
        key = load_ssh_private_key((profile / "id_ed25519").read_bytes(), None)
        assert isinstance(key, PrivateKey)
        self._key = key
        self.asked_again = 0
        self.client = Client(layout.cluster().control, tls_in(profile), "control", 120)
        self._kept = Kept(self.client)

    def ask(self, action: str, target: str, *, request: str = "", **arguments: str) -> Planned:
        """Return the recorded plan, which must be accepted; under the id `request`, if one is given."""
        ask = canonical.encode(Ask(action=action, target=target, arguments=arguments, reason=REASON))
        while True:
            try:
                answer = self._kept.post("/v1/requests", ask, 120, {"Idempotency-Key": request or str(uuid.uuid4())})
            except AeroError as error:
                if error.code != SnapshotInconsistent.code:
                    raise
                self.asked_again += 1
                continue
            planned = read_answer(answer, Planned)
            assert planned.accepted, planned.plan
            return planned

    def confirm(self, planned: Planned, result: str = "executed") -> Done:
        """Sign the plan, send the signature, and return the outcome, which must be `result`."""
        confirmation = Confirm(signature=sign_with_key(self._key, planned.plan.encode()))
        path = f"/v1/requests/{planned.request}/confirmation"
        done = read_answer(self._kept.post(path, canonical.encode(confirmation), 120), Done)
        assert done.result == result, done.message
        return done

    def act(self, action: str, target: str, **arguments: str) -> Done:
        """Ask, and confirm at once."""
        return self.confirm(self.ask(action, target, **arguments))


class Instances:
    """The PostgreSQL instances of one cluster, worked directly: no agent, no control plane."""

    def __init__(self, layout: Layout) -> None:
        """Find them; start nothing."""
        cluster = layout.cluster()
        self.installation: Installation = find_installation()
        self.names = cluster.data_nodes
        self.places: dict[str, Place] = {}
        self.postgres: dict[str, Postgres] = {}
        self.sessions: dict[str, PostgresSession] = {}
        for name in self.names:
            node = read_node(layout.node(name))
            postgres = node.postgres()
            assert postgres is not None
            self.places[name] = place_of(cluster, name, Path(node.file.home))
            self.postgres[name], self.sessions[name] = (
                postgres,
                PostgresSession(self.places[name], self.installation.major),
            )

    def start(self, primary: str) -> None:
        """Start them all."""
        for name in self.names:
            self.postgres[name].start(standby=name != primary)

    def streams(self, upstream: str, downstream: str) -> bool:
        """Tell whether `downstream` streams from `upstream`."""
        statement = (
            "select exists (select from pg_stat_replication where application_name = %(n)s and state = 'streaming') it"
        )
        return bool(self.sessions[upstream].run(statement, {"n": downstream})[0]["it"])

    def wait_for_stream(self, upstream: str, *downstream: str) -> None:
        """Return when all of `downstream` stream from `upstream`."""
        for name in downstream:
            there = process.wait_until(lambda one=name: self.streams(upstream, one), SETTLED_SECONDS_MAX)  # type: ignore[misc]
            assert there, f"{name} does not stream from {upstream}"

    def stop(self) -> None:
        """Stop those that run, a primary first."""
        running = [name for name in self.names if self.postgres[name].running]
        roles = {name: self.sessions[name].run("select pg_is_in_recovery() as it")[0]["it"] for name in running}
        for name in sorted(running, key=lambda name: bool(roles[name])):
            self.sessions[name].close()
            self.postgres[name].stop()


def roles_for_switchover(instances: Instances) -> tuple[str, str, str]:
    """Return the primary, who is to be the next, and the third node."""
    names, old = instances.names, primary_of(instances)
    new = names[(names.index(old) + 1) % len(names)]
    return old, new, next(name for name in names if name not in {old, new})


def primary_of(instances: Instances) -> str:
    """Return the node that takes writes now."""
    sessions = instances.sessions
    return next(name for name in sessions if not sessions[name].run("select pg_is_in_recovery() as it")[0]["it"])


class Ours:
    """A cluster with its agents and control plane."""

    def __init__(self, layout: Layout) -> None:
        """Start everything."""
        self.layout = layout
        self.stage = Stage(layout)
        self.stage.start()
        self.operator = Operator(layout)
        self.instances = Instances(layout)

    def switch_over(self, old: str, new: str, third: str) -> None:
        """Move the primary from `old` to `new`, `third` streaming from `new` beforehand."""
        act, instances = self.operator.act, self.instances
        act("follow", third, upstream=new)
        instances.wait_for_stream(new, third)
        instances.sessions[old].close()
        act("demote", old, **{"for": new})
        act("promote", new)

    def switch_over_ahead(self, old: str, new: str, third: str, reads_seconds: float) -> None:
        """Move the primary likewise, the promotion signed first, by somebody who reads a plan for `reads_seconds`."""
        operator, instances, first = self.operator, self.instances, str(uuid.uuid4())
        operator.act("follow", third, upstream=new)
        instances.wait_for_stream(new, third)
        instances.sessions[old].close()
        later = operator.ask("promote", new, after=str(Earlier(action="demote", target=old, request=first)))
        time.sleep(reads_seconds)
        operator.confirm(later, "held")
        then = str(Later(request=later.request, plan=later.digest))
        planned = operator.ask("demote", old, request=first, **{"for": new, "then": then})
        time.sleep(reads_seconds)
        done = operator.confirm(planned)
        assert isinstance(done.then, Done)
        assert done.then.result == "executed", done.then.message

    def rejoin(self, old: str, new: str, third: str) -> None:
        """Let the others follow the new primary."""
        self.instances.wait_for_stream(new, third)
        self.operator.act("follow", old, upstream=new)
        self.settle(new)
        self.operator.act("follow", third, upstream=new)

    def settle(self, primary: str) -> None:
        """Return when everyone streams from `primary`."""
        self.instances.wait_for_stream(primary, *(name for name in self.instances.names if name != primary))

    def stop_daemons(self) -> None:
        """End agents and control plane; PostgreSQL goes on."""
        everyone = ["control", *(member.name for member in self.stage.cluster.members)]
        for name in everyone:
            self.stage.process(name).terminate()
        for name in everyone:
            self.stage.process(name).wait()


class Bare:
    """The same cluster without agents and control plane."""

    def __init__(self, layout: Layout) -> None:
        """Start PostgreSQL."""
        self.layout = layout
        self.instances = Instances(layout)
        self.instances.start(layout.cluster().genesis)


class Clusters:
    """Every cluster that a run needs, in one temporary folder, which is removed at the end."""

    def __init__(self, root: Path, ending: ExitStack) -> None:
        """Make none yet."""
        self._root = root
        self._ending = ending
        self._ours: Ours | None = None
        self._bare: Bare | None = None

    def _made(self, name: str) -> Layout:
        layout = Layout(root=self._root / name)
        begun = time.monotonic()
        make_cluster(layout.root, Size().at_free_ports(PORTS_FROM))
        say(f"  cluster {name} made in {time.monotonic() - begun:.1f} s")
        return layout

    @property
    def ours(self) -> Ours:
        """Return AeroDB's cluster, running."""
        if self._ours is None:
            layout = self._made("ours")
            begun = time.monotonic()
            self._ours = Ours(layout)
            self._ending.callback(self._ours.stage.stop)
            say(f"  three nodes, their agents and the control plane up in {time.monotonic() - begun:.1f} s")
        return self._ours

    @property
    def bare(self) -> Bare:
        """Return the bare cluster, running."""
        if self._bare is None:
            self._bare = Bare(self._made("bare"))
            self._ending.callback(self._bare.instances.stop)
        return self._bare

    def folder(self, name: str) -> Path:
        """Return a new folder on the same disk."""
        folder = self._root / name
        folder.mkdir()
        return folder


@contextmanager
def clusters() -> Iterator[Clusters]:
    """Hold the clusters of one run; stop and remove them at its end."""
    root = Path(tempfile.mkdtemp(prefix="aerodb-bench-"))
    if os.geteuid() == 0:
        root.chmod(0o711)  # PostgreSQL's account must be able to go through.
    try:
        with ExitStack() as ending:
            yield Clusters(root, ending)
    finally:
        shutil.rmtree(root, ignore_errors=True)
