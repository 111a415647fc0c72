"""What a judgement may see: the configuration, the target's own facts, and its peers' verified signed statements.

It sees nothing else, so that the control plane and the agent that would act judge by the same function on the same
values. Pure: no I/O, no clock.
"""

from functools import lru_cache

import msgspec

from aerodb.past.rules_2.errors import AeroError
from aerodb.past.rules_2.protocol.authority import Candidacy, Grant, Pledge, Standing
from aerodb.past.rules_2.protocol.cluster import Cluster
from aerodb.past.rules_2.protocol.facts import Facts, Report
from aerodb.past.rules_2.protocol.formats import MadeLater
from aerodb.past.rules_2.protocol.plan import Request
from aerodb.past.rules_2.protocol.signed import Signed, open_signed
from aerodb.past.rules_2.rules.position import Noted


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """One node's verified statements: its facts, and the pledge and grant inside them, each verified separately."""

    facts: Facts
    pledge: Pledge | None
    grant: Grant | None


class View(msgspec.Struct, frozen=True, kw_only=True):
    """One request about one target, and all that may be known when it is judged.

    `own` is the target as it sees itself now; `peers` are the other nodes as they reported for this request. `term` is
    the plan's term (0 if the action concerns none). If `peers` are late reports, `pledged` are the pledges in the
    plan's reports: a pledge is never taken back, not even by silence.
    """

    cluster: Cluster
    request: Request
    own: Peer
    peers: dict[str, Peer]
    term: int
    pledged: dict[str, Pledge] = msgspec.field(default_factory=dict)

    @property
    def node(self) -> str:
        """Return the target's name."""
        return self.request.target

    def argument(self, name: str) -> str:
        """Return an argument of the request."""
        return self.request.arguments[name]

    def everyone(self) -> dict[str, Peer]:
        """Return the target and its peers, by name, in the configuration's order."""
        known = {**self.peers, self.node: self.own}
        return {member.name: known[member.name] for member in self.cluster.members if member.name in known}


class PledgeForged(AeroError):
    """A pledge was not signed by the node that it names, or speaks for another node."""

    code = "kernel.pledge-forged"
    status = 409
    title = "A pledge is forged"


class ClusterForeign(AeroError):
    """A signed statement belongs to another cluster."""

    code = "kernel.cluster-foreign"
    status = 409
    title = "A signed statement belongs to another cluster"


class ReportStale(AeroError):
    """A report was made for another request."""

    code = "kernel.report-stale"
    status = 409
    title = "A report was made for another request"


class ReportForged(AeroError):
    """A report or grant was not signed by the node that it names, or speaks for another node."""

    code = "kernel.report-forged"
    status = 409
    title = "A report is forged"


def _own_document(cluster: Cluster, named: str, claimed: tuple[str, str], kind: type[AeroError]) -> None:
    """Refuse a document of another cluster, or one that speaks for a node other than its signer."""
    cluster_id, node = claimed
    if cluster_id != cluster.id:
        raise ClusterForeign(f"{named}'s statement is of cluster {cluster_id}, not of {cluster.id}")
    if node != named:
        raise kind(f"a statement by {named} speaks for {node}")


# A pledge or grant stands for long and is in every report meanwhile, so the same bytes are verified only once.
@lru_cache(maxsize=256)
def _open_pledge(signed: Signed, public_key: str) -> Pledge:
    return open_signed(signed, Pledge, public_key)


@lru_cache(maxsize=256)
def _open_grant(signed: Signed, public_key: str) -> Grant:
    return open_signed(signed, Grant, public_key)


def open_pledge(cluster: Cluster, node: str, signed: Signed) -> Pledge:
    """Return the verified pledge of `node`.

    Raises:
        PledgeForged: the signature is not the node's, or the pledge speaks for another.
        ClusterForeign: it is a pledge of another cluster.
        MadeLater: it is in a later format than this build reads.
    """
    try:
        pledge = _open_pledge(signed, cluster.member(node).public_key)
    except MadeLater:
        raise
    except AeroError as error:
        raise PledgeForged(f"the pledge of {node} cannot be verified: {error.message}") from error
    _own_document(cluster, node, (pledge.cluster, pledge.node), PledgeForged)
    return pledge


