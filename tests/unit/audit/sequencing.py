"""Logs that lie of a promotion that was signed ahead of a demotion: what must have come between the two is not there.

Each is signed by the log's key. Where a forgery needs a node's word, that node lies, and signs it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from aerodb.actions import action_named
from aerodb.audit import findings as part
from aerodb.audit.note import Signer
from aerodb.audit.record import Record, RecordOne, TurnRecord
from aerodb.protocol import canonical
from aerodb.protocol.ahead import AFTER, THEN, Earlier, Held, Later
from aerodb.protocol.authority import Candidacy
from aerodb.protocol.cluster import Cluster, Operator, Role
from aerodb.protocol.plan import Outcome, Plan, Request, Result, Snapshot, Verdict, late_nonce, plan_digest, plan_in
from aerodb.protocol.signed import Signed, sign
from aerodb.protocol.sshkey import of_public
from aerodb.protocol.sshsig import sign_with_key
from aerodb.rules.explain import explain, failed
from aerodb.rules.late import digests
from tests.unit.audit.forging import OTHER_ID, STRANGER, Forged, Forgery
from tests.unit.rules.scenes import KEYS, Scene, cluster_of, demoted, healthy, pledged, reports_of, with_instance

AHEAD, AHEAD_CONFIRMED, BEFORE, BEFORE_CONFIRMED, BEFORE_OUTCOME, TURN, AHEAD_OUTCOME = range(7)
"""The records of a promotion that was signed ahead, of the demotion before it, and of the promotion again."""
DROPPED, DROPPED_OUTCOME, HELD, END = 7, 9, 10, 12
"""Another was dropped by its node, and of one nothing came, so far."""
LOG_KEY, ADA = (Ed25519PrivateKey.from_private_bytes(name.ljust(32, b"\0")) for name in (b"the log", b"ada"))
PROMOTION, DEMOTION, LATER_ONE, LAST_ONE = (f"{at}0000000-0000-4000-8000-000000000000" for at in range(1, 5))
EARLIER = Earlier(action="demote", target="n1", request=DEMOTION)


def configured() -> Cluster:
    """Return the cluster: its log has a key, and its one operator too."""
    cluster = cluster_of()
    ada = Operator(name="ada", role=Role.OPERATOR, ssh_key=of_public(ADA.public_key()).line)
    return replace(cluster, operators=(ada,), log_key=Signer(cluster.origin, LOG_KEY).verifier_key)


class _Writer:
    """Writes a log's records as a control plane does, by the keys of everybody."""

    def __init__(self) -> None:
        self.log = Forged(configured(), LOG_KEY, dict(KEYS), ADA, [])

    def ask(self, request: Request, scene: Scene) -> Plan:
        """Record a request and its plan, made on what the nodes report in a scene; it must be accepted."""
        cluster = self.log.cluster
        reports = reports_of(scene, cluster, request.id)
        snapshot = Snapshot(cluster=cluster.id, nonce=request.id, reports=reports, missing={})
        plan = explain(cluster, action_named(request.action), request, snapshot)
        assert plan.accepted, failed(plan.verdicts)
        digest, kept = self.log.store(canonical.encode(plan)), self.log.store(canonical.encode(snapshot))
        self._write(request, "requested", plan=digest, snapshot=kept)
        return plan

    def confirm(self, plan: Plan) -> None:
        """Record the operator's confirmation of a plan."""
        text = canonical.encode(plan)
        self._write(
            plan.request, "confirmed", plan=canonical.digest(text), snapshot=plan.snapshot,
            signature=sign_with_key(ADA, text),
        )  # fmt: skip

    def end(self, plan: Plan, scene: Scene | None = None, **changes: Any) -> None:
        """Record what the target signs of a plan, and what was said in a scene once the last record was there."""
        reports = self.reported(scene, len(self.log.records) - 1) if scene is not None else {}
        said = {
            "epoch": 1, "result": "executed", "established": False, "code": "", "message": "", "evidence": (),
            "late": digests(reports), **changes,
        }  # fmt: skip
        digest, target = plan_digest(canonical.encode(plan).decode()), plan.request.target
        outcome = Outcome(cluster=self.log.cluster.id, node=target, request=plan.request.id, plan=digest, **said)
        late = self.late_of(reports, len(self.log.records) - 1) if reports else ""
        self._write(
            plan.request, "outcome", plan=digest, result=outcome.result, code=outcome.code, message=outcome.message,
            late=late, outcome=sign(outcome, target, KEYS[target]),
        )  # fmt: skip

    def turn(self, plan: Plan, outcome: Signed | None) -> None:
        """Record that the turn of a plan has come, by an outcome of the one before it."""
        one = self._record(plan.request, "requested", plan=plan_digest(canonical.encode(plan).decode()))
        self.log.records.append(as_turn(one, outcome))

    def reported(self, scene: Scene, at: int) -> dict[str, Signed]:
        """Return what everybody says once a record is there."""
        return reports_of(scene, self.log.cluster, late_nonce(self.log.text(at)))

    def late_of(self, reports: Mapping[str, Signed], at: int) -> str:
        """Keep what was said once a record was there."""
        return self.log.store(canonical.encode(Snapshot(
            cluster=self.log.cluster.id, nonce=late_nonce(self.log.text(at)), reports=dict(reports), missing={},
        )))  # fmt: skip

    def _record(self, request: Request, event: Any, **said: Any) -> RecordOne:
        return RecordOne(
            event=event, at="2030-01-31T12:30:00.000Z", clock="a test's", request=request.id,
            operator=request.operator, action=request.action, target=request.target, arguments=request.arguments,
            reason=request.reason, configuration=self.log.cluster.digest, **said,
        )  # fmt: skip

    def _write(self, request: Request, event: str, **said: Any) -> None:
        self.log.records.append(self._record(request, event, **said))


