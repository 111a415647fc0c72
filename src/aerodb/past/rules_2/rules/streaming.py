"""Following: from which upstream a node may stream, and whether its WAL allows it.

- A node may follow a primary only if that shows a signed grant. Its term must be at or above the term that the node has
  pledged, and that of the node's own WAL, since an upstream can carry a node into a term before anybody tells it.
- A node may follow a standby (cascading) only if that states, signed, that it has pledged, or has WAL of, at least such
  a term. Otherwise a standby promoted later in a lower term would carry along a node that had promised better. (No node
  pledges a term at or below that of its WAL, so its WAL is as good as a pledge.)
- In both cases the node's WAL must be a prefix of the upstream's.

Pure: no I/O, no clock.
"""

from aerodb.past.rules_2.protocol.authority import Grant
from aerodb.past.rules_2.protocol.cluster import Cluster
from aerodb.past.rules_2.protocol.facts import COMMITS_MAX
from aerodb.past.rules_2.protocol.plan import Result, Verdict
from aerodb.past.rules_2.rules.invariants import Invariant, holds, unknown, violated
from aerodb.past.rules_2.rules.position import Divergence, TermUntold, divergence, is_of
from aerodb.past.rules_2.rules.view import Peer, View, open_pledge


def grant_of(view: View, upstream: str) -> Grant | None:
    """Return the upstream's own signed grant; None unless it stands as a primary and shows one."""
    peer = view.peers.get(upstream)
    if peer is None or peer.facts.standing.role != "primary":
        return None
    return peer.grant if peer.grant is not None and peer.grant.node == upstream else None


def granted_term(view: View, upstream: str) -> int | None:
    """Return the term that the upstream holds as a primary (the configuration grants the first term); None if none."""
    grant = grant_of(view, upstream)
    if grant is not None:
        return grant.term
    peer = view.peers.get(upstream)
    if peer is None or peer.facts.standing.role != "primary":
        return None
    granted = peer.facts.standing.granted
    is_genesis = (granted.term, granted.node) == (1, view.cluster.genesis) and upstream == view.cluster.genesis
    return 1 if is_genesis else None


def _floor(peer: Peer, wal: int | None) -> int:
    """Return the highest term that a node has pledged, knows to be granted, or shows in its WAL."""
    standing = peer.facts.standing
    return max(standing.pledged.term, standing.granted.term, wal or 0)


def upstream_authority(view: View, upstream: str) -> Verdict:
    """Judge whether the upstream's term is high enough for the target's pledge and WAL."""
    peer, own = view.peers.get(upstream), view.own.facts.instance
    bound = own.position.bound if own and own.position else None
    floor = _floor(view.own, bound)
    if peer is None:
        return unknown(Invariant.UPSTREAM_AUTHORITY, f"{upstream} did not report")
    has = f"{view.node} has pledged term {view.own.facts.standing.pledged.term}"
    if bound is not None and bound > view.own.facts.standing.pledged.term:
        has = f"{has}, and its WAL is of term {bound}"
    standing = peer.facts.standing
    if standing.role == "witness":
        return violated(Invariant.UPSTREAM_AUTHORITY, f"{upstream} is a witness and holds no data")
    if standing.role == "primary":
        term = granted_term(view, upstream)
        if term is None:
            return unknown(
                Invariant.UPSTREAM_AUTHORITY, f"{upstream} stands as a primary and shows no grant of its own"
            )
        evidence = f"{upstream} holds a grant for term {term}; {has}"
        return (holds if term >= floor else violated)(Invariant.UPSTREAM_AUTHORITY, evidence)
    other = peer.facts.instance
    theirs = _floor(peer, other.position.term if other and other.position else None)
    evidence = f"{upstream}, a standby, has pledged term {standing.pledged.term}; {has}"
    if theirs > standing.pledged.term:
        evidence = f"{upstream}, a standby, has WAL of term {theirs} or knows of it; {has}"
    return (holds if theirs >= floor else violated)(Invariant.UPSTREAM_AUTHORITY, evidence)


def strayed(peer: Peer, cluster: Cluster) -> bool:
    """Tell whether a node that stands as a standby, and is down, ran out of recovery beyond what it has recorded.

    Then somebody promoted or started it without its agent, and the rest of its WAL is no other node's history, even if
    its timeline has the number and beginning of another's. A former primary has not strayed: its WAL ends where its
    pledge says, or where it began to follow.
    """
    standing, instance = peer.facts.standing, peer.facts.instance
    if standing.role != "standby" or instance is None or not instance.served:
        return False
    position, told = instance.position, standing.followed
    pledged = open_pledge(cluster, peer.facts.node, standing.pledge).position if standing.pledge else None
    ends = [noted.lsn for noted in (pledged, told) if noted is not None]
    return position is None or position.lsn not in ends


