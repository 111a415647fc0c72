"""Elections: whether pledges add up to a grant. Raft's rules, with a person in the place of the timer.

- Election quorum: there are pledges for (T, C) from a majority of all members, counting witnesses and C itself.
- Commit quorum: they include at least d - k of the d data nodes. Or else they include the last granted primary and
  every candidate pledged above that grant, both as the pledges name them.
- WAL prefix: C's WAL position is at least that of every pledge. It is also at least what was possibly acknowledged by a
  WAL that a voter, or C itself, has discarded.
- C has pledged nothing further, and T is granted to nobody.
- A pledge that is not kept does not count: the election must hold without it.
- Renewal with k of 2 or more: every data node has pledged. A commit that waits across the renewal is acknowledged in
  the new term. A later election might include, of all that flushed it, only a standby that was not told of the new
  term, with a WAL that ends in the old one (Raft section 5.4.2: entries of earlier terms are not counted).

Pure: no I/O, no clock. Source: Raft (Ongaro and Ousterhout 2014), section 5.4.1.
"""

from collections.abc import Callable

from msgspec.structs import replace

from aerodb.protocol.authority import Candidacy, Owed, Pledge
from aerodb.protocol.plan import Loss, Result, Verdict
from aerodb.rules.invariants import Invariant, holds, unknown, violated
from aerodb.rules.pledges import Breach, breach
from aerodb.rules.policy import may_have_acknowledged_alone
from aerodb.rules.position import reaches, reaches_owed, said
from aerodb.rules.reach import PUT_BACK, WHY_PUT_BACK
from aerodb.rules.untold import began_below, bounded, contains, is_untold
from aerodb.rules.view import View

ELECTION = (
    Invariant.TERM_RISES,
    Invariant.POSITION_KNOWN,
    Invariant.CANDIDACY_STANDS,
    Invariant.TERM_UNGRANTED,
    Invariant.PLEDGES_KEPT,
    Invariant.ELECTION_QUORUM,
    Invariant.COMMIT_QUORUM,
    Invariant.WAL_PREFIX,
)
"""The invariants that `election` judges, in its order."""

UNTOLD_MATTER = 2
"""From this k on, a standby that was not told of the new term can be one of several that acknowledge a commit."""

Quorum = Callable[[View, dict[str, Pledge]], Verdict]


def prospective_pledge(view: View, candidacy: Candidacy) -> Pledge:
    """Return the pledge that the target would sign now for `candidacy`."""
    standing, instance = view.own.facts.standing, view.own.facts.instance
    since = standing.since if candidacy in standing.since else (*standing.since, candidacy)
    return Pledge(
        cluster=view.cluster.id,
        node=view.node,
        epoch=view.own.facts.epoch,
        term=candidacy.term,
        candidate=candidacy.node,
        position=instance.position if instance else None,
        granted=standing.granted,
        since=since,
        quorum=instance.quorum if instance else None,
    )


def pledges_for(view: View) -> dict[str, Pledge]:
    """Return the pledges for the target in the view's term, by node; the target's own is the prospective one.

    A pledge of another epoch than the target's does not count: it was made for other members or another k.
    """
    said = (*view.pledged.items(), *((name, peer.pledge) for name, peer in view.peers.items() if peer.pledge))
    wanted = (view.term, view.node, view.own.facts.epoch)
    found = {name: each for name, each in said if (each.term, each.candidate, each.epoch) == wanted}
    found[view.node] = prospective_pledge(view, Candidacy(term=view.term, node=view.node))
    return {member.name: found[member.name] for member in view.cluster.members if member.name in found}


