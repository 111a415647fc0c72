"""How long a status takes while every service is jammed, beside the same status in quiet, in turn.

Each service, agents, control plane and admin UI, has 2,000 clients who connect and say nothing, and 200 who send a
request byte by byte and never end it, all with an observer's certificate where one is asked for. Whoever is sent away
connects anew, a few each second. `more` has what else is asked meanwhile, jammed and quiet: the least question of an
agent by the control plane, and whether the primary is one by a balancer.
"""

import contextlib
import resource
import selectors
import socket
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from aerodb.local.layout import Layout
from aerodb.transport.client import Client
from aerodb.transport.tls import client_context, tls_in
from benchmarks.clusters import Clusters, Ours, primary_of
from benchmarks.measured import Measured, say, spread

IDLE, SLOW = 2_000, 200
IDLE_QUICK, SLOW_QUICK = 200, 20
LOOKS = 40
"""How often each thing is asked: half of the quiet ones before the jam, and half of them after it."""
CONNECTING_AGAIN = 8
TRICKLE_SECONDS = 1.0
READY = "jammed\n"
_SENDS = b"POST /v1/requests HTTP/1.1\r\nHost: jam\r\nContent-Length: 60000\r\n\r\n"


class _Client:
    """One connection that is never used for anything."""

    def __init__(self, address: str, context: ssl.SSLContext | None, name: str, *, slow: bool) -> None:
        host, _, port = address.rpartition(":")
        self._where, self._context, self._name = (host.strip("[]"), int(port)), context, name
        self.slow = slow
        self.sent = 0
        self.socket: socket.socket | None = None

    def connect(self) -> None:
        """Connect, and shake hands where that is asked for; whoever is turned away has no connection."""
        self.sent = 0
        try:
            opened = socket.create_connection(self._where, 5)
            self.socket = self._context.wrap_socket(opened, server_hostname=self._name) if self._context else opened
            self.socket.setblocking(False)  # noqa: FBT003 - so it is called.
        except OSError:
            self.socket = None

    def trickle(self) -> None:
        """Send the next byte of a request that never ends."""
        if self.socket is not None:
            with contextlib.suppress(OSError):
                self.socket.send(_SENDS[self.sent : self.sent + 1] or b"x")
                self.sent += 1


def _jam(clients: list[_Client]) -> None:
    """Connect them all, and keep them connected, until the process is ended."""
    waiting = selectors.DefaultSelector()

    def connect(client: _Client) -> None:
        client.connect()
        if client.socket is not None:
            waiting.register(client.socket, selectors.EVENT_READ, client)

    for client in clients:
        connect(client)
    sys.stdout.write(READY)
    sys.stdout.flush()
    while True:
        began = time.monotonic()
        for key, _ in waiting.select(0):
            with contextlib.suppress(OSError):
                if key.fileobj.recv(4096):  # type: ignore[union-attr]
                    continue
            waiting.unregister(key.fileobj)
            key.data.socket.close()
            key.data.socket = None
        for client in [each for each in clients if each.socket is None][:CONNECTING_AGAIN]:
            connect(client)
        for client in clients:
            if client.slow:
                client.trickle()
        time.sleep(max(0.0, TRICKLE_SECONDS - (time.monotonic() - began)))


def main() -> None:
    """Jam a service: `python -m benchmarks.jammed_doors ADDRESS NAME PROFILE IDLE SLOW`; no profile is no TLS."""
    address, name, profile, idle, slow = sys.argv[1:]
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    context = client_context(tls_in(Path(profile))) if profile else None
    _jam([_Client(address, context, name, slow=at < int(slow)) for at in range(int(idle) + int(slow))])


class Jams:
    """What jams every service of a cluster, in processes of their own."""

    def __init__(self, layout: Layout, idle: int, slow: int) -> None:
        """Connect."""
        cluster = layout.cluster()
        profile = str(layout.profile("observer"))
        services = [(member.agent, member.name, profile) for member in cluster.members]
        services += [(cluster.control, "control", profile), (cluster.web, "web", "")]
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks.jammed_doors", *service, str(idle), str(slow)],
                stdout=subprocess.PIPE, text=True,
            )
            for service in services
        ]  # fmt: skip
        for process in self._processes:
            assert process.stdout is not None
            assert process.stdout.readline() == READY

    def end(self) -> None:
        """Let go of every connection."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()


def _milliseconds(call: Callable[[], object], count: int) -> list[float]:
    """Return how long each of several calls took; each has to be answered."""
    taken = list[float]()
    for _ in range(count):
        begun = time.perf_counter()
        call()
        taken.append(1000 * (time.perf_counter() - begun))
    return taken


def _asked(cluster: Ours) -> dict[str, Callable[[], object]]:
    """Return what is asked: by a person of the control plane, by a balancer, and of an agent by the control plane."""
    layout, configuration = cluster.layout, cluster.layout.cluster()
    agent = configuration.member(primary_of(cluster.instances))
    balancer = Client(agent.agent, tls_in(layout.monitor), agent.name, 30)
    control = Client(agent.agent, tls_in(layout.control), agent.name, 30)
    return {
        "status": lambda: cluster.operator.client.get("/v1/status"),
        "checkpoint": lambda: control.get("/v1/checkpoint"),
        "primary": lambda: balancer.get("/primary"),
    }


def measure(clusters: Clusters, *, quick: bool) -> Measured:
    """Measure quiet, jammed, and quiet again; every one of the calls has to be answered."""
    cluster = clusters.ours
    idle, slow = (IDLE_QUICK, SLOW_QUICK) if quick else (IDLE, SLOW)
    asked = _asked(cluster)
    for call in asked.values():
        call()
    jammed, quiet = ({name: list[float]() for name in asked} for _ in range(2))
    for name, call in asked.items():
        quiet[name] += _milliseconds(call, LOOKS // 2)
    jams = Jams(cluster.layout, idle, slow)
    try:
        for name, call in asked.items():
            jammed[name] += _milliseconds(call, LOOKS)
    finally:
        jams.end()
    for name, call in asked.items():
        quiet[name] += _milliseconds(call, LOOKS // 2)
    medians = {name: (statistics.median(jammed[name]), statistics.median(quiet[name])) for name in asked}
    for name, (ours, limit) in medians.items():
        say(
            f"  {name}: {ours:.1f} ms with {idle} idle and {slow} slow clients on each service, {limit:.1f} ms in quiet"
        )
    ours, limit = medians["status"]
    return Measured(
        unit="ms", ours=ours, limit=limit, ratio=ours / limit,
        more={
            "idle_and_slow_a_service": [idle, slow],
            **spread("ours_min_median_max", jammed["status"]), **spread("limit_min_median_max", quiet["status"]),
            **{f"{name}_jammed_and_quiet_ms": list(pair) for name, pair in medians.items() if name != "status"},
        },
    )  # fmt: skip


if __name__ == "__main__":
    main()
