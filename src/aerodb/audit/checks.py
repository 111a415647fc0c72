"""The single checks of what the log holds, each in one place: whoever shows a verification asks these.

- A configuration is trusted outright, or nothing under it is believed. Each check names the configuration that it is
  made under: the one that the record names, so that keys count as they were enrolled then.
- A check returns what was proven, or raises what is wrong. Nothing is believed because the control plane wrote it.

Pure: no I/O, no clock.
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from aerodb.actions import action_named, second_of
from aerodb.audit.record import MESSAGE_CHARACTERS_MAX, Record
from aerodb.errors import AeroError
from aerodb.past import held
from aerodb.protocol import canonical, confirmation, webauthn
from aerodb.protocol.api import Replayed
from aerodb.protocol.cluster import Cluster, Operator, Role
from aerodb.protocol.confirmation import Confirmed
from aerodb.protocol.plan import Confirmation, Outcome, Plan, Request, Snapshot, plan_digest, plan_in
from aerodb.protocol.signed import Signed, open_signed
from aerodb.protocol.sshkey import parse_line
from aerodb.rules.explain import explain_unsafe, failed, peers_of
from aerodb.rules.invariants import RULES
from aerodb.rules.view import Peer


class Unfounded(AeroError):
    """A record, or a document that it names, says what nobody signed or what the rules do not make it."""

    code = "control.record-unfounded"
    status = 409
    title = "The audit log says what nothing proves"


class _Ruled(msgspec.Struct, frozen=True):
    """What is read of a plan whose form may be one that is not known here."""

    rules: str


class Asked(NamedTuple):
    """What an outcome must be of: a request, the node that it is for, and the digest of its plan."""

    request: str
    target: str
    plan: str


def enrolled(cluster: Cluster, name: str) -> Operator:
    """Return the person of a name under `cluster`.

    Raises:
        Unfounded: nobody of that name is enrolled there, or no more.
    """
    person = cluster.operator(name)
    if person is None:
        raise Unfounded(f"the configuration has nobody of the name {name!r}")
    if person.revoked:
        raise Unfounded(f"{name} is revoked in the configuration")
    return person


def may_sign(cluster: Cluster, name: str) -> Operator:
    """Return the person whose signatures count under `cluster`.

    Raises:
        Unfounded: nobody of that name may sign there.
    """
    person = enrolled(cluster, name)
    if person.role is not Role.OPERATOR:
        raise Unfounded(f"{name} is no operator in the configuration")
    return person


def check_confirmation(cluster: Cluster, operator: str, plan_text: str, signature: str) -> Confirmed:
    """Return what is proven, where `signature` is the confirmation of `plan_text` by `operator`.

    Raises:
        Unfounded: nobody of that name may confirm.
        SshsigInvalid, AssertionInvalid, KeyMalformed: the signature is not theirs, or not over this plan.
    """
    return confirmation.verify(cluster, may_sign(cluster, operator), signature, canonical.utf8(plan_text))


def check_second(cluster: Cluster, record: Record, plan_text: str) -> Confirmed | None:
    """Return what the second signature in a confirmation's record proves; None where none is due, and none is there.

    Raises:
        SecondMissing, SecondRefused: it is due and not there, not another operator's over this plan, or not due.
        Unfounded: the record says otherwise whether a key was touched.
    """
    signed = Confirmation(plan=plan_text, signature=record.signature, second=record.seconded or msgspec.UNSET)
    proven = second_of(cluster, record.asked, signed)
    if (proven is not None and proven.proof.touch) != record.second_touched:
        raise Unfounded("whether the second person's key was touched is recorded otherwise")
    return proven


def check_endorsement(cluster: Cluster, record: Record, text: str) -> None:
    """Check that the person whom a record names endorsed, with their SSH key, the credential in `text`.

    Raises:
        Unfounded: nobody of that name may, or the record says otherwise whether a key was touched.
        AssertionInvalid, KeyMalformed: the signature is not theirs, or not over this text.
    """
    person = may_sign(cluster, record.operator)
    webauthn.open_endorsement(cluster, person, text, record.signature)
    if parse_line(person.ssh_key).touch != record.touch:
        raise Unfounded("whether a key was touched is recorded otherwise")


def check_outcome(cluster: Cluster, asked: Asked, result: str, signed: Signed) -> Outcome:
    """Return the outcome that the agent of the target signed of a request.

    Raises:
        Unfounded: it is of another request or plan, or its result is not `result`.
        DocumentForged, NotCanonical, NodeUnknown: the target's agent did not sign it.
    """
    outcome = open_signed(signed, Outcome, cluster.member(asked.target).public_key)
    said = (outcome.cluster, outcome.node, outcome.request, outcome.result, signed.signer)
    if said != (cluster.id, asked.target, asked.request, result, asked.target):
        raise Unfounded(f"what {asked.target} signed is of another request, or says something else")
    never_came = outcome.plan == "" and outcome.result != "executed"  # The agent was never shown a plan of it.
    if not (never_came or outcome.plan == asked.plan):
        raise Unfounded(f"what {asked.target} signed names another plan")
    return outcome


def check_recorded(record: Record, outcome: Outcome) -> None:
    """Check that a record says of an outcome what its agent said.

    Raises:
        Unfounded: it does not.
    """
    if (record.code, record.message) != (outcome.code, outcome.message[:MESSAGE_CHARACTERS_MAX]):
        raise Unfounded(f"the record's code or message is not that of what {record.target} signed")


def check_snapshot(cluster: Cluster, text: str, nonce: str) -> tuple[Snapshot, dict[str, Peer]]:
    """Return the snapshot in `text`, and what its reports say, each signed by its own node for `nonce`.

    Raises:
        Unfounded: it is of another cluster or was made for something else.
        NotCanonical, NodeUnknown, ReportForged, ReportStale, ClusterForeign, PledgeForged: it is not what it says.
    """
    snapshot = canonical.decode(text.encode(), Snapshot)
    if snapshot.cluster != cluster.id:
        raise Unfounded(f"it is of the cluster {snapshot.cluster}")
    if snapshot.nonce != nonce:
        raise Unfounded("it was made for another request, or for another confirmation")
    return snapshot, peers_of(cluster, snapshot.reports, nonce)


def check_plan(text: str, record: Record) -> Plan:
    """Return the plan in `text`, which is whole, and is what the `record` of its making says.

    Raises:
        Unfounded: it is not.
        RulesOther: it has a form that is not known here, and names rules that are not held here.
        NotCanonical: it is no plan.
    """
    plan = read_plan(text)
    if not plan.intact():
        raise Unfounded("its content is not what its own digest says")
    if plan.request != record.asked:
        raise Unfounded("its request is not that of the log's records")
    if plan.accepted != (record.event == "requested"):
        raise Unfounded(f"it was recorded as {record.event}, and is not")
    if record.invariants != failed(plan.verdicts):
        raise Unfounded("the invariants that were recorded as failed are not those of its verdicts")
    return plan


def rules_of(text: str) -> str:
    """Return which rules a text names that may be a plan of any version; nothing where it names none."""
    try:
        return msgspec.json.decode(text, type=_Ruled).rules
    except (msgspec.DecodeError, UnicodeError):
        return ""


def read_plan(text: str) -> Plan:
    """Return the plan in `text`.

    Raises:
        RulesOther: it has a form that is not known here, and names rules that are not held here.
        NotCanonical: it is no plan.
    """
    try:
        return plan_in(text)
    except canonical.NotCanonical:
        if held.number_of(rules_of(text)) is not None:
            held.refuse_unheld(rules_of(text))
        raise


def computed_again(cluster: Cluster, plan: Plan, snapshot: Snapshot, everyone: dict[str, Peer]) -> str:
    """Return the text of a plan as the rules that made it make it again from its snapshot.

    `everyone` is what the snapshot's reports say, as `check_snapshot` verified it.

    Raises:
        RulesOther: it was made by rules that this build does not hold.
        AeroError: the rules make no plan from it.
    """
    return explained_by(plan.rules, cluster, plan.request, snapshot, everyone)


def explained_by(rules: str, cluster: Cluster, request: Request, snapshot: Snapshot, everyone: dict[str, Peer]) -> str:
    """Return the text of the plan that some rules make of a request from a snapshot; `everyone` is what it says.

    Raises:
        RulesOther: this build does not hold those rules.
        AeroError: they make no plan from it.
    """
    if rules != RULES:
        return held.explained(rules, *(canonical.encode(each).decode() for each in (cluster, request, snapshot)))
    made = explain_unsafe(cluster, action_named(request.action), request, snapshot, everyone)
    return canonical.encode(made).decode()


def replayed(cluster: Cluster, request: str, plan_text: str, snapshot_text: str) -> Replayed:
    """Return how the recorded plan of a request compares with what the rules that made it make of its snapshot.

    Raises:
        Unfounded: the plan or the snapshot is of another request.
        RulesOther: the plan was made by rules that this build does not hold.
        AeroError: a document is not what it says.
    """
    plan = read_plan(plan_text)
    if plan.request.id != request:
        raise Unfounded("the plan on record is of another request")
    text = computed_again(cluster, plan, *check_snapshot(cluster, snapshot_text, request))
    return Replayed(
        request=request,
        identical=text == plan_text,
        recorded_digest=plan_digest(plan_text),
        computed_digest=plan_digest(text),
        length_bytes=len(plan_text.encode()),
    )


def names(people: Iterable[str]) -> str:
    """Return names as a list for people."""
    return ", ".join(people) or "nobody"
