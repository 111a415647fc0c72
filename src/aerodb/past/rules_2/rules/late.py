"""Late judgement: what depends on an absence is judged on what the peers say after the confirmation.

- A plan may be confirmed hours after it was made. What its peers had promised still stands, but they may have promised
  more since. So each invariant that is not stable is judged twice: on the reports that the plan was made from, and on
  late reports. Their nonce is the digest of the logged confirmation, which nobody knew before it was signed.
- A node that gives no late report is silent; its earlier report does not stand in for it. Its pledge stands, but
  whether it is kept is unknown.
- For both judgements, the target's own facts are read when it judges.

Pure: no I/O, no clock.
"""

from collections.abc import Callable

from msgspec.structs import replace

from aerodb.past.rules_2.protocol.cluster import Cluster
from aerodb.past.rules_2.protocol.plan import Order, Result, Verdict, late_nonce
from aerodb.past.rules_2.protocol.signed import Signed
from aerodb.past.rules_2.rules.explain import peers_of
from aerodb.past.rules_2.rules.invariants import STABILITY, Invariant
from aerodb.past.rules_2.rules.view import Peer, View

Judge = Callable[[View], tuple[Verdict, ...]]


def late_peers(cluster: Cluster, target: str, order: Order) -> dict[str, Peer]:
    """Return, by node, the verified statements that the target's peers made after the confirmation was logged.

    Raises:
        NodeUnknown, ReportForged, ReportStale, ClusterForeign, PledgeForged: a report is not what it says, or was not
            made for this confirmation.
    """
    opened = peers_of(cluster, order.late, late_nonce(order.record))
    return {name: peer for name, peer in opened.items() if name != target}


def digests(late: dict[str, Signed]) -> dict[str, str]:
    """Return the digests of late reports by node, for an outcome."""
    return {name: signed.digest for name, signed in sorted(late.items())}


def judged_late(judge: Judge, late: dict[str, Peer]) -> Judge:
    """Return a judge that also judges what is not stable on the peers' `late` statements.

    It gives one verdict for each invariant, in the same order: for an unstable one that holds, the late verdict.
    """

    def both(view: View) -> tuple[Verdict, ...]:
        pledged = {name: peer.pledge for name, peer in view.peers.items() if peer.pledge}
        found = {verdict.invariant: verdict for verdict in judge(replace(view, peers=late, pledged=pledged))}
        return tuple(_later(verdict, found.get(verdict.invariant)) for verdict in judge(view))

    return both


def _later(verdict: Verdict, late: Verdict | None) -> Verdict:
    """Return which of an invariant's two verdicts counts."""
    if verdict.result is not Result.HOLDS or STABILITY[Invariant(verdict.invariant)] == "stable":
        return verdict
    if late is None:
        return replace(verdict, result=Result.UNKNOWN, evidence="what was said later does not tell")
    if late.result is Result.HOLDS:
        return late
    return replace(late, evidence=f"after the confirmation: {late.evidence}")
