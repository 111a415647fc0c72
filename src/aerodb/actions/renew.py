"""renew: a running primary is granted a higher term without stopping; an election that was given up ends so."""

from aerodb.protocol.authority import Candidacy
from aerodb.protocol.classes import ActionClass
from aerodb.protocol.cluster import Role
from aerodb.protocol.facts import Facts, State
from aerodb.protocol.plan import Loss, Plan, Verdict
from aerodb.rules.condition import common, policy_known, running_fits
from aerodb.rules.election import ELECTION, election, election_loss, renewal_quorum
from aerodb.rules.foreseen import granted
from aerodb.rules.foresight import unchanged
from aerodb.rules.hands import Hands
from aerodb.rules.invariants import Invariant
from aerodb.rules.operation import REPLACED, is_replaced, judge_again, pledge_with, take_grant
from aerodb.rules.specification import NOT_CROSSED, Action, Established, Failure, Order, no_notes
from aerodb.rules.view import View, standing_term


def judge(view: View) -> tuple[Verdict, ...]:
    """Judge whether the pledges renew the primary's authority in a higher term."""
    return (
        *common(view, "primary", elects=True),
        policy_known(view),
        running_fits(view, State.RUNNING),
        *election(view, renewal_quorum),
    )


def loss(view: View) -> Loss:
    """State what acknowledged commits the renewal could lose."""
    return election_loss(view, renewal_quorum)


def operate(hands: Hands, order: Order) -> tuple[str, ...]:
    """Pledge to oneself, write the term's row (the commit point), and sign the grant."""
    view = judge_again(hands, order)
    candidacy = Candidacy(term=view.term, node=view.node)
    if hands.standing().pledged != candidacy:
        hands.write_standing(pledge_with(hands, view, candidacy, hands.standing(), order.plan.rules))
    hands.cross(order.plan.request.id)
    end = hands.replication.write_term(view.term, view.cluster.quorum, view.cluster.epoch)
    hands.write_standing(take_grant(hands, order.plan))
    return (f"{view.node} is primary of term {view.term}, on the same timeline; the term's row ends at {end}",)


def established(plan: Plan, before: Facts, now: Facts, crossed: bool) -> Established:
    """Tell from the node's own WAL whether the term's row is there, or may still be written."""
    if not crossed:
        return NOT_CROSSED
    if is_replaced(before, now):
        return REPLACED
    instance = now.instance
    if instance is None or instance.state is not State.RUNNING or instance.position is None or instance.load is None:
        return Established(
            result="unknown",
            evidence="PostgreSQL does not answer, so the term's row cannot be read; ask again when it runs",
        )
    if instance.position.term is None:
        return Established(result="unknown", evidence="the terms in the WAL cannot be read; ask again")
    if instance.position.term >= plan.term:
        return Established(result="executed", evidence=f"the row of term {instance.position.term} is in the WAL")
    if instance.load.lingering > 0:
        return Established(
            result="unknown",
            evidence=f"{instance.load.lingering} of the agent's earlier sessions are still there, and one may be about "
            "to write the row; ask again when they have ended, or stop the node, start it, and ask again",
        )
    return Established(result="not executed", evidence=f"there is no row of term {plan.term} in the WAL")


ACTION = Action(
    name="renew",
    title="Renew {node} as primary, in term {term}",
    summary="A running primary is granted a higher term without stopping: an election that was given up ends so.",
    target="running primary",
    arguments=(),
    authority=Role.OPERATOR,
    of_class=ActionClass.AUTHORITY,
    invariants=(
        Invariant.IN_CHARGE,
        Invariant.CONFIGURATION_AGREES,
        Invariant.JOURNAL_SETTLED,
        Invariant.ROLE_FITS,
        Invariant.POLICY_KNOWN,
        Invariant.RUNNING_FITS,
        *ELECTION,
    ),
    effects=(
        "{node} pledges term {term} to itself and goes on as primary, in that term, without stopping.",
        "The timeline stays. Nodes that were fenced may follow {node} again, each by a request of its own.",
    ),
    irreversible=("The pledge of term {term} is never taken back.",),
    notes=no_notes,
    loss=loss,
    commit_point="The row of term {term} in {node}'s WAL.",
    failures=(
        Failure(
            when="The agent dies before the term's row is written.",
            leaves="Not executed. {node} has pledged the term to itself, and does not start with its host until it is "
            "renewed or started.",
            then="Ask for the outcome, then request renew anew.",
        ),
        Failure(
            when="The agent dies after the term's row is written.",
            leaves="Executed. The grant is signed when the outcome is asked for.",
            then="Ask for the outcome.",
        ),
    ),
    outage="None.",
    term=lambda view: standing_term(view.everyone(), view.node, view.node),
    judge=judge,
    operate=operate,
    established=established,
    settle=take_grant,
    writes=unchanged,
    leaves=granted,
)