def term_rises(view: View, candidacy: Candidacy) -> Verdict:
    """Judge whether the target may still pledge `candidacy`, or already has."""
    standing, instance = view.own.facts.standing, view.own.facts.instance
    if standing.pledged == candidacy and standing.granted.term < candidacy.term:
        return holds(Invariant.TERM_RISES, f"{view.node} has pledged term {candidacy.term} to {candidacy.node}")
    floor = max(standing.pledged.term, standing.granted.term)
    if candidacy.term <= floor:
        return violated(
            Invariant.TERM_RISES,
            f"{view.node} has pledged or knows term {floor}; term {candidacy.term} is not above it",
        )
    if instance is None:
        return holds(Invariant.TERM_RISES, f"term {candidacy.term} is above {floor}, the highest {view.node} knows")
    if is_untold(view.own.facts) and began_below(view, candidacy):
        return holds(
            Invariant.TERM_RISES,
            f"term {candidacy.term} is above {floor}, the highest {view.node} has pledged or knows; the timeline that "
            f"its WAL ends on began below it too, as {', '.join(view.everyone())} have pledged nobody else that much",
        )
    if instance.position is None or instance.position.term is None:
        return unknown(Invariant.TERM_RISES, f"the term of {view.node}'s own WAL is not known")
    if candidacy.term <= instance.position.term:
        return violated(
            Invariant.TERM_RISES,
            f"the WAL of {view.node} is of term {instance.position.term}; term {candidacy.term} is not above it",
        )
    return holds(
        Invariant.TERM_RISES,
        f"term {candidacy.term} is above {floor}, the highest {view.node} has pledged or knows, and above its WAL's "
        f"{instance.position.term}",
    )


def position_known(view: View, candidacy: Candidacy) -> Verdict:
    """Judge whether the target can tell the end and term of its WAL, or need not know the term for `candidacy`."""
    instance = view.own.facts.instance
    if instance is None:
        return holds(Invariant.POSITION_KNOWN, f"{view.node} is a witness and holds no WAL")
    position = instance.position
    if position is None:
        return unknown(Invariant.POSITION_KNOWN, f"{view.node} cannot tell where its WAL ends")
    if instance.identity == PUT_BACK:
        says = f"{view.node} cannot tell what it may have acknowledged; {WHY_PUT_BACK}"
        return unknown(Invariant.POSITION_KNOWN, says)
    if position.term is None or position.bound is None:
        says = f"{view.node} cannot tell the term of its timeline {position.timeline}"
        if is_untold(view.own.facts) and began_below(view, candidacy):
            return holds(Invariant.POSITION_KNOWN, f"{says}; it began below term {candidacy.term}, and counts as such")
        return unknown(Invariant.POSITION_KNOWN, says)
    return holds(Invariant.POSITION_KNOWN, f"the WAL of {view.node} is of term {position.term}")


def election_quorum(view: View, pledges: dict[str, Pledge]) -> Verdict:
    """Judge whether a majority of all members has pledged."""
    names, need = ", ".join(pledges), view.cluster.majority
    evidence = (
        f"{len(pledges)} of {len(view.cluster.members)} members have pledged term {view.term} to {view.node} "
        f"({names}, its own counted); {need} are needed"
    )
    judge = holds if len(pledges) >= need else violated
    return judge(Invariant.ELECTION_QUORUM, evidence)


def _required(view: View, pledges: dict[str, Pledge]) -> tuple[Candidacy, tuple[str, ...]]:
    """Return the last grant that the pledges know, and its holder with all that may have been primary since."""
    last = max((pledge.granted for pledge in pledges.values()), key=lambda each: (each.term, each.node))
    since = {each.node for pledge in pledges.values() for each in pledge.since if last.term < each.term < view.term}
    required = {last.node, *since}
    return last, tuple(member.name for member in view.cluster.members if member.name in required)


