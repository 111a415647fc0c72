"""The only place that wires parts together: the daemons' entry points. Each loads only what it runs."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import msgspec

from aerodb import __version__, private, tracing
from aerodb.logs import Form, configure, say

if TYPE_CHECKING:
    from aerodb.control.plane import ControlPlane  # Only annotated here: an agent loads no control plane.
    from aerodb.kernel.node import Node
    from aerodb.transport.passphrase import PassphraseAsked


class _Ending:
    """Which signal asked a daemon to end."""

    def __init__(self) -> None:
        self.number = 0
        self.asked = threading.Event()

    @property
    def name(self) -> str:
        """Return the signal's name."""
        return signal.Signals(self.number).name if self.number else "none"

    def catch(self, number: int, _: FrameType | None) -> None:
        """Note the signal; a second one ends the process at once, as SIGKILL does, whatever is under way."""
        if self.asked.is_set():
            os.kill(os.getpid(), signal.SIGKILL)
        self.number = number
        self.asked.set()

    def install(self) -> None:
        """Catch SIGINT and SIGTERM."""
        signal.signal(signal.SIGINT, self.catch)
        signal.signal(signal.SIGTERM, self.catch)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def gate(folder: Path) -> int:
    """Say whether PostgreSQL of the node in `folder` may be started by its host; 0 is yes."""
    from aerodb.kernel.gate import refused
    from aerodb.kernel.node import read_node

    node = read_node(folder)
    why = refused(node)
    _say(f"no: {why}" if why else f"yes: PostgreSQL of {node.name} may start")
    return 1 if why else 0


def agent(folder: Path, *, leave_down: bool, as_it_stands: bool, unit: str, log_format: Form) -> int:
    """Run the agent of the node in `folder` until a signal.

    SIGTERM ends the agent alone, and PostgreSQL goes on; SIGINT says that the host goes down, and stops PostgreSQL
    cleanly first. Either way no order is taken any more, and the operation under way ends and is answered first.
    Unless `leave_down`, PostgreSQL starts with it, as the node's configuration and standing allow; `as_it_stands` lets
    a primary start too. `unit` is the unit of the service manager that PostgreSQL is started in; empty: none. Where the
    node is only watched its agent has no hands, and PostgreSQL is left to its owner.
    """
    from aerodb.kernel.memory import have_one_arena
    from aerodb.kernel.node import read_node

    private.begin()
    have_one_arena()
    ending = _Ending()
    ending.install()
    node = read_node(folder)
    configure(log_format, node.name)
    say("started", version=__version__, cluster=node.cluster.name)
    tracing.configure("aerodb-agent", node.cluster.name, node.name)
    if node.watched is None:
        own = msgspec.structs.replace(node, unit=unit)
        _act(own, ending, leave_down=leave_down, as_it_stands=as_it_stands)
    else:
        _watch(node, ending)
    tracing.finish()
    return 0


def _act(node: "Node", ending: _Ending, *, leave_down: bool, as_it_stands: bool) -> None:
    """Run the agent of a node that AeroDB is in charge of, until a signal."""
    from aerodb.actions import catalogue
    from aerodb.kernel.agent import Agent
    from aerodb.kernel.events.observed import NodeObserved
    from aerodb.kernel.memory import give_back
    from aerodb.kernel.service import ALWAYS_ANSWERED, application, room_of
    from aerodb.transport.server import Server, listen

    one = Agent(node)
    bound = listen(node.member.agent)
    catalogue()  # Loaded now: the first order may come while writes stand still.
    observed = NodeObserved(one, node)
    observed.start(ending.asked)
    say("listening", address=node.member.agent)
    if not leave_down:
        one.starting = True
        threading.Thread(
            target=partial(one.start_with_host, as_it_stands=as_it_stands), name="start with the host"
        ).start()
    give_back()
    server = Server(application(one, observed), node.tls, ALWAYS_ANSWERED, room_of)
    server.run_on(bound, ending.asked, finish=one.end)
    say("ending", signal=ending.name)
    if ending.number == signal.SIGINT:
        one.stop_with_host()


def _watch(node: "Node", ending: _Ending) -> None:
    """Run the agent of a node that is only watched, until a signal; nothing that has hands is loaded."""
    from aerodb.kernel.events.observed import NodeObserved
    from aerodb.kernel.memory import give_back
    from aerodb.kernel.service import ALWAYS_ANSWERED, room_of, watching_application
    from aerodb.kernel.watching.agent import WatchingAgent
    from aerodb.transport.server import Server, listen

    one = WatchingAgent(node)
    bound = listen(node.member.agent)
    observed = NodeObserved(one, node)
    observed.start(ending.asked)
    say("listening", address=node.member.agent, watches=True)
    give_back()
    server = Server(watching_application(one, observed), node.tls, ALWAYS_ANSWERED, room_of)
    server.run_on(bound, ending.asked)
    say("ending", signal=ending.name)


@contextmanager
def _pages(plane: "ControlPlane", folder: Path, ending: _Ending) -> Iterator[None]:
    """Serve the admin UI in a thread of its own, where the configuration has one."""
    from aerodb.transport.server import PageServer, listen, listen_as_localhost
    from aerodb.transport.tls import pages_tls
    from aerodb.web.application import application
    from aerodb.web.site import WRITES

    if not plane.cluster.web:
        yield
        return
    host, _, port = plane.cluster.web.rpartition(":")
    local = plane.cluster.web_is_local and host in {"127.0.0.1", "localhost"}
    bound, *more = listen_as_localhost(int(port)) if local else (listen(plane.cluster.web),)
    server = PageServer(application(plane), pages_tls(folder, plane.cluster.web), looks=frozenset({WRITES}))
    thread = threading.Thread(target=server.run_on, args=(bound, ending.asked, *more), name="pages")
    thread.start()
    say("listening", address=plane.cluster.web, origin=plane.cluster.web_origin)
    try:
        yield
    finally:
        ending.asked.set()
        thread.join()


