"""demote: a running primary shuts down cleanly and pledges a new term to its successor."""

from msgspec.structs import replace

from aerodb.protocol.ahead import THEN
from aerodb.protocol.authority import Candidacy, Pledge, Standing
from aerodb.protocol.classes import ActionClass
from aerodb.protocol.cluster import Role
from aerodb.protocol.facts import Facts, State
from aerodb.protocol.plan import Plan, Verdict
from aerodb.rules.ahead import successor_holds
from aerodb.rules.arguments import Argument
from aerodb.rules.condition import common, policy_known, running_fits
from aerodb.rules.election import electable, position_known, prospective_pledge, term_rises
from aerodb.rules.foreseen import with_instance, with_standing
from aerodb.rules.foresight import demoted
from aerodb.rules.hands import Hands
from aerodb.rules.invariants import Invariant, holds, violated
from aerodb.rules.notes import before_a_demotion
from aerodb.rules.operation import REPLACED, is_replaced, judge_again, not_shut_down
from aerodb.rules.replaying import below, stalled
from aerodb.rules.specification import NOT_CROSSED, Action, Established, Failure, Order, no_loss
from aerodb.rules.standing import detached, has_pledged, promised
from aerodb.rules.view import Peer, View, standing_term
from aerodb.rules.writes import denied, parted


def successor_streams(view: View) -> Verdict:
    """Judge whether the successor is there to receive the last of the WAL before writes stop."""
    successor, instance = view.argument("for"), view.own.facts.instance
    sender = next((each for each in instance.senders if each.node == successor), None) if instance else None
    if sender is None:
        return violated(Invariant.SUCCESSOR_STREAMS, f"{successor} does not stream from {view.node}")
    if sender.state != "streaming":
        return violated(Invariant.SUCCESSOR_STREAMS, f"{successor} is in state {sender.state}, not streaming")
    if view.cluster.quorum > 0 and sender.sync_state not in {"quorum", "sync"}:
        return violated(Invariant.SUCCESSOR_STREAMS, f"{successor} is {sender.sync_state}, not a synchronous standby")
    position = instance.position if instance else None
    if sender.ahead or stalled(sender, position.lsn if position else None):
        said = "has another WAL" if sender.ahead else f"has said nothing for {sender.silent_seconds} s"
        return violated(Invariant.SUCCESSOR_STREAMS, f"{successor} is connected to {view.node}, and {said}")
    return successor_says(view, successor) or holds(
        Invariant.SUCCESSOR_STREAMS, f"{successor} streams from {view.node} ({sender.sync_state})"
    )


def successor_says(view: View, successor: str) -> Verdict | None:
    """Judge what the successor itself reports: that it receives, and that nothing is in the way of its promotion.

    The primary may not have noticed yet that nobody receives any more what it sends.
    """
    own, peer = view.own.facts.instance, view.peers.get(successor)
    if peer is not None and denied(peer.facts, view.node):
        return violated(
            Invariant.SUCCESSOR_STREAMS, f"{successor} itself says that it does not stream from {view.node}"
        )
    instance = peer.facts.instance if peer else None
    if own is None or instance is None:
        return None  # One that gives no report is not electable; that is judged for itself.
    if peer is not None and parted(peer.facts, own):
        return violated(Invariant.SUCCESSOR_STREAMS, f"the WAL of {successor} is not part of that of {view.node}")
    if instance.keeping.replay is not None and instance.keeping.replay.paused:
        return violated(Invariant.SUCCESSOR_STREAMS, f"replay on {successor} is paused: it could not be promoted")
    lower = below(instance.keeping.capacity, own.keeping.capacity)
    if lower:
        return violated(
            Invariant.SUCCESSOR_STREAMS, f"settings of {successor} stop its replay, or will: {', '.join(lower)}"
        )
    return None


def judge(view: View) -> tuple[Verdict, ...]:
    """Judge whether the primary may step down for its successor."""
    candidacy = Candidacy(term=view.term, node=view.argument("for"))
    return (
        *common(view, "primary", elects=True),
        policy_known(view),
        running_fits(view, State.RUNNING),
        term_rises(view, candidacy),
        position_known(view, candidacy),
        successor_streams(view),
        electable(view, view.argument("for")),
        successor_holds(view, view.argument("for")),
    )


def stepped_down(standing: Standing, candidacy: Candidacy) -> Standing:
    """Return the standing of a primary that was shut down for its successor; the pledge is made from it."""
    return promised(replace(detached(standing), halted=True), candidacy)


def leaves(view: View, peer: Peer) -> Peer:
    """Return the primary as one that was shut down cleanly and has pledged: its WAL ends where it is foreseen to.

    Whom its settings name stays: a demotion writes none.
    """
    candidacy, before = Candidacy(term=view.term, node=view.argument("for")), view.own.facts.instance
    pledged = replace(
        with_standing(peer, stepped_down(view.own.facts.standing, candidacy)),
        pledge=prospective_pledge(view, candidacy),
    )
    if before is None:
        return pledged
    end = before.position.lsn if before.position else None
    return with_instance(pledged, shutdown=end, recovery=False, attached=before.attached)


