"""reclone: a node's data folder is made anew from the primary; the old folder stays.

- The node ends acknowledging before the copy begins, so that the copy holds all that it ever acknowledged, and owes
  that to every election, durably, before its WAL is discarded.
- The standing is bound to the new folder after the rename: in between, nothing that is remembered is taken for true
  of it.
"""

from aerodb.actions.follow import process_fits
from aerodb.protocol.authority import Owed, Standing
from aerodb.protocol.classes import ActionClass
from aerodb.protocol.cluster import Role
from aerodb.protocol.facts import Facts, State
from aerodb.protocol.plan import Loss, Plan, Verdict
from aerodb.rules.arguments import Argument
from aerodb.rules.condition import common
from aerodb.rules.foreseen import attached, with_instance
from aerodb.rules.foresight import recloned
from aerodb.rules.hands import Hands
from aerodb.rules.invariants import Invariant, holds, unknown, violated
from aerodb.rules.notes import held_up, upstream_state
from aerodb.rules.operation import judge_again
from aerodb.rules.position import Divergence, TermUntold
from aerodb.rules.promises import promise_above
from aerodb.rules.specification import NOT_CROSSED, Action, Established, Failure, Order, no_term
from aerodb.rules.standing import copied, detached, informed, owing
from aerodb.rules.streaming import commits_beyond, grant_of, granted_term, no_cycle, parting, upstream_authority
from aerodb.rules.view import Peer, View

DOWN = (State.STOPPED, State.CRASHED, State.UNREADABLE)
"""The states in which there surely is no process."""


def source_is_primary(view: View) -> Verdict:
    """Judge whether the source may be copied from: it must hold a grant, at or above what the node has pledged."""
    upstream = view.argument("upstream")
    judged = upstream_authority(view, upstream)
    if judged.result == "holds" and granted_term(view, upstream) is None:
        return violated(Invariant.UPSTREAM_AUTHORITY, f"{upstream} is no primary; a data folder is made from a primary")
    return judged


def runs(view: View) -> bool:
    """Tell whether PostgreSQL on the target runs."""
    instance = view.own.facts.instance
    return instance is not None and instance.state is State.RUNNING


def source_runs(view: View) -> Verdict:
    """Judge the processes: the source runs, of the node's major version; a node that stands as a primary is down."""
    upstream = view.argument("upstream")
    peer = view.peers.get(upstream)
    if peer is None:
        return unknown(Invariant.RUNNING_FITS, f"{upstream} did not report, so whether it can be copied is not known")
    instance = peer.facts.instance
    if instance is not None and instance.state in {State.UNREACHABLE, State.UNREADABLE}:
        return unknown(Invariant.RUNNING_FITS, f"PostgreSQL on {upstream} does not answer ({instance.state})")
    if instance is None or instance.state is not State.RUNNING:
        return violated(Invariant.RUNNING_FITS, f"PostgreSQL on {upstream} does not run, so nothing can be copied")
    own = view.own.facts.instance
    if own is not None and own.major != instance.major:
        return violated(
            Invariant.RUNNING_FITS,
            f"PostgreSQL on {upstream} is {instance.version}, and on {view.node} {own.version}: a copy of one major "
            "version's data does not start with another's programs",
        )
    judged = process_fits(view, *DOWN)
    return judged if judged.result != "holds" else holds(Invariant.RUNNING_FITS, f"{judged.evidence}; {upstream} runs")


def final(view: View) -> Owed | None:
    """Return how far the WAL that is to be discarded may have acknowledged, as it ends now; None is unknown."""
    instance = view.own.facts.instance
    position = instance.position if instance else None
    if position is None or position.bound is None:
        return None
    return Owed(term=position.bound, lsn=position.lsn)