def serve(folder: Path, *, log_format: Form) -> int:
    """Run the control plane whose folder this is until SIGINT or SIGTERM."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from aerodb.api.service import application, rooms_of
    from aerodb.audit.store import Log
    from aerodb.control.cosigning import read_places
    from aerodb.control.errors import ControlFolderBroken
    from aerodb.control.plane import ControlPlane
    from aerodb.protocol.chain import read_founding
    from aerodb.transport.server import Server, listen
    from aerodb.transport.tls import tls_in

    private.begin()
    ending = _Ending()
    ending.install()
    try:
        cluster = read_founding((folder / "cluster.json").read_bytes())
        key = serialization.load_pem_private_key((folder / "log.key").read_bytes(), None)
    except (OSError, ValueError) as error:
        raise ControlFolderBroken(f"{folder} is not a control plane's folder: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ControlFolderBroken(f"{folder}/log.key is not an Ed25519 key")
    places = read_places(folder)
    configure(log_format, "control")
    say("started", version=__version__, cluster=cluster.name)
    tracing.configure("aerodb-control", cluster.name, "control")
    bound = listen(cluster.control)
    log = Log(folder / "log", cluster.origin, key, lambda done, total: say("log verified", done=done, total=total))
    try:
        say("listening", address=cluster.control, log_records=log.size)
        plane = ControlPlane(cluster, tls_in(folder), log, log_witnesses=places)
        left_over = plane.left_over()
        with _pages(plane, folder, ending):
            threading.Thread(target=plane.begin, args=(left_over,), name="begin", daemon=True).start()
            server = Server(application(plane), tls_in(folder), room_of=rooms_of(lambda: plane.cluster))
            server.run_on(bound, ending.asked)
        say("ending", signal=ending.name)
        plane.close()
    finally:
        log.close()
    tracing.finish()
    return 0


def make_log_witness(folder: Path, name: str) -> int:
    """Make a new log witness in `folder`, and say by which verifier key it is known."""
    from aerodb.logwitness.folder import make_witness

    private.begin()
    _say(make_witness(folder, name).signing.vkey)
    return 0


def add_watched_log(folder: Path, vkey: str) -> int:
    """Have the log witness in `folder` watch one more log."""
    from aerodb.logwitness.folder import add_log

    private.begin()
    add_log(folder, vkey)
    _say("the log is watched; nothing of it has been cosigned yet")
    return 0


def give_up_watched_log(folder: Path, seen: str, checkpoint: Path) -> int:
    """Have the log witness in `folder` give up what it cosigned, for a restored log."""
    from aerodb.logwitness.errors import LogUnsigned
    from aerodb.logwitness.folder import give_up
    from aerodb.protocol.marks import read_mark

    private.begin()
    try:
        text = checkpoint.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LogUnsigned(f"{checkpoint} cannot be read: {error}") from error
    kept = give_up(folder, read_mark(seen, "seen"), text)
    _say(f"given up: {seen}, which is kept in {kept}")
    return 0


def log_witness(folder: Path, address: str, *, log_format: Form) -> int:
    """Run the log witness whose folder this is until SIGINT or SIGTERM."""
    from aerodb.logwitness.folder import alone_in, read_witness
    from aerodb.logwitness.service import LOGS, application
    from aerodb.transport.server import PageServer, listen
    from aerodb.transport.tls import witness_tls

    private.begin()
    ending = _Ending()
    ending.install()
    with alone_in(folder):
        witness = read_witness(folder)
        memories = witness.memories()
        configure(log_format, witness.file.name)
        bound = listen(address)
        say("started", version=__version__, logs=sorted(memories), vkey=witness.signing.vkey)
        say("listening", address="{}:{}".format(*bound.getsockname()[:2]))
        PageServer(application(memories), witness_tls(folder), room=LOGS).run_on(bound, ending.asked)
        say("ending", signal=ending.name)
    return 0


def init(folder: Path, asked: dict[str, int], postgres: str, passphrase: "PassphraseAsked | None") -> int:
    """Make a new cluster in `folder`, of the size and the PostgreSQL that are asked for, and start nothing.

    `passphrase` asks a person for the one of the authority's key; None where there is nobody.
    """
    import msgspec

    from aerodb.local.making import make_cluster
    from aerodb.local.protecting import open_lines
    from aerodb.local.size import Size
    from aerodb.local.up import founding_lines

    size = msgspec.convert(asked, Size)
    cluster = make_cluster(folder, size, lambda step: _say(f"Making {step}"), postgres=postgres, passphrase=passphrase)
    _say(f"cluster {cluster.name} ({cluster.id}) made in {folder}")
    for line in [*founding_lines(cluster), *(open_lines(folder) if passphrase is None else [])]:
        _say(line)
    return 0


def on_keys(name: str, /, **arguments: Any) -> int:
    """Run a command that makes or replaces keys and certificates, by its name in `local.commands`."""
    from aerodb.local import commands

    private.begin()
    code: int = getattr(commands, name)(**arguments)
    return code


def up(folder: Path, asked: dict[str, int], postgres: str) -> int:
    """Make or reopen the cluster in `folder`, of the size and PostgreSQL asked for, and run it until Ctrl-C."""
    from aerodb.local.up import up as run

    return run(folder, asked, postgres)


def demo(folder: Path | None, postgres: str) -> int:
    """Show a planned switchover and back, a rejection, and a failover, on a cluster in `folder` (None: temporary)."""
    from aerodb.local.demo import demo as run

    return run(folder, postgres)
