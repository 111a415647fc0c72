"""How an agent's standing changes: pure transitions, each durable before anything rests on it.

- The pledged term never falls; in one term a node pledges to one candidate.
- `since` keeps every candidacy pledged above the highest grant known, and forgets only what a grant has settled.

Pure: no I/O, no clock.
"""

from msgspec.structs import replace

from aerodb.protocol.authority import Branch, Candidacy, Followed, Grant, NodeRole, Standing
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.signed import Signed


def genesis(node: str, primary: str, *, witness: bool, folder: str = "") -> Standing:
    """Return the standing of a node of a new cluster: term 1 is granted to `primary` by the configuration.

    `folder` is the identity of its data folder ("": a witness has none).
    """
    first = Candidacy(term=1, node=primary)
    role: NodeRole = "witness" if witness else "primary" if node == primary else "standby"
    return Standing(
        role=role,
        upstream=primary if role == "standby" else None,
        halted=False,
        pledged=first,
        pledge=None,
        granted=first,
        grant=None,
        since=(),
        followed=Followed(term=1, lsn=None) if role == "standby" else None,
        lineage=(Branch(timeline=1, begin=Lsn(0), term=1),),
        folder=folder,
    )


def promised(standing: Standing, candidacy: Candidacy) -> Standing:
    """Return the standing with `candidacy` pledged; the signed pledge follows, once it is made from this."""
    since = standing.since if candidacy in standing.since else (*standing.since, candidacy)
    return replace(standing, pledged=candidacy, pledge=None, since=since)


def has_pledged(standing: Standing, candidacy: Candidacy) -> bool:
    """Tell whether the node's own pledge to `candidacy` was made, be it superseded since."""
    return candidacy in standing.since or (standing.pledged == candidacy and standing.pledge is not None)


def detached(standing: Standing) -> Standing:
    """Return the standing of a node that streams from nobody, and is no primary."""
    role: NodeRole = "witness" if standing.role == "witness" else "standby"
    return replace(standing, role=role, upstream=None)


def granted(standing: Standing, grant: Grant, signed: Signed, *, own: bool) -> Standing:
    """Return the standing with `grant` known: what was pledged at or below it is settled.

    Learning of a grant above the pledged term raises the pledged term to it. `own` makes the node its primary.
    """
    candidacy = Candidacy(term=grant.term, node=grant.node)
    pledged = candidacy if grant.term > standing.pledged.term else standing.pledged
    known = replace(standing, pledged=pledged)
    if grant.term >= standing.granted.term:
        since = tuple(each for each in standing.since if each.term > grant.term)
        known = replace(known, granted=candidacy, grant=signed, since=since, lineage=grant.lineage)
    if not own and grant.term > standing.granted.term:
        known = replace(known, weakened=False)  # Its election has counted it.
    if own:
        known = replace(known, role="primary", upstream=None, followed=None)
    return known


def following(standing: Standing, upstream: str, term: int, end: Lsn | None) -> Standing:
    """Return the standing of a standby that streams from `upstream` under the granted `term` (0: told none).

    `end` is where its log ends as it begins (None: unknown, which counts as the worst). What it may have acknowledged
    under an earlier, higher term is not forgotten.
    """
    before = standing.followed
    keep = before is not None and before.term >= term
    followed = before if keep else Followed(term=term, lsn=end)
    return replace(standing, role="standby", upstream=upstream, halted=False, followed=followed)