def vote_kept(view: View) -> Verdict:
    """Judge whether what the discarded WAL may have acknowledged can stay in the node's vote.

    Where the WAL does not tell, it can only have acknowledged for primaries up to the newest one, whose WAL holds all
    that: so the source must be that one, and the node must be down, or it could go on meanwhile.
    """
    upstream, owed, instance = view.argument("upstream"), final(view), view.own.facts.instance
    if owed is not None:
        return holds(
            Invariant.VOTE_KEPT,
            f"the WAL of {view.node} ends in term {owed.term}; its vote goes on as if it still had that WAL",
        )
    if instance is None or instance.state not in DOWN:
        return unknown(Invariant.VOTE_KEPT, f"{view.node} cannot tell where its WAL ends while it runs; stop it first")
    term = granted_term(view, upstream)
    if term is None:
        return unknown(Invariant.VOTE_KEPT, f"{upstream} shows no grant of its own")
    standings = {name: peer.facts.standing for name, peer in view.everyone().items()}
    promise = promise_above(standings, term, upstream)
    if promise:
        return violated(Invariant.VOTE_KEPT, f"{promise}, above the term {term} of {upstream}")
    evidence = (
        f"{view.node} cannot tell where its WAL ends; {len(standings)} of {len(view.cluster.members)} members state "
        f"that they have promised nobody else a term above {term}, which {upstream} holds ({', '.join(standings)}); "
        f"{view.cluster.majority} are needed"
    )
    return (holds if len(standings) >= view.cluster.majority else unknown)(Invariant.VOTE_KEPT, evidence)


def judge(view: View) -> tuple[Verdict, ...]:
    """Judge whether the target's data may be replaced by a copy of the primary's."""
    upstream = view.argument("upstream")
    return (
        *common(view, "standby", "primary", past=True),
        source_runs(view),
        source_is_primary(view),
        vote_kept(view),
        no_cycle(view, upstream),
    )


def notes(view: View) -> tuple[str, ...]:
    """Say what waits while the copy is made, for which the node stops acknowledging beforehand."""
    instance = view.own.facts.instance
    if instance is None or not runs(view) or instance.attached is None:
        return (*upstream_state(view), *held_up(view))
    return (
        f"{view.node} acknowledges nothing from the beginning of the copy until it streams again; the copy takes as "
        "long as the data is large.",
        *upstream_state(view),
        *held_up(view),
    )


def _acknowledged(view: View, parted: Divergence) -> str:
    """Say whether what only the target has can have been synchronously acknowledged."""
    upstream, owed, instance = view.argument("upstream"), final(view), view.own.facts.instance
    grant, term = grant_of(view, upstream), owed.term if owed else None
    policy = instance is not None and instance.quorum is not None and not instance.drift
    if grant is None or term is None or term >= grant.term or parted.by_term or not policy:
        return (
            "Whether any of it was synchronously acknowledged cannot be told: the WAL does not show its term, or under "
            "which policy it was written."
        )
    return (
        f"None of it was synchronously acknowledged: it is of term {term} at most, and {upstream} was elected in term "
        f"{grant.term} with all that had been. Commits that a session made with synchronous_commit off or local, or "
        "whose wait was cancelled, are not covered."
    )


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
            statement=f"Nothing is lost: the WAL of {view.node} is part of the history of {upstream}.",
            arithmetic=(),
        )
    return Loss(
        claim="at most",
        statement=f"At most {parted.excess_bytes} bytes of WAL that only {view.node} has are served no more. They lie "
        f"beyond {parted.fork}, where the histories part; they stay in the old data folder. "
        f"{_acknowledged(view, parted)}",
        arithmetic=(
            f"the WAL of {view.node} ends {parted.excess_bytes} bytes beyond {parted.fork}",
            commits_beyond(view, parted),
        ),
    )