def commit_quorum(view: View, pledges: dict[str, Pledge]) -> Verdict:
    """Judge whether the pledges intersect every set of nodes that could have acknowledged a commit."""
    data = view.cluster.data_nodes
    pledged = [name for name in pledges if name in data]
    last, required = _required(view, pledges)
    absent = [name for name in required if name not in pledges]
    if not absent:
        return holds(
            Invariant.COMMIT_QUORUM,
            f"pledged: all that may have been primary since term {last.term} was granted ({', '.join(required)})",
        )
    weakened = [name for name, peer in view.everyone().items() if may_have_acknowledged_alone(peer.facts)]
    if weakened:
        return unknown(
            Invariant.COMMIT_QUORUM,
            f"{', '.join(weakened)} served under a weaker policy, and may have acknowledged commits alone; pledges by "
            f"{', '.join(absent)} are needed",
        )
    quorums = [pledges[name].quorum for name in pledged]
    if any(quorum is None for quorum in quorums):
        return unknown(Invariant.COMMIT_QUORUM, "the synchronous policy in force is not known")
    k = min([view.cluster.quorum, *(quorum for quorum in quorums if quorum is not None)])
    need = len(data) - k
    evidence = (
        f"{len(pledged)} of {len(data)} data nodes have pledged ({', '.join(pledged)}); "
        f"{need} are needed where {k} standby(s) flush a commit before it is acknowledged"
    )
    if len(pledged) >= need and k > 0:
        return holds(Invariant.COMMIT_QUORUM, evidence)
    return violated(Invariant.COMMIT_QUORUM, f"{evidence}, or else pledges by {', '.join(absent)}")


def renewal_quorum(view: View, pledges: dict[str, Pledge]) -> Verdict:
    """Judge the commit quorum of a primary that is renewed without stopping, while commits may wait."""
    judged, k = commit_quorum(view, pledges), view.cluster.quorum
    untold = [name for name in view.cluster.data_nodes if name not in pledges]
    if judged.result != "holds" or k < UNTOLD_MATTER or not untold:
        return judged
    return violated(
        Invariant.COMMIT_QUORUM,
        f"where {k} standbys flush a commit before it is acknowledged, a primary that never stopped is renewed only "
        f"with the pledge of every data node; {', '.join(untold)} could go on to acknowledge what waits, untold",
    )


def _owes(name: str, owed: Owed) -> str:
    return f"a WAL that {name} has discarded may have acknowledged up to term {said(owed.term)}, {owed.lsn}"


def wal_prefix(view: View, pledges: dict[str, Pledge]) -> Verdict:
    """Judge whether the candidate's WAL reaches at least as far as every pledge, and what its maker owes."""
    own = pledges[view.node].position
    if own is None:
        return violated(Invariant.WAL_PREFIX, f"{view.node} holds no WAL")
    if own.owed is not None:
        return (violated if reaches_owed(own, own.owed) is False else unknown)(
            Invariant.WAL_PREFIX, f"{view.node} ends at term {said(own.term)}, {own.lsn}; {_owes(view.node, own.owed)}"
        )
    if is_untold(view.own.facts):
        return _contains_all(view, pledges)
    for name, pledge in pledges.items():
        if pledge.position is None or name == view.node:
            continue
        voter = bounded(view, pledges, name, pledge.position)
        found = reaches(own, voter)
        if found is None:
            return unknown(Invariant.WAL_PREFIX, f"the term of the WAL of {view.node} or of {name} is not known")
        if not found:
            owed = f"; {_owes(name, pledge.position.owed)}" if pledge.position.owed else ""
            return violated(
                Invariant.WAL_PREFIX,
                f"{view.node} ends at term {own.term}, {own.lsn}, before {name} at term {voter.bound}, "
                f"{voter.lsn}{owed}",
            )
    voters = [name for name, pledge in pledges.items() if name != view.node and pledge.position is not None]
    return holds(Invariant.WAL_PREFIX, f"{view.node} is not behind {', '.join(voters) or 'any that pledged'}")


def _contains_all(view: View, pledges: dict[str, Pledge]) -> Verdict:
    """Judge a candidate that does not know the term of its last timeline: it must contain every voter's whole WAL."""
    voters = {name: each for name, each in pledges.items() if name != view.node and each.position is not None}
    says = f"{view.node} cannot tell the term of the timeline that its WAL ends on"
    for name, pledge in voters.items():
        found = contains(view, name, pledge)
        if found is None:
            return unknown(Invariant.WAL_PREFIX, f"{says}, and whether it contains the WAL of {name} is not known")
        if not found:
            return violated(Invariant.WAL_PREFIX, f"{says}, and its WAL does not contain that of {name}")
    return holds(Invariant.WAL_PREFIX, f"{says}; it contains the WAL of {', '.join(voters) or 'all that pledged'}")


