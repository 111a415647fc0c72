"""The first two locks, as the node itself checks them: signed, and logged.

- Signed: an enrolled operator's confirmation of the exact bytes of a plan for this node, this configuration and
  these rules: their SSH signature, or an assertion by an authenticator of theirs. Where the node's configuration asks
  for a second person, another operator's over the same bytes.
- Logged: an inclusion proof of the confirmation's record, which holds exactly those signatures, under a signed
  checkpoint that extends the last one seen, and that as many log witnesses have cosigned as the node's configuration
  demands.
- Nothing that the control plane says is believed beyond what these show.

Pure: no I/O, no clock.
"""

from aerodb.actions import action_named, gap_of, second_of
from aerodb.audit.cosignature import cosigned_by, only_by
from aerodb.audit.note import Checkpoint, CheckpointForged, open_checkpoint, parse_verifier_key, stated_size
from aerodb.audit.proof import open_proof
from aerodb.audit.record import Record, decode_record
from aerodb.audit.tree import verify_consistency
from aerodb.errors import AeroError
from aerodb.kernel.errors import (
    ConfirmationMissing,
    CosignaturesTooFew,
    LogRewritten,
    NotLogged,
    OperatorRefused,
    PlanForeign,
    PlanNotWhole,
    PlanRejected,
    SignatureRefused,
    TurnUnproven,
    VersionPassed,
)
from aerodb.kernel.seen import LogSeen
from aerodb.past.speaking import SPOKEN, both_speak
from aerodb.protocol import canonical, confirmation
from aerodb.protocol.ahead import AFTER, THEN, Earlier, read_earlier, read_later
from aerodb.protocol.base64text import from_base64
from aerodb.protocol.chain import Chain
from aerodb.protocol.cluster import Cluster, Operator, Role
from aerodb.protocol.marks import Gap
from aerodb.protocol.plan import Confirmation, Order, Outcome, Plan, Trigger, Verdict, plan_digest, plan_in
from aerodb.protocol.signed import Signed, open_signed
from aerodb.rules.explain import check_request, check_usable


def open_plan(cluster: Cluster, node: str, text: str) -> Plan:
    """Return the plan in `text`, if it is whole, by these rules, and for this node as it is configured.

    Raises:
        NotCanonical, PlanNotWhole, PlanForeign: it is not.
        RulesApart: it is by rules that this node does not act by.
    """
    plan = _own_plan(cluster, node, text)
    check_rules(plan)
    return plan


def check_rules(plan: Plan) -> None:
    """Refuse a plan that was made by rules which this node does not act by.

    Raises:
        RulesApart: so it is.
    """
    both_speak(SPOKEN, (plan.rules,), (f"the agent of {plan.request.target}", "the plan"))


def _own_plan(cluster: Cluster, node: str, text: str) -> Plan:
    """Return the plan in `text`, by whichever rules, if it is whole and for this node as it is configured."""
    plan = plan_in(text)
    if not plan.intact():
        raise PlanNotWhole("the plan's own digest is not that of its content")
    for what, found, wanted in (
        ("cluster", plan.cluster, cluster.id),
        ("configuration", plan.configuration, cluster.digest),
        ("node", plan.request.target, node),
    ):
        if found != wanted:
            raise PlanForeign(f"the plan is for {what} {found}, not {wanted}")
    return plan


def check_form(cluster: Cluster, plan: Plan) -> None:
    """Check again all that is checked before a plan is made, and that the plan is no rejection.

    Raises:
        VersionPassed: the node has taken a later version of the configuration since the plan was made.
        PlanRejected, ActionUnknown, RequestMalformed, NodeUnknown: so it is.
    """
    if plan.configuration != cluster.digest:
        raise VersionPassed(
            f"{plan.request.target} has taken version {cluster.version} of the configuration since the plan was made: "
            "ask anew"
        )
    check_request(cluster, action_named(plan.request.action), plan.request)
    if not plan.accepted:
        raise PlanRejected("the plan is a rejection")


def signed_plan(chain: Chain, node: str, order: Order) -> Plan:
    """Return the plan of an order that an operator has signed for this node: the first lock.

    It opens for whoever could sign under the version that the plan names, so that what is refused for a version that
    the node has taken since is an answer like any other; see `check_form`. By which rules it was made is asked once it
    is known to be new: what was run by the rules of an earlier release is answered as what it is, a duplicate.

    Raises:
        NotCanonical, PlanNotWhole, PlanForeign, RequestMalformed: it is no order for this node.
        OperatorRefused, SignatureRefused: nobody who may has signed it.
        SecondMissing, SecondRefused: a second person is due, and none who may has signed it.
    """
    named = plan_in(order.plan).configuration
    cluster = chain.judging(named)
    plan = _own_plan(cluster, node, order.plan)
    check_usable(plan.request.id)
    check_signed(cluster, plan, order)
    return plan