def settle(hands: Hands, plan: Plan) -> Standing:
    """Return the standing of a primary that was shut down cleanly for its successor, its signed pledge included."""
    facts, standing = hands.look(), hands.standing()
    candidacy = Candidacy(term=plan.term, node=plan.request.arguments["for"])
    after = stepped_down(standing, candidacy)
    instance = facts.instance
    pledge = Pledge(
        cluster=plan.cluster,
        node=plan.request.target,
        epoch=facts.epoch,
        term=candidacy.term,
        candidate=candidacy.node,
        position=instance.position if instance else None,
        granted=after.granted,
        since=after.since,
        quorum=instance.quorum if instance else None,
    )
    return replace(after, pledge=hands.sign(pledge, plan.rules))


def operate(hands: Hands, order: Order) -> tuple[str, ...]:
    """Checkpoint, judge again, shut down cleanly (the commit point), and pledge with the end of the WAL as position.

    A checkpoint can take minutes, and the successor can be lost meanwhile: then nothing is stopped.
    """
    hands.process.checkpoint()
    judge_again(hands, order)
    hands.cross(order.plan.request.id)
    hands.process.stop()
    standing = settle(hands, order.plan)
    hands.write_standing(standing)
    return (f"{order.view.node} shut down cleanly and pledged term {order.plan.term} to {standing.pledged.node}",)


def established(plan: Plan, before: Facts, now: Facts, crossed: bool) -> Established:
    """Tell from the control file whether the primary was shut down cleanly, or still may be."""
    if not crossed:
        return NOT_CROSSED
    if is_replaced(before, now):
        return REPLACED
    instance, candidacy = now.instance, Candidacy(term=plan.term, node=plan.request.arguments["for"])
    if has_pledged(now.standing, candidacy):
        return Established(result="executed", evidence=f"the standing holds the pledge of term {plan.term}")
    if now.standing.pledged.term >= plan.term:
        return Established(
            result="not executed",
            evidence=f"the node has promised term {now.standing.pledged.term} since, so the pledge of term {plan.term} "
            "can never be made",
        )
    if instance is not None and instance.state is State.STOPPED and instance.shutdown is not None:
        return Established(result="executed", evidence=f"shut down cleanly; the WAL ends at {instance.shutdown}")
    if instance is not None and instance.state is State.STOPPED:
        return Established(result="not executed", evidence="PostgreSQL was shut down in recovery, not as a primary")
    return not_shut_down(before, now)


ACTION = Action(
    name="demote",
    title="Demote {node} for {for}",
    summary="A running primary shuts down cleanly and pledges a new term to its successor.",
    target="running primary",
    arguments=(
        Argument(name="for", option="--for", help="the successor that is to be promoted", word="for", itself=False),
        Argument(
            name=THEN,
            option="--then",
            kind="later",
            optional=True,
            word="then",
            help="the promotion of the successor, which is signed already and runs at once",
        ),
    ),
    authority=Role.OPERATOR,
    of_class=ActionClass.AUTHORITY,
    invariants=(
        Invariant.IN_CHARGE,
        Invariant.CONFIGURATION_AGREES,
        Invariant.JOURNAL_SETTLED,
        Invariant.ROLE_FITS,
        Invariant.POLICY_KNOWN,
        Invariant.RUNNING_FITS,
        Invariant.TERM_RISES,
        Invariant.POSITION_KNOWN,
        Invariant.SUCCESSOR_STREAMS,
        Invariant.SUCCESSOR_ELECTABLE,
        Invariant.SUCCESSOR_HOLDS,
    ),
    effects=(
        "{node} runs a checkpoint and shuts down cleanly. ALL WRITES STOP, until {for} is promoted.",
        "{node} pledges term {term} to {for}; its WAL ends with the shutdown checkpoint, which {for} receives.",
        "{node} stays down until a person starts it or lets it follow.",
    ),
    irreversible=(
        "Every session on {node} is disconnected.",
        "The pledge of term {term} is never taken back: {node} is no primary again without a new election.",
    ),
    notes=before_a_demotion,
    loss=no_loss,
    commit_point="The clean shutdown in {node}'s control file.",
    failures=(
        Failure(
            when="The successor is lost during the checkpoint.",
            leaves="Not executed. Nothing was stopped, and {node} goes on as the primary.",
            then="Request demote anew, for a successor that streams.",
        ),
        Failure(
            when="PostgreSQL does not shut down in time.",
            leaves="Unknown until it has: the shutdown goes on by itself.",
            then="Look at PostgreSQL's server log and ask for the outcome.",
        ),
        Failure(
            when="The agent dies after the shutdown and before the pledge is durable.",
            leaves="Executed. The pledge is signed when the outcome is asked for.",
            then="Ask for the outcome; then promote.",
        ),
        Failure(
            when="The successor is lost before it is promoted.",
            leaves="No primary. The demoted node's pledge names a successor that is gone.",
            then="Fence the demoted node and another for a new candidate, and promote that one.",
        ),
    ),
    outage="Writes stop, until the successor is promoted.",
    term=lambda view: standing_term(view.everyone(), view.argument("for"), view.node),
    judge=judge,
    operate=operate,
    established=established,
    settle=settle,
    writes=demoted,
    leaves=leaves,
)