def candidacy_stands(view: View) -> Verdict:
    """Judge whether the candidate has pledged nothing that excludes it from this term."""
    pledged = view.own.facts.standing.pledged
    if pledged.term > view.term or (pledged.term == view.term and pledged.node != view.node):
        return violated(
            Invariant.CANDIDACY_STANDS, f"{view.node} has itself pledged term {pledged.term} to {pledged.node}"
        )
    return holds(Invariant.CANDIDACY_STANDS, f"{view.node} has pledged nothing above term {view.term}")


def term_ungranted(view: View) -> Verdict:
    """Judge whether no node that reports knows of a grant at or above the term."""
    for name, peer in view.everyone().items():
        granted = peer.facts.standing.granted
        if granted.term >= view.term:
            return violated(
                Invariant.TERM_UNGRANTED, f"{name} knows that term {granted.term} is granted to {granted.node}"
            )
    return holds(Invariant.TERM_UNGRANTED, f"nobody who reports knows a grant at or above term {view.term}")


def breaches(view: View, pledges: dict[str, Pledge]) -> dict[str, Breach]:
    """Return, by node, why peers' pledges do not count; the target's own is judged by its role and process."""
    found = {name: breach(view.peers.get(name), pledge) for name, pledge in pledges.items() if name != view.node}
    return {name: why for name, why in found.items() if why is not None}


def counted(view: View, quorum: Quorum = commit_quorum) -> dict[str, Pledge]:
    """Return the pledges to judge the election on: the kept ones if they suffice, else all."""
    pledges = pledges_for(view)
    broken = breaches(view, pledges)
    kept = {name: pledge for name, pledge in pledges.items() if name not in broken}
    enough = all(judged.result is Result.HOLDS for judged in (election_quorum(view, kept), quorum(view, kept)))
    return kept if enough else pledges


def pledges_kept(view: View, pledges: dict[str, Pledge]) -> Verdict:
    """Judge whether all of the `pledges` that the election depends on are kept."""
    broken = breaches(view, pledges)
    if broken:
        why = "; ".join(f"{name} {each.why}" for name, each in broken.items())
        judge = violated if any(each.seen for each in broken.values()) else unknown
        return judge(Invariant.PLEDGES_KEPT, f"the election needs a pledge that counts for nothing: {why}")
    left = breaches(view, pledges_for(view))
    without = f"; not counted: {', '.join(f'{name} {each.why}' for name, each in left.items())}" if left else ""
    return holds(Invariant.PLEDGES_KEPT, f"kept, as their makers' reports show: {', '.join(pledges)}{without}")


def reaches_all(view: View, candidate: str, kept: dict[str, Pledge]) -> Verdict:
    """Judge whether the target's WAL, with which its successor will end, reaches what those that pledge hold and owe.

    It is what `wal_prefix` will demand of the successor once writes have stopped; what `candidate` holds now is part of
    the target's WAL.
    """
    end = view.own.facts.instance.position if view.own.facts.instance else None
    for name, pledge in kept.items():
        position = pledge.position
        if position is None or end is None:
            continue  # A witness holds nothing; a target that cannot say where it ends is judged for that.
        voter, owed = bounded(view, kept, name, position), position.owed
        held = name in {candidate, view.node} or reaches(end, replace(voter, owed=None))
        settled = owed is None or reaches_owed(end, owed)
        if held and settled:
            continue
        judge = violated if False in (held, settled) else unknown
        at = f"{view.node}, whose WAL its successor will have, is at term {said(end.term)}, {end.lsn}"
        beyond = f"{name} has pledged at term {said(voter.bound)}, {voter.lsn}"
        return judge(Invariant.WAL_PREFIX, f"{at}; {beyond if owed is None or settled else _owes(name, owed)}")
    return holds(Invariant.WAL_PREFIX, f"the WAL of {view.node} reaches all that is held and owed")


