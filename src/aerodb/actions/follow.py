"""follow: a standby streams from another node; a former primary that is down comes back as a standby.

- What the grant says is durable before the node is attached, so that it can never acknowledge in a term and still
  pledge below it.
- That it stands to follow is durable after it is attached: nothing that was not executed is carried out by a later
  start.
"""

from msgspec.structs import replace

from aerodb.protocol.authority import Standing
from aerodb.protocol.classes import ActionClass
from aerodb.protocol.cluster import Role
from aerodb.protocol.facts import Facts, State
from aerodb.protocol.plan import Plan, Verdict
from aerodb.rules.arguments import Argument
from aerodb.rules.condition import SETTINGS, common, receiver_known, running_fits, unread
from aerodb.rules.foreseen import attached
from aerodb.rules.foresight import followed
from aerodb.rules.hands import Hands
from aerodb.rules.invariants import Invariant
from aerodb.rules.notes import upstream_state
from aerodb.rules.operation import own_history
from aerodb.rules.specification import (
    NOT_CROSSED,
    Action,
    Established,
    Failure,
    Order,
    no_loss,
    no_term,
)
from aerodb.rules.standing import following, granted
from aerodb.rules.streaming import grant_of, granted_term, may_stream
from aerodb.rules.view import View


def process_fits(view: View, *down: State) -> Verdict:
    """Judge the process: a standby running or `down`, a primary only when it is down."""
    if view.own.facts.standing.role == "primary":
        return running_fits(view, *down)
    return running_fits(view, State.RUNNING, *down)


def judge(view: View) -> tuple[Verdict, ...]:
    """Judge whether the target may stream from the upstream."""
    upstream = view.argument("upstream")
    return (
        *common(view, "standby", "primary", elects=True),
        receiver_known(view),
        process_fits(view, State.STOPPED, State.CRASHED),
        *may_stream(view, upstream),
    )


def standing_after(view: View, standing: Standing) -> Standing:
    """Return the standing of the target once it follows."""
    upstream = view.argument("upstream")
    grant, peer = grant_of(view, upstream), view.peers[upstream]
    signed = peer.facts.standing.grant
    if grant is not None and signed is not None:
        standing = granted(standing, grant, signed, own=False)
    elif peer.facts.standing.role == "standby":
        standing = own_history(view, standing)
    instance = view.own.facts.instance
    end = instance.position.lsn if instance and instance.position else None
    return following(standing, upstream, granted_term(view, upstream) or 0, end)


def operate(hands: Hands, order: Order) -> tuple[str, ...]:
    """Note the term, name the upstream in the durable settings (the commit point), stand so; start where it is down."""
    view, before = order.view, hands.standing()
    upstream, after = view.argument("upstream"), standing_after(view, before)
    hands.write_standing(replace(after, role=before.role, upstream=before.upstream, halted=before.halted))
    hands.cross(order.plan.request.id)
    hands.replication.attach(upstream)
    hands.write_standing(after)
    instance = view.own.facts.instance
    if instance is None or instance.state is not State.RUNNING:
        hands.process.start()
        return (f"{view.node} names {upstream} as its upstream, and was started as a standby",)
    return (f"{view.node} names {upstream} as its upstream",)


def established(plan: Plan, before: Facts, now: Facts, crossed: bool) -> Established:
    """Tell from the node's settings whether they name the upstream; nobody but the agent writes them."""
    del before
    if not crossed:
        return NOT_CROSSED
    upstream, instance = plan.request.arguments["upstream"], now.instance
    if instance is not None and instance.attached == upstream:
        return Established(
            result="executed", evidence=f"the settings name {upstream} as upstream; PostgreSQL is {instance.state}"
        )
    if instance is None or SETTINGS in unread(instance):
        return Established(result="unknown", evidence="the settings cannot be read; ask again when they can")
    return Established(result="not executed", evidence=f"the settings do not name {upstream} as upstream")


def settle(hands: Hands, plan: Plan) -> Standing:
    """Return the standing of a node whose settings name the upstream."""
    return replace(hands.standing(), role="standby", upstream=plan.request.arguments["upstream"], halted=False)


ACTION = Action(
    name="follow",
    title="Let {node} follow {upstream}",
    summary="A standby streams from another node; a former primary that is down comes back as a standby.",
    target="standby, or primary that is down",
    arguments=(
        Argument(name="upstream", option="--upstream", help="the node to stream from", word="to", itself=False),
    ),
    authority=Role.OPERATOR,
    of_class=ActionClass.RUNNING,
    invariants=(
        Invariant.IN_CHARGE,
        Invariant.CONFIGURATION_AGREES,
        Invariant.JOURNAL_SETTLED,
        Invariant.ROLE_FITS,
        Invariant.RECEIVER_KNOWN,
        Invariant.RUNNING_FITS,
        Invariant.UPSTREAM_AUTHORITY,
        Invariant.WAL_ANCESTRY,
        Invariant.NO_CYCLE,
    ),
    effects=(
        "{node} streams from {upstream}. If {upstream} is a primary, {node} takes on the term that it holds.",
        "If PostgreSQL on {node} is down, it is started, as a standby.",
    ),
    irreversible=("{node} never again pledges a term at or below one that {upstream} holds as a primary.",),
    notes=upstream_state,
    loss=no_loss,
    commit_point="The durable settings of {node} that name {upstream} as its upstream.",
    failures=(
        Failure(
            when="The agent dies before the settings are durable.",
            leaves="Not executed. {node} may already hold itself to the upstream's term, which harms nothing.",
            then="Ask for the outcome, then request follow anew.",
        ),
        Failure(
            when="The agent dies after that, before a PostgreSQL that was down is started.",
            leaves="Executed; PostgreSQL is down.",
            then="Ask for the outcome, then start the node.",
        ),
        Failure(
            when="The upstream no longer has the WAL that the node needs.",
            leaves="Executed; the receiver fails and says so in the status.",
            then="Reclone the node.",
        ),
    ),
    outage="None.",
    term=no_term,
    judge=judge,
    operate=operate,
    established=established,
    settle=settle,
    writes=followed,
    leaves=attached,
)