def check_confirmed(chain: Chain, node: str, request: str, unverified: Confirmation) -> None:
    """Check that somebody who is enrolled has confirmed `request` for this node, for its id to be used up unexecuted.

    That takes nothing but the signature: under another configuration than now, too, and by somebody who is revoked. A
    key counts as it was enrolled in the version that the plan names, where the node has taken that; so does whether a
    second person is due.

    Raises:
        ConfirmationMissing: nobody has.
    """
    try:
        _check_confirmed(chain, node, request, unverified)
    except AeroError as error:
        raise ConfirmationMissing(
            f"{node} does not know {request}, and no confirmation of it is shown that holds here ({error.message}). It "
            "promises nothing: where it was confirmed, its order may still come, and run",
            executed="unknown", request=request,
        ) from error  # fmt: skip


def _check_confirmed(chain: Chain, node: str, request: str, unverified: Confirmation) -> None:
    plan = plan_in(unverified.plan)
    if not plan.intact():
        raise PlanNotWhole("the plan's own digest is not that of its content")
    cluster = chain.judging(plan.configuration)
    if (plan.cluster, plan.request.target, plan.request.id) != (cluster.id, node, request):
        raise PlanForeign("the plan is of another request, or for another node")
    person = cluster.operator(plan.request.operator)
    if person is None or not person.ssh_key:
        raise OperatorRefused(f"{plan.request.operator!r} is not enrolled with a key")
    _check_signature(cluster, person, unverified.plan, unverified.signature)
    if chain.named(plan.configuration) is not None:
        second_of(cluster, plan.request, unverified)


def signer_of(cluster: Cluster, plan: Plan) -> Operator:
    """Return the operator who asked and must have signed.

    Raises:
        OperatorRefused: there is none such, or they may not.
    """
    person = cluster.operator(plan.request.operator)
    if person is None:
        raise OperatorRefused(f"{plan.request.operator!r} is not enrolled")
    if person.revoked:
        raise OperatorRefused(f"{person.name} is revoked")
    if person.role is not Role.OPERATOR:
        raise OperatorRefused(f"{person.name} is an {person.role}, not an operator")
    if not person.ssh_key:
        raise OperatorRefused(f"{person.name} has no key enrolled")
    return person


def check_signed(cluster: Cluster, plan: Plan, order: Order) -> None:
    """Check the first lock.

    Raises:
        OperatorRefused, SignatureRefused: it does not open.
        SecondMissing, SecondRefused: it does not open without the second person, who is due by this version.
    """
    _check_signature(cluster, signer_of(cluster, plan), order.plan, order.signature)
    second_of(cluster, plan.request, order.confirmation)


def _check_signature(cluster: Cluster, person: Operator, plan: str, signature: str) -> None:
    try:
        confirmation.verify(cluster, person, signature, canonical.utf8(plan))
    except AeroError as error:
        raise SignatureRefused(f"not {person.name}'s signature over this plan: {error.message}") from error


def check_logged(cluster: Cluster, plan: Plan, order: Order, seen: LogSeen) -> LogSeen:
    """Check the second lock; return what is now seen of the log, with the signatures that were checked.

    A request that gives up what was seen is held to what it names instead: the log begins with what was restored, and
    with the newest that was seen within that. What is returned is then for its operation alone to remember.

    Raises:
        NotLogged: no valid proof that this confirmation stands in the log.
        CosignaturesTooFew: fewer log witnesses than the configuration demands have cosigned the checkpoint.
        LogRewritten: the log is not an extension of the one seen before, or not what the request names.
    """
    try:
        text = canonical.utf8(order.record)
        record = decode_record(text)
        proven = open_proof(order.proof, cluster.log_key, text)
    except AeroError as error:
        raise NotLogged(error.message) from error
    signed = order.confirmation
    wanted = ("confirmed", plan.request.id, plan_digest(signed.plan), signed.signature, signed.seconded)
    if (record.event, record.request, record.plan, record.signature, record.seconded) != wanted:
        raise NotLogged("the logged record is not the confirmation of this plan with these signatures")
    new, gap = proven.checkpoint, gap_of(plan.request)
    if gap is None:
        _check_extends(cluster, new, order.consistency, seen.checkpoint)
        return seen.extended(new.size, _cosigned(cluster, proven.checkpoint_text))
    _check_restored(new, gap, order.restored)
    _check_extends(cluster, new, order.consistency, seen.within(gap.restored.size))
    return seen.accepting(plan.request.id, gap, new.size, _cosigned(cluster, proven.checkpoint_text))


