"""Signed ahead, at the terminal: how a request names the one before or after it, and what is shown of that one.

- `--after demote:n1` chooses the id of the request that comes first, and puts it into the plan.
- `--then REQUEST` reads that plan again, and takes its id from there; its digest words are shown before anything is
  signed.
"""

import re
import uuid

from aerodb.cli import verification
from aerodb.cli.decided import decision_of
from aerodb.cli.failures import OutcomeUnverified, PlanAltered
from aerodb.cli.held import check_held, show_held
from aerodb.cli.named import whole_id
from aerodb.cli.outcome import show_outcome
from aerodb.cli.profile import Profile
from aerodb.cli.session import READ_TIMEOUT_SECONDS, Session
from aerodb.cli.terminal import Terminal, escape
from aerodb.protocol.ahead import AFTER, THEN, Later, read_earlier, read_later
from aerodb.protocol.api import Decision, Done
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.plan import Plan, plan_digest
from aerodb.rules.ahead import over_sentence
from aerodb.views.brief import SignedNext

_BRIEF = re.compile("[a-z][a-z-]*:[^: ]+")


def completed_after(arguments: dict[str, str]) -> dict[str, str]:
    """Return arguments in which the request before has an id, where it was named without one."""
    text = arguments.get(AFTER)
    if text is None or not _BRIEF.fullmatch(text):
        return arguments
    return {**arguments, AFTER: f"{text}:{uuid.uuid4()}"}


def in_sequence(session: Session, profile: Profile, node: str, arguments: dict[str, str]) -> tuple[str, dict[str, str]]:
    """Return the id and the arguments of a new request, as the ones before and after it want them to be.

    Raises:
        PlanAltered: the request after it has no plan, or one that comes after something else.
        SequenceMalformed: it is not named as it must be.
    """
    text = arguments.get(THEN)
    if text is None:
        return str(uuid.uuid4()), completed_after(arguments)
    typed, _, digest = text.partition(":")
    named = whole_id(session, session.connect(profile, READ_TIMEOUT_SECONDS), typed)
    decision, plan = _planned(session, profile, named)
    earlier = read_earlier(plan.request.arguments.get(AFTER, ""), THEN)
    if earlier.target != node:
        raise PlanAltered(f"{named} comes after {earlier.words}, and not after a request to {node}")
    then = Later(request=named, plan=plan_digest(decision.plan or ""))
    if digest and digest != then.plan:
        raise PlanAltered(f"the plan of {named} has another digest than is named: {then.plan}")
    return earlier.request, {**arguments, THEN: str(then)}


def _planned(session: Session, profile: Profile, request: str) -> tuple[Decision, Plan]:
    caller = session.connect(profile, READ_TIMEOUT_SECONDS)
    decision = decision_of(caller, request)
    if decision.plan is None:
        raise PlanAltered(f"the request {request} has no plan on record")
    plan = verification.read_plan(decision.plan)
    return decision, plan


def following_of(session: Session, profile: Profile, plan: Plan) -> SignedNext | None:
    """Return the signed plan that follows a plan without another question, if one does.

    Raises:
        PlanAltered: the plan on record is not the one that is named.
    """
    text = plan.request.arguments.get(THEN)
    if text is None:
        return None
    later = read_later(text)
    decision, then = _planned(session, profile, later.request)
    if plan_digest(decision.plan or "") != later.plan:
        raise PlanAltered(f"the plan of {later.request} on record is not the one that this plan names")
    return SignedNext(then, decision.plan or "")


def next_sentence(plan: Plan) -> str:
    """Say which signed order runs without another question once this plan is executed; empty where none does."""
    text = plan.request.arguments.get(THEN)
    if text is None:
        return ""
    later, node = read_later(text).request, plan.request.arguments.get("for", "its node")
    return f"once it is executed, {node} runs the order that it holds, too: aerodb outcome {later}"


def show_over(terminal: Terminal, plan: Plan) -> None:
    """Say of a plan that will not be executed what becomes of the order that waits for it, if one does."""
    text = plan.request.arguments.get(THEN)
    if text is not None:
        terminal.line(escape(over_sentence(read_later(text).request)), "warn")


def show_sequence(
    terminal: Terminal, cluster: Cluster, plan: Plan, text: str, following: SignedNext | None, done: Done
) -> Done:
    """Show what became of a request and of the one that follows it; return which of the two decides.

    Raises:
        OutcomeUnverified: an answer is not what a node signed.
    """
    asked = plan.request
    if done.result == "held":
        check_held(cluster, plan, plan_digest(text), done.outcome)
        show_held(terminal, asked)
        return done
    show_outcome(terminal, cluster, asked.id, asked.target, plan_digest(text), done)
    if following is None:
        return done
    then, later = done.then or None, following.plan.request
    terminal.line("")
    terminal.line(escape(f"Then {later.action} {later.target}:"), "heading")
    if then is None:
        why = "the control plane does not say what became of the request after it"
        raise OutcomeUnverified(why, executed="unknown", request=later.id)
    show_outcome(terminal, cluster, later.id, later.target, read_later(asked.arguments[THEN]).plan, then)
    if then.message and then.outcome is not None and then.result != "executed":
        terminal.line(escape(f"  {then.message}"), "warn")
    return then if done.result == "executed" else done