def as_turn(record: Record, outcome: Signed | None) -> TurnRecord:
    """Return the record that the turn of a record's request has come, by an outcome of the one before it."""
    said = {name: getattr(record, name) for name in ("at", "clock", "request", "operator", "action", "target",
                                                     "arguments", "reason", "configuration", "plan")}  # fmt: skip
    return TurnRecord(event="triggered", outcome=outcome, **said)


def asked(action: str, target: str, request: str, **arguments: str) -> Request:
    """Return what the operator asks for."""
    return Request(id=request, action=action, target=target, arguments=arguments, operator="ada", reason="a test")


def holding(scene: Scene, plan: Plan) -> Scene:
    """Return a scene in which the node of a plan holds the order."""
    node, text = plan.request.target, canonical.encode(plan).decode()
    held = Held(
        request=plan.request.id, action=plan.request.action, plan=plan_digest(text),
        after=plan.request.arguments[AFTER], term=plan.term,
    )  # fmt: skip
    return {**scene, node: replace(scene[node], held=held)}


def sequenced() -> Forged:
    """Return the content of a log in which everything holds: a switchover that was signed ahead, and what else may be.

    Of two more promotions that were signed ahead, the demotion never came: one was dropped, one is held still.
    """
    writer = _Writer()
    cluster = writer.log.cluster
    ahead = writer.ask(asked("promote", "n2", PROMOTION, after=str(EARLIER)), healthy(cluster))
    writer.confirm(ahead)
    then = str(Later(request=PROMOTION, plan=writer.log.records[AHEAD].plan))
    arguments = {"for": "n2", THEN: then}
    before = writer.ask(asked("demote", "n1", DEMOTION, **arguments), holding(healthy(cluster), ahead))
    writer.confirm(before)
    writer.end(before, holding(healthy(cluster), ahead))
    writer.turn(ahead, writer.log.records[BEFORE_OUTCOME].outcome)
    writer.end(ahead, demoted(cluster))
    for request in (LATER_ONE, LAST_ONE):
        after = str(replace(EARLIER, request=OTHER_ID))
        plan = writer.ask(asked("promote", "n2", request, after=after), healthy(cluster))
        writer.confirm(plan)
        if request == LATER_ONE:
            writer.end(plan, result="not executed", code="kernel.order-dropped", message="it was withdrawn")
    assert len(writer.log.records) == END
    return writer.log


# The forgeries --------------------------------------------------------------------------------------------------------


def _turn(key: Ed25519PrivateKey | None = None, signer: str = "n1", **changes: Any) -> Callable[[Forged], None]:
    """Forge what the earlier request's node signed, in both of the records that hold it."""

    def make(log: Forged) -> None:
        lie = _signed(log, key, signer, **changes)
        log.change(TURN, outcome=lie)
        log.change(BEFORE_OUTCOME, outcome=lie, result=changes.get("result", "executed"))

    return make