def parting(view: View, upstream: str) -> Divergence | None:
    """Return where the target's WAL and the upstream's history part; None if the target's is a prefix.

    Raises:
        TermUntold: the term of a timeline that decides it is unknown.
        KeyError: one of them shows no history of its data folder in use, or the target has strayed.
    """
    itself, other = view.own.facts, view.peers[upstream].facts
    own, peer = itself.instance, other.instance
    if own is None or peer is None or own.position is None or not own.lineage or not peer.lineage:
        raise KeyError(upstream)
    for facts, instance in ((itself, own), (other, peer)):
        if not is_of(facts.standing, instance.identity):
            raise KeyError(facts.node)
    parted = divergence(own.lineage, own.position.lsn, peer.lineage)
    if parted is None and strayed(view.own, view.cluster):
        raise KeyError(view.node)
    return parted


def wal_ancestry(view: View, upstream: str) -> Verdict:
    """Judge whether the target's WAL is a prefix of the upstream's."""
    try:
        parted = parting(view, upstream)
    except KeyError:
        return unknown(
            Invariant.WAL_ANCESTRY,
            f"the history of {view.node} or of {upstream} is not known, or not that of the data folder in use"
            + (
                f": {view.node} was out of recovery beyond what it has noted" if strayed(view.own, view.cluster) else ""
            ),
        )
    except TermUntold as untold:
        return unknown(Invariant.WAL_ANCESTRY, f"the term of timeline {untold.timeline} is not known")
    if parted is None:
        return holds(Invariant.WAL_ANCESTRY, f"the WAL of {view.node} is part of the history of {upstream}")
    return violated(
        Invariant.WAL_ANCESTRY,
        f"diverged: {view.node} has {parted.excess_bytes} bytes of WAL beyond {parted.fork}, where its history and "
        f"that of {upstream} part; {commits_beyond(view, parted)}",
    )


def commits_beyond(view: View, parted: Divergence) -> str:
    """Return which commits only the target has, as far as its WAL shows them."""
    instance = view.own.facts.instance
    if instance is None or instance.commits is None or instance.commits_since is None:
        return "which commits are beyond it is not known: the WAL was not read for them"
    since = instance.commits_since
    where = "" if since <= parted.fork else f" from {since} on; what is between {parted.fork} and there was not read"
    found = [commit for commit in instance.commits if commit.lsn >= parted.fork]
    if not found:
        return f"no commit is seen beyond it{where}"
    first = "" if len(found) < COMMITS_MAX else "the last "
    listed = ", ".join(f"xid {commit.xid} of {commit.time}" for commit in found[-5:])
    return f"{first}{len(found)} commit(s) are seen beyond it{where}; the newest: {listed}"


def _above(peer: Peer) -> set[str]:
    """Return the upstreams that a node's standing and its settings name."""
    instance = peer.facts.instance
    named = {peer.facts.standing.upstream, instance.attached if instance else None}
    return {name for name in named if name is not None}


def no_cycle(view: View, upstream: str) -> Verdict:
    """Judge whether the upstream does not stream, directly or through others, from the target."""
    seen, left = set[str](), [upstream]
    while left:
        current = left.pop(0)
        seen.add(current)
        peer = view.peers.get(current)
        if peer is None:
            return unknown(
                Invariant.NO_CYCLE, f"{current} did not report, so whether it streams from {view.node} is not known"
            )
        above = _above(peer)
        if view.node in above:
            return violated(Invariant.NO_CYCLE, f"{current} follows {view.node}")
        left += sorted(above - seen - set(left))
    return holds(Invariant.NO_CYCLE, f"{upstream} does not stream from {view.node}")


def may_stream(view: View, upstream: str) -> tuple[Verdict, ...]:
    """Judge whether the target may stream from `upstream`: the one rule for all actions that start streaming."""
    return (upstream_authority(view, upstream), wal_ancestry(view, upstream), no_cycle(view, upstream))


def unproven(view: View, upstream: str) -> str:
    """Return why it is not proven that the target may stream from `upstream`; empty if it is."""
    return "; ".join(judged.evidence for judged in may_stream(view, upstream) if judged.result is not Result.HOLDS)
