"""What a person's own machine checks of what the control plane says: nothing is believed that can be computed here.

- A plan is shown for signing only if it is what was asked for, and byte for byte what this machine computes from the
  nodes' own signed reports and the profile's configuration.
- An outcome counts only with the signature of the target's agent, for this request and this plan.
"""

from aerodb.audit import checks
from aerodb.audit.checks import Asked, check_snapshot, computed_again
from aerodb.cli.failures import OutcomeUnverified, PlanAltered
from aerodb.errors import AeroError
from aerodb.past.held import RulesOther
from aerodb.protocol import canonical
from aerodb.protocol.api import Decision, Done, Planned, Replayed
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.plan import Outcome, Plan, Request, plan_digest


def read_plan(text: str) -> Plan:
    """Return the plan that `text` is, if its own digest holds.

    Raises:
        PlanAltered: it is not one, or its content is not what its digest says.
        RulesOther: it has a form that is not known here, and was made by rules that this machine does not hold.
    """
    try:
        plan = checks.read_plan(text)
        intact = plan.intact()
    except canonical.NotCanonical as error:
        raise PlanAltered(f"the plan cannot be read: {error}") from error
    if not intact:
        raise PlanAltered("the plan's content is not what its own digest says")
    return plan


def planned_plan(planned: Planned) -> Plan:
    """Return the plan of an answer that agrees with itself.

    Raises:
        PlanAltered: it does not.
    """
    plan = read_plan(planned.plan)
    if plan_digest(planned.plan) != planned.digest:
        raise PlanAltered("the plan's text is not what the answer's digest says")
    if (plan.accepted, plan.request.id) != (planned.accepted, planned.request):
        raise PlanAltered("the answer says something else than the plan in it")
    return plan


def check_request(plan: Plan, asked: Request) -> None:
    """Check that the plan is of what was asked, word for word.

    Raises:
        PlanAltered: naming what differs.
    """
    for name in Request.__struct_fields__:
        said, wanted = getattr(plan.request, name), getattr(asked, name)
        if said != wanted:
            raise PlanAltered(f"the plan's {name} is {said!r}; asked was {wanted!r}", field=name)


def recomputed(cluster: Cluster, plan: Plan, snapshot_text: str) -> str:
    """Return the text of the plan as this machine computes it from the snapshot.

    Raises:
        PlanAltered: the configuration or the snapshot is another, or the snapshot does not verify.
        RulesOther: this machine does not hold the rules that made the plan, which says nothing against it.
    """
    if plan.configuration != cluster.digest:
        raise PlanAltered("the plan was made under another configuration than the profile's cluster.json")
    try:
        return computed_again(cluster, plan, *check_snapshot(cluster, snapshot_text, plan.request.id))
    except RulesOther:
        raise
    except (AeroError, UnicodeEncodeError) as error:
        raise PlanAltered(f"the plan cannot be computed here: {error}") from error


def check_recomputed(cluster: Cluster, plan: Plan, text: str, snapshot_text: str | None) -> None:
    """Check that a plan's `text` is byte for byte what this machine computes from its snapshot.

    Raises:
        PlanAltered: it is not, or there is no snapshot to compute it from.
        RulesOther: this machine does not hold the rules that made the plan.
    """
    if snapshot_text is None:
        raise PlanAltered("the plan's snapshot is not on record")
    if recomputed(cluster, plan, snapshot_text) != text:
        raise PlanAltered(f"the plan is not what its snapshot makes it, computed here by {plan.rules}")


def replay(cluster: Cluster, decision: Decision) -> Replayed:
    """Return how the recorded plan compares with the one that this machine computes.

    Raises:
        PlanAltered: the request has no plan, or nothing to compute it from.
        RulesOther: this machine does not hold the rules that made the plan, which says nothing against it.
    """
    if decision.plan is None or decision.snapshot is None:
        raise PlanAltered(f"the request {decision.line.request} has no plan and snapshot on record")
    if read_plan(decision.plan).configuration != cluster.digest:
        raise PlanAltered("the plan was made under another configuration than the profile's cluster.json")
    try:
        return checks.replayed(cluster, decision.line.request, decision.plan, decision.snapshot)
    except RulesOther:
        raise
    except (AeroError, UnicodeEncodeError) as error:
        raise PlanAltered(f"the plan cannot be computed here: {error}") from error


def verified_outcome(cluster: Cluster, request: str, target: str, digest: str, done: Done) -> Outcome | None:
    """Return the outcome as the target's agent signed it; None where no agent was reached.

    Raises:
        OutcomeUnverified: it is not signed by the target, is of something else, or is claimed without a signature.
    """
    if done.request != request:
        raise _forged("the answer is about another request", request)
    if done.outcome is None:
        if done.result == "executed":
            raise _forged("the control plane says executed, and shows no agent's signature for it", request)
        return None
    try:
        return checks.check_outcome(cluster, Asked(request, target, digest), done.result, done.outcome)
    except AeroError as error:
        raise _forged(f"the outcome is not what {target} signed of it: {error.message}", request) from error


def _forged(message: str, request: str) -> OutcomeUnverified:
    return OutcomeUnverified(message, executed="unknown", request=request)