def _signed(log: Forged, key: Ed25519PrivateKey | None = None, signer: str = "n1", **changes: Any) -> Signed:
    return sign(replace(_outcome_at(log, BEFORE_OUTCOME), **changes), signer, key or KEYS["n1"])


def _outcome_at(log: Forged, at: int) -> Outcome:
    signed = log.records[at].outcome
    assert signed is not None
    return canonical.decode(signed.document.encode(), Outcome)


def _executed_all_the_same(log: Forged) -> None:
    """Let the node sign that it executed what it had dropped."""
    lie = replace(_outcome_at(log, DROPPED_OUTCOME), result="executed")
    log.change(DROPPED_OUTCOME, outcome=sign(lie, "n2", KEYS["n2"]), result="executed")


def _plan_at(log: Forged, at: int) -> Plan:
    return plan_in(log.blobs[log.records[at].plan].decode())


def _executed(**changes: Any) -> Callable[[Forged], None]:
    """Let the earlier request's node have executed a plan of another request; it signed that, in both records."""

    def make(log: Forged) -> None:
        plan = _plan_at(log, BEFORE)
        other = replace(plan, request=replace(plan.request, **changes)).sealed()
        _turn(plan=log.store(canonical.encode(other)))(log)

    return make


def _and_then(request: str = PROMOTION, plan: str = "") -> Callable[[Forged], None]:
    """Let the plan that was executed name another one after it."""

    def make(log: Forged) -> None:
        then = str(Later(request=request, plan=plan or log.records[AHEAD].plan))
        _executed(arguments={"for": "n2", THEN: then})(log)

    return make


def _moved(at: int, to: int) -> Callable[[Forged], None]:
    return lambda log: log.records.insert(to, log.records.pop(at))


def _own_turn(log: Forged) -> None:
    log.records.insert(BEFORE_OUTCOME, as_turn(log.records[BEFORE], _signed(log)))


def _late(scene_of: Callable[[Cluster], Scene], since: int = TURN) -> Callable[[Forged], None]:
    """Let the node have judged by other reports, which it names."""

    def make(log: Forged) -> None:
        writer = _Writer()
        writer.log = log
        reports = writer.reported(scene_of(log.cluster), since)
        said = sign(replace(_outcome_at(log, AHEAD_OUTCOME), late=digests(reports)), "n2", KEYS["n2"])
        log.change(AHEAD_OUTCOME, late=writer.late_of(reports, since), outcome=said)

    return make


def _without(cluster: Cluster) -> Scene:
    return {name: facts for name, facts in demoted(cluster).items() if name != "n1"}


def _pledged(candidate: str, term: int) -> Callable[[Cluster], Scene]:
    def scene(cluster: Cluster) -> Scene:
        made = pledged(healthy(cluster), "n1", Candidacy(term=term, node=candidate), cluster)
        return with_instance(made, "n1", senders=())

    return scene


def _foreseen(log: Forged) -> None:
    """Let the plan of a request that comes after none foresee what its rules found to hold."""
    plan = _plan_at(log, BEFORE)
    first, *rest = plan.verdicts
    lie = Verdict(invariant=first.invariant, result=Result.FORESEEN, evidence=first.evidence)
    log.change(BEFORE, plan=log.store(canonical.encode(replace(plan, verdicts=(lie, *rest)).sealed())))