def open_grant(cluster: Cluster, signed: Signed) -> Grant:
    """Return a verified grant, signed by the primary that it names.

    Raises:
        ReportForged: the signature is not that primary's.
        ClusterForeign: it is a grant of another cluster.
    """
    try:
        grant = _open_grant(signed, cluster.member(signed.signer).public_key)
    except MadeLater:
        raise
    except AeroError as error:
        raise ReportForged(f"the grant of {signed.signer} cannot be verified: {error.message}") from error
    _own_document(cluster, signed.signer, (grant.cluster, grant.node), ReportForged)
    return grant


def noted_of(cluster: Cluster, node: str, standing: Standing) -> Noted:
    """Return the verified statements in a node's standing.

    Raises:
        PledgeForged, ReportForged, ClusterForeign: a signed part is not what it says.
    """
    return Noted(
        pledge=open_pledge(cluster, node, standing.pledge) if standing.pledge else None,
        grant=open_grant(cluster, standing.grant) if standing.grant else None,
        genesis=cluster.genesis,
        configured=cluster.quorum,
    )


def peer_of(cluster: Cluster, facts: Facts) -> Peer:
    """Return `facts` with the pledge and the grant inside them verified.

    Raises:
        PledgeForged, ReportForged, ClusterForeign: a signed part is not what it says.
    """
    pledge = open_pledge(cluster, facts.node, facts.standing.pledge) if facts.standing.pledge else None
    if pledge is not None and (pledge.term, pledge.candidate) != (
        facts.standing.pledged.term,
        facts.standing.pledged.node,
    ):
        pledge = None  # The node has promised more since, so this pledge proves nothing now.
    grant = open_grant(cluster, facts.standing.grant) if facts.standing.grant else None
    return Peer(facts=facts, pledge=pledge, grant=grant)


def open_report(cluster: Cluster, node: str, signed: Signed, nonce: str) -> Peer:
    """Return the verified statements of `node`, made for `nonce`.

    Raises:
        ReportForged: the signature is not the node's, or the report speaks for another.
        ReportStale: it was made for another request.
        ClusterForeign: it is of another cluster.
        PledgeForged: the pledge inside it cannot be verified.
        MadeLater: the report, or the pledge or grant inside it, is in a later format than this build reads.
    """
    try:
        report = open_signed(signed, Report, cluster.member(node).public_key)
    except MadeLater:
        raise
    except AeroError as error:
        raise ReportForged(f"the report of {node} cannot be verified: {error.message}") from error
    _own_document(cluster, node, (report.cluster, report.node), ReportForged)
    _own_document(cluster, node, (report.cluster, report.facts.node), ReportForged)
    if report.nonce != nonce:
        raise ReportStale(f"the report of {node} was made for {report.nonce}, not for this request")
    return peer_of(cluster, report.facts)


def highest_term(view_peers: dict[str, Peer]) -> int:
    """Return the highest term that any node that reports has pledged, knows to be granted, or shows in its WAL."""
    terms = [0]
    for peer in view_peers.values():
        standing = peer.facts.standing
        terms += [standing.pledged.term, standing.granted.term]
        instance = peer.facts.instance
        if instance and instance.position and instance.position.term is not None:
            terms.append(instance.position.term)
    return max(terms)


def standing_term(everyone: dict[str, Peer], candidate: str, target: str) -> int:
    """Return the term to name for an election of `candidate`, in a request for `target`.

    It is the term of the standing election if pledges for the same candidate exist, are not granted and are the highest
    known, and neither the candidate nor the target has pledged that term to another; otherwise the candidate could not
    win it, or the target could not help. In all other cases it is one above the highest known term.
    """
    highest = highest_term(everyone)
    standing = Candidacy(term=highest, node=candidate)
    made = {name: peer.facts.standing.pledged for name, peer in everyone.items()}
    split = any(made[name].term == highest and made[name] != standing for name in (candidate, target) if name in made)
    granted = any(peer.facts.standing.granted.term >= highest for peer in everyone.values())
    return highest if standing in made.values() and not split and not granted else highest + 1
