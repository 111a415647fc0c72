"""A control plane that dies, as by SIGKILL, when it comes to a point the N-th time. `python -m ... FOLDER POINT N`."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aerodb.api.service import application
from aerodb.audit.record import Record
from aerodb.audit.store import Log
from aerodb.audit.store.database import DatabaseRow
from aerodb.control.agents import Agents, Rules
from aerodb.control.plane import ControlPlane
from aerodb.errors import AeroError
from aerodb.past.speaking import SPOKEN
from aerodb.protocol import canonical
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import Report
from aerodb.protocol.plan import Order, Trigger
from aerodb.protocol.signed import Signed
from aerodb.transport.client import Kept
from aerodb.transport.server import Server, listen
from aerodb.transport.tls import tls_in

POINT, LEFT, LOCK = sys.argv[2], [int(sys.argv[3])], threading.Lock()


def come_to(point: str) -> None:
    """Die here, if it is time."""
    with LOCK:
        if point == POINT:
            LEFT[0] -= 1
            if LEFT[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)


class DyingLog(Log):
    """The real log."""

    def append(self, record: Record, blobs: Mapping[str, bytes] | None = None) -> int:
        """Append for real."""
        come_to("before append")
        sequence = super().append(record, blobs)
        come_to("after append")
        return sequence

    def _read_back(self, row: DatabaseRow, checkpoint: str) -> None:
        come_to("before read back")
        super()._read_back(row, checkpoint)


class DyingAgents(Agents):
    """The real way to the agents."""

    def _report(self, node: str, kept: Kept, nonce: str, rules: Rules) -> Signed:
        come_to("before report")
        return super()._report(node, kept, nonce, rules)

    def _seen(self, node: str, kept: Kept, within: int | None) -> int:
        come_to("before report")
        return super()._seen(node, kept, within)

    def _run(self, node: str, kept: Kept, order: Order) -> Signed:
        come_to("before run")
        if POINT == "sent":
            entries = self._entries(node)
            threading.Thread(target=super()._run, args=(node, kept, order), daemon=True).start()
            with suppress(AeroError):  # The agent may die of the very order.
                while self._entries(node) == entries:
                    time.sleep(0.001)
            come_to("sent")
        signed = super()._run(node, kept, order)
        come_to("after run")
        return signed

    def hold(self, node: str, made_for: Callable[[int], Order]) -> Signed:
        """Have an order held for real."""
        signed = super().hold(node, made_for)
        come_to("after hold")
        return signed

    def trigger(self, node: str, request: str, made_for: Callable[[int], Trigger], seen: int | None = None) -> Signed:
        """Have a held order run for real."""
        come_to("before trigger")
        return super().trigger(node, request, made_for, seen)

    def _entries(self, node: str) -> int:
        """Return how many requests the node's journal knows."""
        with self._kept(node) as kept:
            signed = super()._report(node, kept, "00000000-0000-0000-0000-000000000000", SPOKEN)
        return canonical.decode(signed.document.encode(), Report).facts.entries


folder = Path(sys.argv[1])
cluster = canonical.decode((folder / "cluster.json").read_bytes(), Cluster)
key = serialization.load_pem_private_key((folder / "log.key").read_bytes(), None)
assert isinstance(key, Ed25519PrivateKey)
bound = listen(cluster.control)
plane = ControlPlane(cluster, tls_in(folder), DyingLog(folder / "log", cluster.origin, key), DyingAgents)
Server(application(plane), tls_in(folder)).run_on(bound, threading.Event())