def _cosigned(cluster: Cluster, text: str) -> str:
    """Return a checkpoint with the log's signature, and those of the log witnesses that the configuration names.

    Raises:
        CosignaturesTooFew: they are fewer than it demands, or one is not what it says.
    """
    witnesses = cluster.log_witnesses
    try:
        vouching = {each.name for each in cosigned_by(text, witnesses)}
    except CheckpointForged as error:
        raise CosignaturesTooFew(error.message) from error
    if len(vouching) < cluster.cosignatures_demanded:
        raise CosignaturesTooFew(
            f"{len(vouching)} of {cluster.cosignatures_demanded} log witnesses have cosigned the checkpoint of "
            f"{stated_size(text)} records; missing: {', '.join(k.name for k in witnesses if k.name not in vouching)}"
        )
    return only_by(text, (parse_verifier_key(cluster.log_key), *witnesses))


def _check_extends(cluster: Cluster, new: Checkpoint, consistency: tuple[str, ...], seen: str) -> None:
    if not seen:
        return
    old = open_checkpoint(seen, cluster.log_key)
    if not _leads(old.size, old.root, new, consistency):
        how = "went back behind" if new.size < old.size else "does not extend"
        raise LogRewritten(
            f"the log of {new.size} records {how} the {old.size} that this node has seen. Compare both logs "
            "by their exports; where this one is to stand, an operator gives up what is not in it, by name: aerodb "
            "audit gap says what that is, and accept-log does it"
        )


def _check_restored(new: Checkpoint, gap: Gap, path: tuple[str, ...]) -> None:
    if not _leads(gap.restored.size, gap.restored.root_bytes, new, path):
        raise LogRewritten(
            f"the log of {new.size} records does not begin with what the request names as restored, {gap.restored}: "
            "this is another log than the operator meant"
        )


def _leads(size: int, root: bytes, new: Checkpoint, path: tuple[str, ...]) -> bool:
    """Tell whether a path proves that the log at `new` begins with the one of that size and root."""
    try:
        hashes = tuple(map(from_base64, path))
    except ValueError as error:
        raise LogRewritten("the consistency proof is malformed") from error
    return verify_consistency(size, root, new.size, new.root, hashes)


def _outcome_in(record: Record, earlier: Earlier) -> Signed:
    """Return what a record holds of what a node has signed of an earlier request."""
    if record.outcome is None:
        raise TurnUnproven(f"the record holds no outcome of {earlier}")
    return record.outcome


def check_turn(cluster: Cluster, held: Order, trigger: Trigger, seen: LogSeen) -> LogSeen:
    """Check that the request before a held order is executed; return what is now seen of the log.

    Proven in the log is a record that says so with the very outcome that the earlier request's node signed. That one's
    plan names this one's.

    Raises:
        TurnUnproven: it is not proven.
        CosignaturesTooFew, LogRewritten: see `check_logged`.
    """
    plan = plan_in(held.plan)
    earlier = read_earlier(plan.request.arguments[AFTER])
    try:
        before, text = plan_in(trigger.plan), canonical.utf8(trigger.record)
        record, proven = decode_record(text), open_proof(trigger.proof, cluster.log_key, text)
        signed = _outcome_in(record, earlier)
        outcome = open_signed(signed, Outcome, cluster.member(signed.signer).public_key)
        later = read_later(before.request.arguments.get(THEN, ""))
    except AeroError as error:
        raise TurnUnproven(error.message) from error
    wanted = ("triggered", plan.request.id, plan_digest(held.plan))
    named = (cluster.id, earlier.action, earlier.target, earlier.request)
    for what, found, right in (
        ("the record", (record.event, record.request, record.plan), wanted),
        ("the plan before", (before.cluster, before.request.action, before.request.target, before.request.id), named),
        ("the request that it names", (later.request, later.plan), wanted[1:]),
        ("the outcome", (outcome.cluster, outcome.node, signed.signer, outcome.request),
         (cluster.id, earlier.target, earlier.target, earlier.request)),
        ("the plan of the outcome", outcome.plan, plan_digest(trigger.plan)),
        ("the result", (outcome.result, outcome.established), ("executed", False)),
        ("whether that plan is whole", before.intact(), True),
    ):  # fmt: skip
        if found != right:
            raise TurnUnproven(f"{what} is not what it must be: {found}, and not {right}")
    _check_extends(cluster, proven.checkpoint, trigger.consistency, seen.checkpoint)
    return seen.extended(proven.checkpoint.size, _cosigned(cluster, proven.checkpoint_text))


def check_reports(plan: Plan, order: Order) -> None:
    """Check that the reports carried are exactly those that the plan rests on.

    Raises:
        PlanNotWhole: they are not.
    """
    carried = {name: signed.digest for name, signed in order.reports.items()}
    if carried != plan.reports:
        raise PlanNotWhole("the reports are not those that the plan rests on")


def says(verdicts: tuple[Verdict, ...]) -> str:
    """Return verdicts as one sentence."""
    return "; ".join(f"{verdict.invariant} {verdict.result}: {verdict.evidence}" for verdict in verdicts)
