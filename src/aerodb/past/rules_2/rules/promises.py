"""What members have promised above a grant, which decides whether its holder is still the newest primary.

Pure: no I/O, no clock.
"""

from collections.abc import Mapping

from aerodb.past.rules_2.protocol.authority import Standing
from aerodb.past.rules_2.protocol.cluster import Cluster
from aerodb.past.rules_2.protocol.plan import Verdict
from aerodb.past.rules_2.rules.invariants import Invariant, holds, unknown, violated


def _foreign_promise(standing: Standing, term: int, node: str) -> str:
    """Return what in a standing contradicts that `node`, granted `term`, is still the primary; empty if nothing."""
    if standing.granted.term > term:
        return f"knows that term {standing.granted.term} is granted to {standing.granted.node}"
    for candidacy in (standing.pledged, *standing.since):
        if candidacy.term > term and candidacy.node != node:
            return f"has pledged term {candidacy.term} to {candidacy.node}"
    return ""


def promise_above(standings: Mapping[str, Standing], term: int, node: str) -> str:
    """Return the first statement of a member against `node`: a grant, or a pledge to another, above `term`; or ""."""
    for name, standing in standings.items():
        promise = _foreign_promise(standing, term, node)
        if promise:
            return f"{name} {promise}"
    return ""


def authority_stands(cluster: Cluster, node: str, standings: dict[str, Standing]) -> Verdict:
    """Judge by the members' standings whether `node`, which stands as a primary, may still be it."""
    granted = standings[node].granted
    if granted.node != node:
        return violated(Invariant.NO_HIGHER_GRANT, f"{node} knows that {granted.node} holds the last grant")
    promise = promise_above(standings, granted.term, node)
    if promise:
        return violated(Invariant.NO_HIGHER_GRANT, f"{promise}, above {node}'s term {granted.term}")
    evidence = (
        f"{len(standings)} of {len(cluster.members)} members state that they have promised nobody else a term above "
        f"{granted.term} ({', '.join(standings)}); {cluster.majority} are needed"
    )
    return (holds if len(standings) >= cluster.majority else unknown)(Invariant.NO_HIGHER_GRANT, evidence)
