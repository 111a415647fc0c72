"""promote: a standby with a quorum of pledges becomes the primary of a new term.

- The candidate's receiver is cut and its position final before its own pledge is made.
- Its own pledge is durable before PostgreSQL is promoted.
- The term's row is the first thing the agent writes in the term; the grant is signed after the row is there.
"""

from msgspec.structs import replace

from aerodb.actions import demote
from aerodb.protocol.ahead import AFTER, Earlier
from aerodb.protocol.authority import Branch, Candidacy, Standing
from aerodb.protocol.classes import ActionClass
from aerodb.protocol.cluster import Role
from aerodb.protocol.facts import Facts, Instance, State
from aerodb.protocol.plan import Plan, Result, Verdict
from aerodb.rules.arguments import Argument
from aerodb.rules.condition import common, policy_known, receiver_known, running_fits
from aerodb.rules.election import ELECTION, counted, election, election_loss
from aerodb.rules.foreseen import granted, left_by, with_instance
from aerodb.rules.foresight import promoted
from aerodb.rules.hands import Hands
from aerodb.rules.invariants import Invariant
from aerodb.rules.notes import before_a_promotion
from aerodb.rules.operation import (
    REPLACED,
    is_replaced,
    judge_again,
    own_history,
    pledge_with,
    refuse_another_process,
    take_grant,
)
from aerodb.rules.replaying import replay_runs
from aerodb.rules.specification import NOT_CROSSED, SILENT, Action, Established, Failure, Foreseen, Order
from aerodb.rules.view import Peer, View, standing_term


def judge(view: View) -> tuple[Verdict, ...]:
    """Judge whether the pledges make the target a primary."""
    return (
        *common(view, "standby", elects=True),
        policy_known(view),
        receiver_known(view),
        running_fits(view, State.RUNNING),
        *election(view),
        replay_runs(view),
    )


def after_a_demotion(view: View, earlier: Earlier) -> Foreseen:
    """Return the view that a demotion of the primary for this very node would leave."""
    primary = view.peers.get(earlier.target)
    if primary is None:
        return Foreseen(view=None, why=f"{earlier.target} did not report")
    request = replace(
        view.request, id=earlier.request, action=earlier.action, target=earlier.target, arguments={"for": view.node}
    )
    peers = {name: peer for name, peer in view.everyone().items() if name != earlier.target}
    before = replace(view, request=request, own=primary, peers=peers)
    before = replace(before, term=standing_term(before.everyone(), view.node, earlier.target))
    failing = [each for each in demote.judge(before) if each.result is not Result.HOLDS]
    if failing:
        said = "; ".join(f"{each.invariant}: {each.evidence}" for each in failing)
        return Foreseen(view=None, why=f"{earlier.words} would be rejected ({said})")
    if before.term != view.term:
        return Foreseen(view=None, why=f"{earlier.words} would pledge term {before.term}, and not {view.term}")
    left = left_by(before, demote.leaves)
    others = {name: peer for name, peer in left.items() if name != view.node}
    return Foreseen(view=replace(view, own=left[view.node], peers=others))


def leaves(view: View, peer: Peer) -> Peer:
    """Return the primary on a timeline of its own, which begins where its WAL ended."""
    instance = peer.facts.instance
    if instance is None or instance.position is None:
        return peer
    branch = Branch(timeline=instance.position.timeline + 1, begin=instance.position.lsn, term=view.term)
    position = replace(instance.position, timeline=branch.timeline)
    return granted(view, with_instance(peer, lineage=(*instance.lineage, branch), position=position))


def operate(hands: Hands, order: Order) -> tuple[str, ...]:
    """Cut the receiver, pledge to oneself, promote (the commit point), write the term's row, sign the grant."""
    hands.replication.detach()
    view = judge_again(hands, order)
    refuse_another_process(order.view, view)
    candidacy, standing = Candidacy(term=view.term, node=view.node), hands.standing()
    if standing.pledged != candidacy:
        hands.write_standing(pledge_with(hands, view, candidacy, standing, order.plan.rules))
    elif own_history(view, standing) != standing:
        hands.write_standing(own_history(view, standing))
    hands.cross(order.plan.request.id)
    hands.replication.promote()
    end = hands.replication.write_term(view.term, view.cluster.quorum, view.cluster.epoch)
    standing = take_grant(hands, order.plan, begins=True)
    hands.write_standing(standing)
    branch = standing.lineage[-1]
    return (
        f"{view.node} is primary of term {view.term} on timeline {branch.timeline}, which began at {branch.begin}",
        f"pledges: {', '.join(counted(view))}; the term's row ends at {end}",
    )


