"""A control plane that carries orders as it likes. `python -m tests.attack.courier FOLDER ADDRESS MODE OUT`.

twice    every order is sent a second time, right behind the first
late     every order arrives after a while, and its answer is believed all the same
lost     every order is given up before it is sent, and arrives after a while
mangled  every order is sent with a broken proof, and then whole
unready  every order is sent without its reports, then with another's signature, then whole

So it is with an order that is to be held, with its withdrawal, and with what has it run in its turn. Twice also sends
again what it has seen of those before, and each order by the other of the two ways, to be run or to be held.

What the nodes sign in answer is appended to OUT, one line each. The log, its key and the confirmations are genuine.
"""

import json
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from aerodb.api.service import application
from aerodb.audit.store import Log
from aerodb.control.agents import Agents
from aerodb.control.plane import ControlPlane
from aerodb.errors import AeroError
from aerodb.protocol import canonical
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.plan import Order, Trigger
from aerodb.protocol.signed import Signed
from aerodb.transport.client import Client, Kept
from aerodb.transport.errors import Interrupted
from aerodb.transport.problem import read_answer
from aerodb.transport.server import Server, listen
from aerodb.transport.tls import tls_in

LATE_SECONDS = 2.0
RUN, HOLD = "/v1/orders", "/v1/holds"
OTHER_WAY = {HOLD: RUN}
PASSED_MAX = 4
BESIDE_SECONDS = 0.02
SECONDS_MAX = 90.0


class Courier(Agents):
    """The way to the agents, in hostile hands."""

    mode, out, folder = "plain", Path(), Path()
    passed: list[tuple[str, str, bytes]]
    """What was carried of held orders: to whom, by which way, and what."""

    def _note(self, node: str, signed: Signed) -> None:
        with self.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps([node, signed.document, signed.signer, signed.signature]) + "\n")

    def _send(self, node: str, order: Order) -> Signed | None:
        """Send an order over a connection of its own; return what was signed."""
        client = Client(self._cluster.member(node).agent, tls_in(self.folder), node, SECONDS_MAX)
        try:
            signed = read_answer(client.post("/v1/orders", canonical.encode(order)), Signed)
        except AeroError:
            return None
        self._note(node, signed)
        return signed

    def _later(self, node: str, order: Order) -> None:
        time.sleep(LATE_SECONDS)
        self._send(node, order)

    # Held orders ------------------------------------------------------------------------------------------------------

    def _post(self, node: str, path: str, body: bytes, after_seconds: float = 0) -> None:
        """Send anything to a node over a connection of its own, after a while; keep what is signed in answer."""
        time.sleep(after_seconds)
        client = Client(self._cluster.member(node).agent, tls_in(self.folder), node, SECONDS_MAX)
        with suppress(AeroError):
            self._note(node, read_answer(client.post(path, body), Signed))

    def _aside(self, node: str, path: str, body: bytes, after_seconds: float = 0) -> None:
        threading.Thread(target=self._post, args=(node, path, body, after_seconds), daemon=True).start()

    def _meddled(self, node: str, path: str, body: bytes) -> bytes:
        """Do as the mode says with what is on its way; return what is sent in its place."""
        if self.mode == "late":
            time.sleep(LATE_SECONDS)
        if self.mode == "lost":
            self._aside(node, path, body, LATE_SECONDS)
            raise Interrupted(f"{node} gave no answer", executed="unknown")
        if self.mode == "twice":
            for each in self.passed[-PASSED_MAX:]:
                self._aside(*each)
            self._aside(node, path, body, BESIDE_SECONDS)
            if path in OTHER_WAY:
                self._aside(node, OTHER_WAY[path], body, BESIDE_SECONDS)
        if self.mode in {"mangled", "unready"} and not path.endswith("/withdraw"):
            self._post(node, path, _broken(path, body, self.mode))
        self.passed.append((node, path, body))
        return body

    def _waited(self, node: str, kept: Kept, path: str, body: bytes) -> Signed:
        signed = super()._waited(node, kept, path, body if path == RUN else self._meddled(node, path, body))
        self._note(node, signed)
        return signed

    def withdraw(self, node: str, request: str) -> Signed:
        """Withdraw a held order, as the mode says."""
        self._meddled(node, f"/v1/holds/{request}/withdraw", b"{}")
        signed = super().withdraw(node, request)
        self._note(node, signed)
        return signed

    # Orders -----------------------------------------------------------------------------------------------------------

    def _run(self, node: str, kept: Kept, order: Order, *rest: object) -> Signed:
        if self.mode == "late":
            time.sleep(LATE_SECONDS)
        if self.mode == "lost":
            threading.Thread(target=self._later, args=(node, order), daemon=True).start()
            raise Interrupted(f"{node} gave no answer", executed="unknown")
        if self.mode == "mangled":
            self._send(node, replace(order, proof=order.proof[:-8]))
        if self.mode == "unready":
            self._send(node, replace(order, reports={}))
            self._send(node, replace(order, signature=order.signature.replace("A", "B", 1)))
        if self.mode == "twice":
            threading.Thread(target=self._send, args=(node, order), daemon=True).start()
            self._aside(node, HOLD, canonical.encode(order), BESIDE_SECONDS)
        return super()._run(node, kept, order, *rest)


def _broken(path: str, body: bytes, mode: str) -> bytes:
    """Return what is to be held, or has it run in its turn, as the mode breaks it: its proof, or what others report."""
    if path.endswith("/trigger"):
        turn = canonical.decode(body, Trigger)
        return canonical.encode(replace(turn, proof=turn.proof[:-8]) if mode == "mangled" else replace(turn, late={}))
    order = canonical.decode(body, Order)
    return canonical.encode(replace(order, proof=order.proof[:-8]) if mode == "mangled" else replace(order, reports={}))


def main(folder: Path, address: str, mode: str, out: Path) -> None:
    """Run until the end."""
    cluster = canonical.decode((folder / "cluster.json").read_bytes(), Cluster)
    key = serialization.load_pem_private_key((folder / "log.key").read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    Courier.mode, Courier.out, Courier.folder, Courier.passed = mode, out, folder, []
    bound = listen(address)
    plane = ControlPlane(cluster, tls_in(folder), Log(folder / "log", cluster.origin, key), Courier)
    Server(application(plane), tls_in(folder)).run_on(bound, threading.Event())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]))
