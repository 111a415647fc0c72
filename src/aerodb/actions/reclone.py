"""reclone: a node's data folder is made anew from the primary; the old folder stays."""

from aerodb.actions.follow import process_fits, standing_after
from aerodb.protocol.authority import Standing
from aerodb.protocol.cluster import Role
from aerodb.protocol.facts import Facts, State
from aerodb.protocol.plan import Loss, Plan, Verdict
from aerodb.rules.condition import common
from aerodb.rules.foresight import recloned
from aerodb.rules.hands import Hands
from aerodb.rules.invariants import Invariant, holds, unknown, violated
from aerodb.rules.notes import upstream_state
from aerodb.rules.position import TermUntold
from aerodb.rules.specification import NOT_CROSSED, Action, Argument, Established, Failure, Order, no_term
from aerodb.rules.standing import following
from aerodb.rules.streaming import commits_beyond, granted_term, no_cycle, parting, upstream_authority
from aerodb.rules.view import View


def source_is_primary(view: View) -> Verdict:
    """Judge whether the source may be copied from: it must hold a grant, at or above what the node has pledged."""
    upstream = view.argument("upstream")
    judged = upstream_authority(view, upstream)
    if judged.result == "holds" and granted_term(view, upstream) is None:
        return violated(Invariant.UPSTREAM_AUTHORITY, f"{upstream} is no primary; a data folder is made from a primary")
    return judged


def source_runs(view: View) -> Verdict:
    """Judge the processes: the source runs, and a target that stands as a primary is down."""
    upstream = view.argument("upstream")
    peer = view.peers.get(upstream)
    if peer is None:
        return unknown(Invariant.RUNNING_FITS, f"{upstream} did not report, so whether it can be copied is not known")
    instance = peer.facts.instance
    if instance is not None and instance.state in {State.UNREACHABLE, State.UNREADABLE}:
        return unknown(Invariant.RUNNING_FITS, f"PostgreSQL on {upstream} does not answer ({instance.state})")
    if instance is None or instance.state is not State.RUNNING:
        return violated(Invariant.RUNNING_FITS, f"PostgreSQL on {upstream} does not run, so nothing can be copied")
    judged = process_fits(view, State.STOPPED, State.CRASHED, State.UNREADABLE)
    return judged if judged.result != "holds" else holds(Invariant.RUNNING_FITS, f"{judged.evidence}; {upstream} runs")


def judge(view: View) -> tuple[Verdict, ...]:
    """Judge whether the target's data may be replaced by a copy of the primary's."""
    upstream = view.argument("upstream")
    return (*common(view, "standby", "primary"), source_runs(view), source_is_primary(view), no_cycle(view, upstream))


def loss(view: View) -> Loss:
    """State what only the old folder would still hold."""
    upstream = view.argument("upstream")
    try:
        parted = parting(view, upstream)
    except (KeyError, TermUntold):
        return Loss(
            claim="cannot be proven",
            statement=f"What only {view.node} holds cannot be told: its history or that of {upstream} is not known. "
            "The old data folder stays.",
            arithmetic=(),
        )
    if parted is None:
        return Loss(
            claim="none",
            statement=f"Nothing is lost: the log of {view.node} is part of the history of {upstream}.",
            arithmetic=(),
        )
    return Loss(
        claim="at most",
        statement=f"At most {parted.excess_bytes} bytes of WAL that only {view.node} has are served no more. They lie "
        f"beyond {parted.fork}, where the histories part; they stay in the old data folder. None of it was "
        "synchronously acknowledged, or the primary could not have been elected.",
        arithmetic=(
            f"the log of {view.node} ends {parted.excess_bytes} bytes beyond {parted.fork}",
            commits_beyond(view, parted),
        ),
    )


def operate(hands: Hands, order: Order) -> tuple[str, ...]:
    """Copy into a new folder, stop what runs, put the new folder in use by one rename (the commit point), start."""
    view = order.view
    upstream = view.argument("upstream")
    hands.copy(upstream)
    instance = view.own.facts.instance
    if instance is not None and instance.state is State.RUNNING:
        hands.stop()
    hands.write_standing(standing_after(view, hands.standing(), same_log=False))
    hands.cross(order.plan.request.id)
    hands.swap()
    hands.attach(upstream)
    hands.start()
    folder = instance.folder if instance else ""
    return (f"{view.node} runs on a new data folder copied from {upstream}; the old one, {folder}, stays",)


def established(plan: Plan, before: Facts, now: Facts, crossed: bool) -> Established:
    """Tell from the name of the folder in use whether the new one took its place."""
    del plan
    if not crossed:
        return NOT_CROSSED
    old, new = before.instance, now.instance
    if old is None or new is None:
        return Established(result="unknown", evidence="the node's data folder cannot be seen")
    if old.folder != new.folder:
        return Established(result="executed", evidence=f"the folder in use is {new.folder}, no longer {old.folder}")
    return Established(result="not executed", evidence=f"the folder in use is still {old.folder}")


def settle(hands: Hands, plan: Plan) -> Standing:
    """Return the standing of a node that runs on the new folder."""
    standing = hands.standing()
    return following(standing, plan.request.arguments["upstream"], standing.granted.term, None)


ACTION = Action(
    name="reclone",
    title="Reclone {node} from {upstream}",
    summary="A node's data folder is made anew from the primary; the old folder stays.",
    target="standby, or primary that is down",
    arguments=(
        Argument(name="upstream", option="--upstream", help="the primary to copy from", word="from", itself=False),
    ),
    authority=Role.OPERATOR,
    invariants=(
        Invariant.CONFIGURATION_AGREES,
        Invariant.JOURNAL_SETTLED,
        Invariant.ROLE_FITS,
        Invariant.RUNNING_FITS,
        Invariant.UPSTREAM_AUTHORITY,
        Invariant.NO_CYCLE,
    ),
    effects=(
        "A complete copy of {upstream}'s data is made into a new folder on {node}.",
        "PostgreSQL on {node} is stopped if it runs, the new folder takes the old one's place by one rename, and "
        "PostgreSQL is started as a standby of {upstream}.",
        "The old folder stays where it is, not in use.",
    ),
    irreversible=("{node} serves the old folder's data no more; commits that only it had stay in that folder.",),
    notes=upstream_state,
    loss=loss,
    commit_point="The rename that makes the new folder the one in use on {node}.",
    failures=(
        Failure(
            when="The copy fails, or the agent dies during it.",
            leaves="Not executed. An unfinished folder stays, named .partial, which is never started.",
            then="Ask for the outcome, remove the unfinished folder, and request reclone anew.",
        ),
        Failure(
            when="The agent dies after the copy and before the rename.",
            leaves="Not executed. PostgreSQL on {node} may be down.",
            then="Ask for the outcome; start the node, or request reclone anew.",
        ),
        Failure(
            when="The agent dies after the rename.",
            leaves="Executed. PostgreSQL on {node} is down.",
            then="Ask for the outcome, then let the node follow.",
        ),
    ),
    outage="None on the primary; the node itself is away while it is stopped.",
    term=no_term,
    judge=judge,
    operate=operate,
    established=established,
    settle=settle,
    writes=recloned,
)
