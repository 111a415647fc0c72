"""stop: a node's PostgreSQL shuts down cleanly, and stays down until a person starts it."""

from msgspec.structs import replace

from aerodb.protocol.authority import Standing
from aerodb.protocol.classes import ActionClass
from aerodb.protocol.cluster import Role
from aerodb.protocol.facts import Facts, Instance, State
from aerodb.protocol.plan import Plan, Verdict
from aerodb.rules.charge import in_charge
from aerodb.rules.condition import configuration_agrees, running_fits, stands_as
from aerodb.rules.foreseen import with_standing
from aerodb.rules.foresight import stopped
from aerodb.rules.hands import Hands
from aerodb.rules.invariants import Invariant
from aerodb.rules.notes import before_a_shutdown
from aerodb.rules.operation import not_shut_down
from aerodb.rules.specification import NOT_CROSSED, Action, Established, Failure, Order, no_loss, no_term
from aerodb.rules.view import Peer, View


def judge(view: View) -> tuple[Verdict, ...]:
    """Judge whether the target can be stopped; also one that somebody promoted by hand, which stands as a standby."""
    return (
        in_charge(view),
        configuration_agrees(view),
        stands_as(view, "primary", "standby"),
        running_fits(view, State.RUNNING, State.UNREACHABLE),
    )


def leaves(view: View, peer: Peer) -> Peer:
    """Return the node as one that a person stopped."""
    return with_standing(peer, replace(view.own.facts.standing, halted=True))


def settle(hands: Hands, plan: Plan) -> Standing:
    """Return the standing of a node that a person stopped."""
    del plan
    return replace(hands.standing(), halted=True)


def operate(hands: Hands, order: Order) -> tuple[str, ...]:
    """Checkpoint and shut down (the commit point); the standing then says that a person stopped it."""
    own = order.view.own.facts
    if own.standing.role == "primary" and own.instance is not None and own.instance.state is State.RUNNING:
        hands.process.checkpoint()
    hands.cross(order.plan.request.id)
    hands.process.stop()
    hands.write_standing(settle(hands, order.plan))
    return (says_down(hands.look().instance),)


def says_down(instance: Instance | None) -> str:
    """Say how a PostgreSQL that has no process any more went down."""
    if instance is not None and instance.state is State.STOPPED:
        return "PostgreSQL was shut down cleanly"
    return "PostgreSQL is down, without a clean shutdown: its next start recovers from its WAL"


def established(plan: Plan, before: Facts, now: Facts, crossed: bool) -> Established:
    """Tell from the process and the control file whether PostgreSQL was shut down, or still may be."""
    del plan
    if not crossed:
        return NOT_CROSSED
    if now.instance is not None and now.instance.state not in {State.RUNNING, State.UNREACHABLE}:
        return Established(result="executed", evidence=says_down(now.instance))
    return not_shut_down(before, now)


ACTION = Action(
    name="stop",
    title="Stop {node}",
    summary="A node's PostgreSQL shuts down cleanly, and stays down until a person starts it.",
    target="node whose PostgreSQL has a process",
    arguments=(),
    authority=Role.OPERATOR,
    of_class=ActionClass.RUNNING,
    invariants=(
        Invariant.IN_CHARGE,
        Invariant.CONFIGURATION_AGREES,
        Invariant.ROLE_FITS,
        Invariant.RUNNING_FITS,
    ),
    effects=(
        "PostgreSQL on {node} shuts down and stays down until a person starts it. One that answers shuts down cleanly.",
        "If {node} is the primary, ALL WRITES STOP until it is started, or another is elected.",
    ),
    irreversible=("Every session on {node} is disconnected.",),
    notes=before_a_shutdown,
    loss=no_loss,
    commit_point="The end of PostgreSQL's process on {node}.",
    failures=(
        Failure(
            when="PostgreSQL does not shut down in time.",
            leaves="Unknown until it has: the shutdown goes on by itself.",
            then="Look at PostgreSQL's server log and ask for the outcome.",
        ),
        Failure(
            when="The agent dies after the shutdown.",
            leaves="Executed. That a person stopped it is written down when the outcome is asked for.",
            then="Ask for the outcome.",
        ),
    ),
    outage="On a primary, writes stop. On a standby, commits wait where too few synchronous standbys are left.",
    term=no_term,
    judge=judge,
    operate=operate,
    established=established,
    settle=settle,
    writes=stopped,
    leaves=leaves,
)