def settle(hands: Hands, plan: Plan) -> Standing:
    """Return the standing of the primary that the target has become, the term's row written first if it is missing.

    Without the row, a WAL that ends in this term could not be told from one of a later term on the same timeline.
    Where PostgreSQL is down nothing can be written: the grant alone tells the term then, as the one node whose history
    it is. Otherwise a node that died between its promotion and its row could neither start nor pledge.
    """
    facts = hands.look()
    instance = facts.instance
    if instance is not None and instance.state in {State.STOPPED, State.CRASHED}:
        return take_grant(hands, plan, begins=True)
    position = instance.position if instance else None
    if position is None or position.term is None or position.term < plan.term:
        hands.replication.write_term(plan.term, hands.settings.quorum(), facts.epoch)
    return take_grant(hands, plan, begins=True)


def established(plan: Plan, before: Facts, now: Facts, crossed: bool) -> Established:
    """Tell from PostgreSQL itself whether the promotion happened, or still may.

    PostgreSQL forgets that it was told to promote only with its process: one that is in recovery may leave it at any
    time, until it has been started anew.
    """
    del plan
    if not crossed:
        return NOT_CROSSED
    if is_replaced(before, now):
        return REPLACED
    instance, earlier = now.instance, before.instance
    if instance is None or earlier is None:
        return SILENT
    done = _says_promoted(earlier, instance)
    if done:
        return Established(result="executed", evidence=done)
    if instance.state in {State.STOPPED, State.CRASHED}:
        return Established(
            result="not executed", evidence=f"PostgreSQL is {instance.state}, and its WAL has no new timeline"
        )
    if instance.state is not State.RUNNING or not instance.recovery:
        return SILENT
    if instance.started is not None and earlier.started is not None and instance.started != earlier.started:
        return Established(
            result="not executed",
            evidence=f"PostgreSQL was started anew at {instance.started}, and is in recovery on its old timeline",
        )
    return Established(
        result="unknown",
        evidence="PostgreSQL was told to promote, is in recovery, and may still leave it; ask again, or stop the node",
    )


def _says_promoted(before: Instance, now: Instance) -> str:
    """Return what shows that PostgreSQL was promoted: it is out of recovery, or its WAL has a timeline of its own."""
    if now.state is State.RUNNING and now.recovery is False:
        return "PostgreSQL is out of recovery" + (f" on timeline {now.lineage[-1].timeline}" if now.lineage else "")
    streams = now.attached is not None or now.receiver is not None
    if streams or not before.lineage or not now.lineage or now.position is None:
        return ""  # What another may have sent is no promotion.
    newest = now.lineage[-1]
    branched = newest.timeline > before.lineage[-1].timeline and now.position.lsn > newest.begin
    return f"the WAL goes on beyond the beginning of timeline {newest.timeline}" if branched else ""


ACTION = Action(
    name="promote",
    title="Promote {node} to primary of term {term}",
    summary="A standby with a quorum of pledges becomes the primary of a new term.",
    target="running standby",
    arguments=(
        Argument(
            name=AFTER,
            option="--after",
            kind="earlier",
            optional=True,
            word="after",
            choices_before=("demote",),
            help="the demotion that it comes right after, before which it is signed",
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
        Invariant.RECEIVER_KNOWN,
        Invariant.RUNNING_FITS,
        *ELECTION,
        Invariant.REPLAY_RUNS,
    ),
    effects=(
        "{node} pledges term {term} to itself, leaves recovery and takes writes, on a new timeline.",
        "Nodes that stream from {node} go on with it; every other node stays as it is until a request of its own.",
    ),
    irreversible=(
        "A new timeline begins: WAL on any other node beyond this point is not part of it.",
        "No node that pledged can ever acknowledge commits of an earlier primary again.",
    ),
    notes=before_a_promotion,
    loss=election_loss,
    commit_point="PostgreSQL's end of recovery on {node}, on a new timeline.",
    failures=(
        Failure(
            when="The agent dies before PostgreSQL has left recovery.",
            leaves="Not executed. {node} is detached and may have pledged the term to itself.",
            then="Ask for the outcome, then request promote anew.",
        ),
        Failure(
            when="The agent dies after PostgreSQL has left recovery.",
            leaves="Executed; the term's row may be missing, and what was written so far then counts as of unknown "
            "term.",
            then="Ask for the outcome; the row is written and the grant signed then, in this order.",
        ),
        Failure(
            when="PostgreSQL refuses the term's row.",
            leaves="Unknown: {node} is out of recovery, without a row and without a grant.",
            then="Mend what refuses it, then ask for the outcome; the row is written and the grant signed then.",
        ),
        Failure(
            when="PostgreSQL dies during the promotion.",
            leaves="Unknown until it runs again.",
            then="Start the node, then ask for the outcome.",
        ),
    ),
    outage="Ends the outage: writes are possible again once it is executed.",
    term=lambda view: standing_term(view.everyone(), view.node, view.node),
    judge=judge,
    operate=operate,
    established=established,
    settle=settle,
    writes=promoted,
    leaves=leaves,
    foresees=after_a_demotion,
)
