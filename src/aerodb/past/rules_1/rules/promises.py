"""Who has promised what above one grant: what shows that a primary is still the newest.

Pure: no I/O, no clock.
"""

from collections.abc import Mapping

from aerodb.past.rules_1.protocol.authority import Standing


def _foreign_promise(standing: Standing, term: int, node: str) -> str:
    """Return what forbids `node` to be primary of `term`, as far as one standing says; empty where nothing does."""
    if standing.granted.term > term:
        return f"knows that term {standing.granted.term} is granted to {standing.granted.node}"
    for candidacy in (standing.pledged, *standing.since):
        if candidacy.term > term and candidacy.node != node:
            return f"has pledged term {candidacy.term} to {candidacy.node}"
    return ""


def promise_above(standings: Mapping[str, Standing], term: int, node: str) -> str:
    """Return the first promise to another than `node`, above `term`, that a member states; empty where none does."""
    for name, standing in standings.items():
        promise = _foreign_promise(standing, term, node)
        if promise:
            return f"{name} {promise}"
    return ""
