"""fence: a standby (or a witness) stops receiving WAL and pledges a new term to one candidate.

A node that stands as a primary pledges too, once its PostgreSQL is down: with the end of its WAL, as a detached standby
from then on. So a primary that was stopped, or crashed, is no dead end.
"""

from aerodb.protocol.authority import Candidacy
from aerodb.protocol.classes import ActionClass
from aerodb.protocol.cluster import Role
from aerodb.protocol.facts import Facts, State
from aerodb.protocol.plan import Plan, Verdict
from aerodb.rules.arguments import Argument
from aerodb.rules.condition import common, receiver_known, running_fits
from aerodb.rules.election import position_known, term_rises
from aerodb.rules.foreseen import pledging
from aerodb.rules.foresight import fenced
from aerodb.rules.hands import Hands
from aerodb.rules.invariants import Invariant, holds, violated
from aerodb.rules.operation import judge_again, pledge_with
from aerodb.rules.replaying import replay_runs
from aerodb.rules.specification import (
    NOT_CROSSED,
    Action,
    Established,
    Failure,
    Order,
    no_loss,
    same_standing,
)
from aerodb.rules.standing import detached, has_pledged
from aerodb.rules.view import View, standing_term


def candidacy_of(view: View) -> Candidacy:
    """Return the candidacy that the request asks the target to pledge."""
    return Candidacy(term=view.term, node=view.argument("for"))


def process_fits(view: View) -> Verdict:
    """Judge the process: a node that stands as a primary pledges only while it is down."""
    if view.own.facts.standing.role == "primary":
        return running_fits(view, State.STOPPED, State.CRASHED)
    return running_fits(view, State.RUNNING, State.STOPPED, State.CRASHED)


def candidate_readable(view: View) -> Verdict:
    """Judge whether the candidate, where it reports, has a data folder that can be read.

    Without one it cannot be elected, and whoever was pledged to may have been primary as far as later elections know.
    """
    name = view.argument("for")
    peer = view.everyone().get(name)
    instance = peer.facts.instance if peer else None
    if instance is not None and instance.state is State.UNREADABLE:
        return violated(
            Invariant.CANDIDATE_READABLE,
            f"the data folder of {name} cannot be read ({'; '.join(instance.damage)}), so it cannot be elected; a "
            "pledge to it would only make it one more that may have been primary",
        )
    said = "does not report" if peer is None else "does not report that its data folder cannot be read"
    return holds(Invariant.CANDIDATE_READABLE, f"{name} {said}")


def judge(view: View) -> tuple[Verdict, ...]:
    """Judge whether the target may pledge."""
    return (
        *common(view, "standby", "witness", "primary", past=True, elects=True),
        receiver_known(view),
        process_fits(view),
        candidate_readable(view),
        term_rises(view, candidacy_of(view)),
        position_known(view, candidacy_of(view)),
        replay_runs(view),
    )


def notes(view: View) -> tuple[str, ...]:
    """Say what becomes of a primary that is down."""
    if view.own.facts.standing.role != "primary":
        return ()
    return (
        f"{view.node} stands as a primary and is down. It becomes a detached standby, which a person may start; it is "
        "no primary again without a new election.",
    )


def operate(hands: Hands, order: Order) -> tuple[str, ...]:
    """Cut the receiver, so that the position is final, and pledge. The pledge's durable write is the commit point."""
    hands.replication.detach()
    view = judge_again(hands, order)
    candidacy = candidacy_of(view)
    standing = pledge_with(hands, view, candidacy, detached(hands.standing()), order.plan.rules)
    hands.cross(order.plan.request.id)
    hands.write_standing(standing)
    instance = view.own.facts.instance
    where = (
        f"at {instance.position.lsn}, timeline {instance.position.timeline}" if instance and instance.position else ""
    )
    return (f"{view.node} pledged term {candidacy.term} to {candidacy.node} {where}".rstrip(),)


def established(plan: Plan, before: Facts, now: Facts, crossed: bool) -> Established:
    """Tell from the durable standing whether the pledge was made; nobody but the agent writes it."""
    del before
    if not crossed:
        return NOT_CROSSED
    candidacy = Candidacy(term=plan.term, node=plan.request.arguments["for"])
    if has_pledged(now.standing, candidacy):
        return Established(result="executed", evidence=f"the standing holds the pledge of term {plan.term}")
    return Established(
        result="not executed",
        evidence=f"the standing's pledged term is {now.standing.pledged.term}, and term {plan.term} was not pledged to "
        f"{candidacy.node}",
    )


ACTION = Action(
    name="fence",
    title="Fence {node} for {for}",
    summary="A standby cuts its WAL receiver, or a witness or a primary that is down steps in, and pledges a new term "
    "to one candidate.",
    target="standby, witness, or primary that is down",
    arguments=(
        Argument(name="for", option="--for", help="the candidate that the pledge is for", word="for", itself=True),
    ),
    authority=Role.OPERATOR,
    of_class=ActionClass.AUTHORITY,
    invariants=(
        Invariant.IN_CHARGE,
        Invariant.CONFIGURATION_AGREES,
        Invariant.JOURNAL_SETTLED,
        Invariant.ROLE_FITS,
        Invariant.RECEIVER_KNOWN,
        Invariant.RUNNING_FITS,
        Invariant.CANDIDATE_READABLE,
        Invariant.TERM_RISES,
        Invariant.POSITION_KNOWN,
        Invariant.REPLAY_RUNS,
    ),
    effects=(
        "{node} stops receiving WAL and replays all that it has.",
        "{node} pledges term {term} to {for}: nothing below term {term}, and in it nobody else.",
        "{node} acknowledges no more commits until it follows a primary of term {term} or above.",
    ),
    irreversible=("The pledge of term {term} is never taken back; only a higher term supersedes it.",),
    notes=notes,
    loss=no_loss,
    commit_point="The durable write of the pledge into {node}'s standing, after its receiver is verifiably gone.",
    failures=(
        Failure(
            when="The agent dies before the pledge is durable.",
            leaves="Not executed. The receiver may already be cut; the node then waits, detached.",
            then="Ask for the outcome, then request fence or follow anew.",
        ),
        Failure(
            when="The receiver does not end, or replay does not finish, in time.",
            leaves="Not executed. The node is detached and has pledged nothing.",
            then="Look at the node's server log; request fence or follow anew.",
        ),
    ),
    outage="Commits wait where too few synchronous standbys are left.",
    term=lambda view: standing_term(view.everyone(), view.argument("for"), view.node),
    judge=judge,
    operate=operate,
    established=established,
    settle=same_standing,
    writes=fenced,
    leaves=pledging,
)
