"""How an agent's standing changes: pure transitions; the caller makes each durable before anything depends on it.

- The pledged term never falls; in one term a node pledges to only one candidate.
- `since` holds every candidacy pledged above the highest grant known, and forgets only what a grant has settled.
- What a discarded WAL may have acknowledged is owed for ever; what is owed only rises.
- A history is taken over only for the node's own WAL, or one that it rightly follows; knowing of a grant is not enough.

Pure: no I/O, no clock.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from aerodb.past.rules_2.protocol import canonical
from aerodb.past.rules_2.protocol.authority import Branch, Candidacy, Followed, Grant, NodeRole, Owed, Standing
from aerodb.past.rules_2.protocol.lsn import Lsn
from aerodb.past.rules_2.protocol.signed import Signed


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
    """Return the standing with `candidacy` pledged; the signed pledge is made afterwards, from this."""
    since = standing.since if candidacy in standing.since else (*standing.since, candidacy)
    return replace(standing, pledged=candidacy, pledge=None, since=since)


def has_pledged(standing: Standing, candidacy: Candidacy) -> bool:
    """Tell whether the node has pledged `candidacy`, even if it has pledged a higher one since."""
    return candidacy in standing.since or (standing.pledged == candidacy and standing.pledge is not None)


def detached(standing: Standing) -> Standing:
    """Return the standing of a node that streams from no other and is not a primary."""
    role: NodeRole = "witness" if standing.role == "witness" else "standby"
    return replace(standing, role=role, upstream=None)


def informed(standing: Standing, grant: Grant, signed: Signed) -> Standing:
    """Return the standing with `grant` known, which settles what was pledged at or below its term.

    A grant above the pledged term raises the pledged term to it. The grant's history is not taken over for the node's
    own WAL.
    """
    candidacy = Candidacy(term=grant.term, node=grant.node)
    pledged = candidacy if grant.term > standing.pledged.term else standing.pledged
    known = replace(standing, pledged=pledged)
    if grant.term < standing.granted.term:
        return known
    since = tuple(each for each in standing.since if each.term > grant.term)
    if grant.term > standing.granted.term:
        known = replace(known, weakened=False)  # The grant's election has taken it into account.
    return replace(known, granted=candidacy, grant=signed, since=since)


def granted(standing: Standing, grant: Grant, signed: Signed, *, own: bool) -> Standing:
    """Return the standing with `grant` known, for a node whose WAL belongs to the grant's history.

    `own` makes the node its primary.
    """
    known = informed(standing, grant, signed)
    if grant.term >= standing.granted.term:
        known = replace(known, lineage=grant.lineage)
    if own:
        known = replace(known, role="primary", upstream=None, followed=None, weakened=standing.weakened)
    return known


def trimmed(standing: Standing, history: Sequence[Branch]) -> Standing:
    """Return the standing without known branches that are not in `history`, the history of the node's own WAL.

    Otherwise a branch that the WAL gets later from elsewhere could be mistaken for one of the same name.
    """
    own = {(branch.timeline, branch.begin) for branch in history}
    kept = tuple(branch for branch in standing.lineage if (branch.timeline, branch.begin) in own)
    return replace(standing, lineage=kept) if history else standing


def owing(standing: Standing, owed: Owed) -> Standing:
    """Return the standing of a node that votes on as if its WAL reached `owed`; what is owed only rises."""

    def rank(each: Owed) -> tuple[bool, int, Lsn]:
        return each.term is None, each.term or 0, each.lsn

    return replace(standing, owed=max((owed, standing.owed or owed), key=rank))


def copied(standing: Standing, source: str, folder: str) -> Standing:
    """Return the standing of a node that follows `source` with a copy of its data, in the folder with this identity.

    Of the new WAL only what the source's grant tells is known, if that is the last grant known here.
    """
    last = standing.granted
    told: tuple[Branch, ...] = ()
    if last.node == source and standing.grant is not None:
        told = canonical.decode(standing.grant.document.encode(), Grant).lineage
    elif last.node == source and last.term == 1:
        told = (Branch(timeline=1, begin=Lsn(0), term=1),)
    return replace(
        standing,
        role="standby",
        upstream=source,
        halted=False,
        followed=Followed(term=last.term, lsn=None),
        lineage=told,
        folder=folder,
    )


def following(standing: Standing, upstream: str, term: int, end: Lsn | None) -> Standing:
    """Return the standing of a standby that streams from `upstream` under the granted `term` (0: unknown).

    `end` is the end of its WAL at the start (None: unknown, which counts as the worst). What it may have acknowledged
    earlier, under a higher term, is not forgotten.
    """
    before = standing.followed
    keep = before is not None and before.term >= term
    followed = before if keep else Followed(term=term, lsn=end)
    return replace(standing, role="standby", upstream=upstream, halted=False, followed=followed)
