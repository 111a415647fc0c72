"""An operator: asks, reads the claim, confirms, asks for outcomes. One request is asked once."""

import time
from contextlib import suppress

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key
from msgspec.structs import replace

from aerodb.audit.tree import EMPTY_ROOT
from aerodb.control.errors import SnapshotInconsistent
from aerodb.errors import AeroError
from aerodb.protocol import canonical
from aerodb.protocol.api import Ask, Cell, Confirm, Done, GapFound, Planned, RequestLine, Status
from aerodb.protocol.holdings import open_holdings
from aerodb.protocol.marks import mark_of, stated_mark
from aerodb.protocol.plan import plan_in
from aerodb.protocol.sshsig import sign_with_key
from aerodb.transport.client import Client
from aerodb.transport.tls import tls_in
from tests.attack.chronicle import Chronicle
from tests.attack.history import Call
from tests.faults.conftest import Running
from tests.faults.people import REASON, new_id

ASKED_MAX = 8
NOTHING = mark_of(0, EMPTY_ROOT)
ANSWER_SECONDS_MAX = 75.0
LOOK_SECONDS_MAX = 45.0


class Person:
    """An operator at the control plane at `address` (the cluster's own, unless another is given)."""

    def __init__(self, running: Running, chronicle: Chronicle, address: str = "", name: str = "operator") -> None:
        """Call as the operator called `name`."""
        self._running, self._chronicle = running, chronicle
        profile = running.layout.profile(name)
        where, tls = address or running.cluster.control, tls_in(profile)
        self._client = Client(where, tls, "control", ANSWER_SECONDS_MAX)
        self._looker = Client(where, tls, "control", LOOK_SECONDS_MAX)
        key = load_ssh_private_key((profile / "id_ed25519").read_bytes(), None)
        assert isinstance(key, Ed25519PrivateKey)
        self._key = key
        self.plans: dict[str, str] = {}

    def ask(self, action: str, target: str, *, under: str = "", **arguments: str) -> Call | None:
        """Ask for an action, under the id `under` if it is given; return what its plan says, or None: there is none."""
        named = {name.rstrip("_"): value for name, value in arguments.items()}
        body = canonical.encode(Ask(action=action, target=target, arguments=named, reason=REASON))
        for _ in range(ASKED_MAX):
            request, asked = under or new_id(), time.time()
            self._chronicle.more()
            try:
                answer = self._looker.post("/v1/requests", body, {"Idempotency-Key": request})
            except AeroError as error:
                if error.code == SnapshotInconsistent.code:
                    continue
                self._chronicle.say(f"{action} {target} {named}: refused, {error.code}: {error.message[:300]}")
                return None
            return self._planned(canonical.decode(answer, Planned), action, target, named, asked)
        self._chronicle.say(f"{action} {target} {named}: the snapshot was never consistent")
        return None

    def _planned(self, planned: Planned, action: str, target: str, named: dict[str, str], asked: float) -> Call:
        plan = plan_in(planned.plan)
        call = Call(
            request=planned.request, action=action, target=target, arguments=named, term=plan.term,
            claim=plan.loss.claim, statement=plan.loss.statement, accepted=planned.accepted, asked=asked,
        )  # fmt: skip
        self.plans[call.request] = planned.plan
        self._chronicle.call(call)
        if not call.accepted:
            failed = [f"{each.invariant}: {each.evidence}" for each in plan.verdicts if each.result != "holds"]
            self._chronicle.say("    " + " | ".join(failed)[:1200])
        return call

    def confirm(self, call: Call) -> Call:
        """Sign the plan, send the confirmation, and return what became of it as this person was told."""
        signature = sign_with_key(self._key, self.plans[call.request].encode())
        sent = replace(call, confirmed=time.time())
        self._chronicle.call(sent)
        body = canonical.encode(Confirm(signature=signature))
        then: Done | None = None
        try:
            answer = self._client.post(f"/v1/requests/{call.request}/confirmation", body)
            done = canonical.decode(answer, Done)
            then = done.then or None
            told = replace(sent, answered=time.time(), result=done.result, code=done.code)
            said = done.message
        except AeroError as error:
            told = replace(sent, answered=time.time(), result=error.executed, code=error.code)
            said = error.message
        self._chronicle.call(told)
        if then is not None:
            later = replace(
                self._chronicle.calls[then.request], answered=time.time(), result=then.result, code=then.code
            )
            self._chronicle.call(later)
        if told.result != "executed":
            self._chronicle.say(f"    {said[:600]}")
        return told

    def do(self, action: str, target: str, *, claims: tuple[str, ...] = ("none",), **arguments: str) -> Call | None:
        """Ask, and confirm what is accepted with one of the `claims`."""
        call = self.ask(action, target, **arguments)
        if call is None or not call.accepted or call.claim not in claims:
            return call
        return self.confirm(call)

    def decline(self, request: str) -> None:
        """Let a plan, or an order that is held, go."""
        self._chronicle.more()
        try:
            line = canonical.decode(self._looker.post(f"/v1/requests/{request}/decline", b"{}"), RequestLine)
        except AeroError as error:
            self._chronicle.say(f"{request[:8]} declined: {error.code}: {error.message[:200]}")
        else:
            self._chronicle.say(f"{request[:8]} declined: {line.state}")

    def outcome(self, request: str) -> str:
        """Ask what became of a request; return the result, or the code of the refusal."""
        self._chronicle.more()
        try:
            done = canonical.decode(self._looker.post(f"/v1/requests/{request}/outcome", b"{}"), Done)
        except AeroError as error:
            self._chronicle.say(f"{request[:8]} outcome: {error.code}: {error.message[:200]}")
            return error.code
        self._chronicle.say(f"{request[:8]} outcome: {done.result} {done.message[:200]}")
        return done.result

    def gaps(self) -> dict[str, dict[str, str]]:
        """Return, of each node that saw more of the log, or another, how a person names what it gives up."""
        found = dict[str, dict[str, str]]()
        with suppress(AeroError, msgspec.ValidationError):
            shown = canonical.decode(self._looker.get("/v1/audit/gap"), GapFound)
            for name, signed in shown.holdings.items():
                seen = open_holdings(self._running.cluster, name, signed, shown.nonce).checkpoints
                kept = shown.kept[name]
                if seen and kept != 0:
                    restored = stated_mark(seen[kept]) if kept is not None else NOTHING
                    found[name] = {"seen": str(stated_mark(seen[0])), "restored": str(restored)}
        return found

    def status(self) -> Status | None:
        """Look; None where there is nothing to see."""
        with suppress(AeroError, msgspec.ValidationError):
            return canonical.decode(self._looker.get("/v1/status"), Status)
        return None

    def cells(self) -> list[Cell]:
        """Return every action's answer now."""
        status = self.status()
        return list(status.matrix) if status else []