def relinquished(view: View, standing: Standing) -> Standing:
    """Return the standing of a node that acknowledges nothing any more, and owes what its WAL may have acknowledged.

    It knows of the source's grant from now on; the grant's history is not that of the WAL that it still has.
    """
    peer, owed = view.peers[view.argument("upstream")], final(view)
    grant, signed = grant_of(view, view.argument("upstream")), peer.facts.standing.grant
    if grant is not None and signed is not None:
        standing = informed(standing, grant, signed)
    return detached(standing if owed is None else owing(standing, owed))


def operate(hands: Hands, order: Order) -> tuple[str, ...]:
    """End acknowledging, copy, stop, put the new folder in use by one rename (the commit point), bind, start."""
    upstream, running = order.view.argument("upstream"), runs(order.view)
    hands.data.fits(upstream)
    # One that is down is cut, too: a hand that started it meanwhile would have it acknowledge again.
    hands.replication.detach()
    view = judge_again(hands, order)
    hands.write_standing(relinquished(view, hands.standing()))
    end = hands.data.copy(upstream)
    if final(view) is None:
        hands.write_standing(owing(hands.standing(), Owed(term=granted_term(view, upstream), lsn=end)))
    if running:
        hands.process.stop()
    hands.cross(order.plan.request.id)
    hands.data.swap()
    hands.write_standing(settle(hands, order.plan))
    hands.replication.attach(upstream)
    hands.process.start()
    folder = view.own.facts.instance.folder if view.own.facts.instance else ""
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


def leaves(view: View, peer: Peer) -> Peer:
    """Return a standby of its upstream with a copy of that one's data."""
    above, found = view.peers[view.argument("upstream")].facts.instance, attached(view, peer)
    if above is None:
        return found
    return with_instance(found, position=above.position, lineage=above.lineage, served=None, shutdown=None)


def settle(hands: Hands, plan: Plan) -> Standing:
    """Return the standing of a node that runs on the new folder, bound to that folder's identity."""
    instance = hands.look().instance
    return copied(hands.standing(), plan.request.arguments["upstream"], (instance and instance.identity) or "")


ACTION = Action(
    name="reclone",
    title="Reclone {node} from {upstream}",
    summary="A node's data folder is made anew from the primary; the old folder stays.",
    target="standby, or primary that is down",
    arguments=(
        Argument(name="upstream", option="--upstream", help="the primary to copy from", word="from", itself=False),
    ),
    authority=Role.OPERATOR,
    of_class=ActionClass.DATA,
    invariants=(
        Invariant.IN_CHARGE,
        Invariant.CONFIGURATION_AGREES,
        Invariant.JOURNAL_SETTLED,
        Invariant.ROLE_FITS,
        Invariant.RUNNING_FITS,
        Invariant.UPSTREAM_AUTHORITY,
        Invariant.VOTE_KEPT,
        Invariant.NO_CYCLE,
    ),
    effects=(
        "{node} is detached: it acknowledges no commit until it streams again, and its vote goes on as if it still had "
        "the WAL that is discarded.",
        "A complete copy of {upstream}'s data is made into a new folder on {node}.",
        "PostgreSQL on {node} is stopped if it runs, the new folder takes the old one's place by one rename, and "
        "PostgreSQL is started as a standby of {upstream}.",
        "The old folder stays where it is, not in use.",
    ),
    irreversible=("{node} serves the old folder's data no more; commits that only it had stay in that folder.",),
    notes=notes,
    loss=loss,
    commit_point="The rename that makes the new folder the one in use on {node}.",
    failures=(
        Failure(
            when="The copy fails, or the agent dies during it.",
            leaves="Not executed. {node} has its old folder and is detached: it receives nothing, and is no primary. "
            "An unfinished folder stays, named .partial, which is never started.",
            then="Ask for the outcome, remove the unfinished folder, and let the node follow, or request reclone anew.",
        ),
        Failure(
            when="The agent dies after the copy and before the rename.",
            leaves="Not executed. {node} has its old folder and is detached, and its PostgreSQL may be down.",
            then="Ask for the outcome; let the node follow, or request reclone anew.",
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
    leaves=leaves,
)