def electable(view: View, candidate: str) -> Verdict:
    """Judge whether `candidate` could be elected in the view's term once it and the target have pledged."""
    peer = view.peers.get(candidate)
    if peer is None:
        return unknown(Invariant.SUCCESSOR_ELECTABLE, f"{candidate} did not report")
    request = replace(view.request, target=candidate)
    ahead = replace(view, request=request, own=peer, peers={**view.peers, view.node: view.own})
    out = pledges_for(ahead)
    broken = breaches(ahead, {name: out[name] for name in out if name != view.node})
    out[view.node] = prospective_pledge(view, Candidacy(term=view.term, node=candidate))
    kept = {each.name: out[each.name] for each in view.cluster.members if each.name in out and each.name not in broken}
    judged = (
        candidacy_stands(ahead),
        election_quorum(ahead, kept),
        commit_quorum(ahead, kept),
        reaches_all(view, candidate, kept),
    )
    failing = [verdict for verdict in judged if verdict.result is not Result.HOLDS]
    if not failing:
        return holds(Invariant.SUCCESSOR_ELECTABLE, f"{', '.join(kept)} will have pledged, which elects {candidate}")
    lacking = view.cluster.majority - len(kept)
    first = f"; fence {lacking} more for {candidate} beforehand" if lacking > 0 else ""
    judge = violated if any(verdict.result is Result.VIOLATED for verdict in failing) else unknown
    return judge(Invariant.SUCCESSOR_ELECTABLE, f"{'; '.join(verdict.evidence for verdict in failing)}{first}")


def election(view: View, quorum: Quorum = commit_quorum) -> tuple[Verdict, ...]:
    """Judge the election of the target in the view's term, in full; `quorum` judges the commit quorum."""
    pledges = counted(view, quorum)
    candidacy = Candidacy(term=view.term, node=view.node)
    return (
        term_rises(view, candidacy),
        position_known(view, candidacy),
        candidacy_stands(view),
        term_ungranted(view),
        pledges_kept(view, pledges),
        election_quorum(view, pledges),
        quorum(view, pledges),
        wal_prefix(view, pledges),
    )


def election_loss(view: View, quorum: Quorum = commit_quorum) -> Loss:
    """State what acknowledged commits the election could lose, with the arithmetic; `quorum` is as in `election`."""
    pledges = counted(view, quorum)
    judged = tuple(judge(view, pledges) for judge in (pledges_kept, election_quorum, quorum, wal_prefix))
    arithmetic = tuple(verdict.evidence for verdict in judged)
    if all(verdict.result == "holds" for verdict in judged):
        return Loss(
            claim="none",
            statement="No synchronously acknowledged commit is lost. Commits that a session made with "
            "synchronous_commit off, local or remote_write, or whose wait was cancelled, are not covered; nor is what "
            "is in unlogged tables.",
            arithmetic=arithmetic,
        )
    return Loss(
        claim="cannot be proven",
        statement=f"It cannot be proven that no acknowledged commit is lost: {'; '.join(_unproven(view, judged))}.",
        arithmetic=arithmetic,
    )


def _unproven(view: View, judged: tuple[Verdict, ...]) -> tuple[str, ...]:
    """Return why a loss is not excluded: of each verdict that does not hold, what is missing or what it found.

    Who has not pledged is the reason only where a quorum lacks.
    """
    failing = {each.invariant: each.evidence for each in judged if each.result is not Result.HOLDS}
    found, out = list[str](), pledges_for(view)
    silent = [name for name in view.cluster.data_nodes if name not in out]
    lacking = failing.keys() & {Invariant.ELECTION_QUORUM, Invariant.COMMIT_QUORUM}
    if lacking and silent:
        found.append(f"no pledge from {', '.join(silent)}")
    return (*found, *(said for name, said in failing.items() if not (silent and name in lacking)))