TURN_FORGERIES = (
    Forgery("no turn", lambda log: log.records.__delitem__(TURN), TURN, part.ORDER),
    Forgery("a turn that came twice", lambda log: log.records.insert(TURN, log.records[TURN]), TURN + 1, part.ORDER),
    Forgery("a turn before the confirmation", _moved(AHEAD_CONFIRMED, TURN), TURN - 1, part.ORDER),
    Forgery("a turn after the outcome", _moved(TURN, AHEAD_OUTCOME), AHEAD_OUTCOME, part.ORDER),
    Forgery("a turn of what comes after nothing", _own_turn, BEFORE_OUTCOME, part.TURN),
    Forgery("a turn without anybody's word", lambda log: log.change(TURN, outcome=None), TURN, part.TURN),
    Forgery("a turn by a stranger's key", _turn(STRANGER), TURN, part.TURN),
    Forgery("a turn by another node's key", _turn(KEYS["n3"]), TURN, part.TURN),
    Forgery("a turn by the node's own word", lambda log: log.change(TURN, outcome=_signed(log, KEYS["n2"], "n2",
            node="n2")), TURN, part.TURN),
    Forgery("a turn under another signer's name", _turn(signer="n3"), TURN, part.TURN),
    Forgery("a turn of another cluster", _turn(cluster="x"), TURN, part.TURN),
    Forgery("a turn that speaks for another node", _turn(node="n3"), TURN, part.TURN),
    Forgery("a turn by the outcome of another request", _turn(request=OTHER_ID), TURN, part.TURN),
    Forgery("a turn by what was not executed", _turn(result="not executed"), TURN, part.TURN),
    Forgery("a turn by what is not known", _turn(result="unknown"), TURN, part.TURN),
    Forgery("a turn by what was found out afterwards", _turn(established=True), TURN, part.TURN),
    Forgery("a turn of another plan", lambda log: log.change(TURN, plan=log.records[DROPPED].plan), TURN, part.PLAN),
    Forgery("a turn of other words", lambda log: log.change(TURN, reason="another"), TURN, part.REQUEST_ID),
    Forgery("a turn after what is named wrongly", lambda log: log.change(TURN, arguments={AFTER: "demote"}), TURN,
            part.TURN),
    Forgery("a turn after what nobody can execute", lambda log: log.change(TURN, arguments={
            AFTER: str(replace(EARLIER, target="n9"))}), TURN, part.TURN),
    Forgery("a turn with a result", lambda log: log.change(TURN, result="executed"), TURN, part.FORM),
    Forgery("an outcome without late reports", lambda log: log.change(AHEAD_OUTCOME, late=""), AHEAD_OUTCOME,
            part.LATE),
    Forgery("late reports of the confirmation", _late(demoted, AHEAD_CONFIRMED), AHEAD_OUTCOME, part.LATE),
    Forgery("late reports of the other confirmation", _late(demoted, BEFORE_CONFIRMED), AHEAD_OUTCOME, part.LATE),
    Forgery("no late report of who executed it", _late(_without), AHEAD_OUTCOME, part.LATE),
    Forgery("a late report without a pledge", _late(healthy), AHEAD_OUTCOME, part.LATE),
    Forgery("a late pledge to another", _late(_pledged("n3", 2)), AHEAD_OUTCOME, part.LATE),
    Forgery("a late pledge in another term", _late(_pledged("n2", 3)), AHEAD_OUTCOME, part.LATE),
    Forgery("an executed one that was dropped", _executed_all_the_same, DROPPED_OUTCOME, part.ORDER),
    Forgery("a plan that foresees without another", _foreseen, BEFORE, part.PLAN),
)  # fmt: skip
"""Each with the record that the judge must name, and the part of it: in evidence of the one request, too."""

TURN_FORGERIES_OF_A_WHOLE = (
    Forgery("a turn by what is no plan of the log", _turn(plan="sha256:0"), TURN, part.TURN),
    Forgery("a turn by no plan", _turn(plan=""), TURN, part.TURN),
    Forgery("a plan of another request", _executed(id=OTHER_ID), TURN, part.TURN),
    Forgery("a plan of another action", _executed(action="stop"), TURN, part.TURN),
    Forgery("a plan for another node", _executed(target="n3"), TURN, part.TURN),
    Forgery("a plan that nothing comes after", _executed(arguments={"for": "n2"}), TURN, part.TURN),
    Forgery("a plan that another request comes after", _and_then(request=LATER_ONE), TURN, part.TURN),
    Forgery("a plan that another plan comes after", _and_then(plan="sha256:" + "0" * 64), TURN, part.TURN),
    Forgery("another outcome than was logged", lambda log: log.change(TURN, outcome=_signed(log, message="done")), TURN,
            part.TURN),
    Forgery("an outcome that was logged afterwards", _moved(BEFORE_OUTCOME, TURN), TURN - 1, part.TURN),
    Forgery("an outcome that was logged as found out", lambda log: log.change(BEFORE_OUTCOME, event="established"),
            TURN, part.TURN),
    Forgery("a demotion that was planned before", _moved(AHEAD_CONFIRMED, BEFORE), TURN, part.TURN),
)  # fmt: skip
"""What only a whole log shows: the earlier request's plan and records are not in the evidence of the later one."""
