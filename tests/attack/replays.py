"""Orders that come again, and a second control plane on a copy of the first one's folder."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from aerodb.audit.record import Record
from aerodb.errors import AeroError
from aerodb.protocol import canonical
from aerodb.protocol.ahead import AFTER
from aerodb.protocol.plan import Order, Trigger
from aerodb.transport.client import Client
from aerodb.transport.errors import Refused
from aerodb.transport.tls import tls_in
from tests.attack import evidence
from tests.attack.campaigns import Campaigns
from tests.attack.chronicle import Chronicle
from tests.attack.history import Call
from tests.attack.person import Person
from tests.attack.processes import Processes
from tests.faults.conftest import Running
from tests.faults.people import Api, Impostor, order_of, trigger_of

REPLAYED_MAX = 4
WAYS: tuple[tuple[str, Callable[[Api, str, int], Order | Trigger]], ...] = (
    ("/v1/orders", order_of), ("/v1/holds", order_of), ("/v1/holds/{}/trigger", trigger_of),
)  # fmt: skip
"""By which ways an order reaches a node: the first is that of one that comes after no other."""
READY_SECONDS_MAX = 20.0


class Replays:
    """One round's old orders, and its second control plane."""

    def __init__(self, running: Running, processes: Processes, chronicle: Chronicle) -> None:
        """Send nothing yet."""
        self._running, self._processes, self._chronicle = running, processes, chronicle
        self._folder: Path | None = None
        self._address = ""
        self._process: subprocess.Popen[bytes] | None = None
        self.calls: list[Call] = []

    def replay(self, lots: int) -> None:
        """Send genuine orders of confirmed requests again, to their own node; a held one by all of its ways."""
        sent = [call for call in self._chronicle.calls.values() if call.confirmed is not None and call.result]
        for call in sent[lots % 3 :: 3][-REPLAYED_MAX:]:
            for path, made in WAYS if AFTER in call.arguments else WAYS[:1]:
                self._send(call, path.format(call.request), made)

    def _send(self, call: Call, path: str, made: Callable[[Api, str, int], Order | Trigger]) -> None:
        """Send to a request's node, by one of its ways, what is made for what it has seen of the log."""
        api, impostor = Api(self._running.layout), Impostor(self._running.layout)
        self._chronicle.more()
        try:
            sent = made(api, call.request, impostor.seen(call.target))
            body = impostor.agent(call.target).post(path, canonical.encode(sent))
        except Refused as error:
            self._chronicle.say(f"replayed {call.request[:8]} ({call.action} {call.target}): {error.code}")
        except (AeroError, StopIteration, AssertionError) as error:
            self._chronicle.say(f"replayed {call.request[:8]}: {error!r}"[:300])
        else:
            self._keep(call, body)

    def _keep(self, call: Call, body: bytes) -> None:
        signed = json.loads(body)
        said = json.loads(signed["document"]).get("result", "a report")
        self._chronicle.say(f"replayed {call.request[:8]} ({call.action} {call.target}): signed {said}")
        with self._processes.courier_out.open("a", encoding="utf-8") as file:
            file.write(json.dumps([call.target, signed["document"], signed["signer"], signed["signature"]]) + "\n")

    def second_control(self, lots: int) -> None:
        """Run a second control plane, on a copy of the folder and at another address; ask something of it."""
        if self._folder is not None:
            return
        original = self._running.layout.control.resolve()
        self._folder = original.with_name("control-second")
        with suppress(shutil.Error, OSError):
            shutil.copytree(original, self._folder, dirs_exist_ok=True)
        ports = [int(member.agent.rpartition(":")[2]) for member in self._running.cluster.members]
        self._address = address = f"127.0.0.1:{max(ports) + 300}"
        self._chronicle.deed("control", "second", "started")
        self._process = self._processes.courier(self._folder, address, "plain")
        if self._answers(address):
            person = Person(self._running, self._chronicle, address)
            campaigns = Campaigns(self._running, person, self._processes, self._chronicle)
            for name in ("random", "maintenance"):
                campaigns.play(name, (lots, lots // 7, lots // 3, 30, 1, 1, 1, 1))

    def other_person(self) -> Person | None:
        """Return the operator at the second control plane, which is started again for it; None where there is none."""
        if self._folder is None:
            return None
        if self._process is None or self._process.poll() is not None:
            self._process = self._processes.courier(self._folder, self._address, "plain")
        return Person(self._running, self._chronicle, self._address) if self._answers(self._address) else None

    def _answers(self, address: str) -> bool:
        client = Client(address, tls_in(self._running.layout.profile("operator")), "control", 5)
        end = time.monotonic() + READY_SECONDS_MAX
        while time.monotonic() < end and self._process is not None and self._process.poll() is None:
            with suppress(AeroError):
                client.get("/v1/whoami")
                return True
            time.sleep(0.05)
        self._chronicle.say("the second control plane did not come up")
        return False

    def close(self) -> None:
        """End the second control plane."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def records(self) -> dict[str, list[Record]]:
        """Return what the second log holds beyond what it was copied with."""
        if self._folder is None:
            return {}
        with suppress(AeroError, OSError):
            return {"second": evidence.records_of(self._folder, self._running.cluster)}
        return {}
