"""What a load balancer is told: whether a node serves as the primary or as a standby, by what it sees of itself.

- A primary serves if it holds the newest grant that it knows, has pledged nothing above it to another, runs out of
  recovery, and as many standbys stream from it as a commit waits for. A deposed one has too few of them left.
- A standby serves if it streams, replays, and is no further behind than the caller allows.
- Of a node that is only watched nothing is known but what its PostgreSQL says: there is no grant. A primary serves if
  it runs out of recovery and answers, whatever another node says; a standby serves as any other does.
- What cannot be seen counts as no.

Pure: no I/O, no clock.
"""

import re

import msgspec

from aerodb.errors import AeroError
from aerodb.protocol.authority import Standing
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import Sender
from aerodb.rules.writes import STREAMING, flushes

UNSEEN = "not to be seen"
"""What stands in place of a receiver's status where whoever looks may see that there is one, and no more."""
UNITS = {"": 1, "B": 1, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}
_LAG = re.compile(r"([0-9]{1,12})(|B|kB|MB|GB|TB)")


class LagMalformed(AeroError):
    """The lag that a caller allows is not a number of bytes."""

    code = "input.lag-malformed"
    status = 400
    title = "The lag is malformed"


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a running PostgreSQL for a load balancer; no WAL is read for it.

    `receiver` is the WAL receiver's status (empty: there is none); `behind_bytes` is how much of the upstream's WAL
    that the receiver knows of is not replayed (None: unknown); `paused` is whether replay is paused.
    """

    recovery: bool
    senders: tuple[Sender, ...]
    receiver: str
    behind_bytes: int | None
    paused: bool


def lag_allowed(text: str) -> int:
    """Parse the lag that a caller allows, a number with one of PostgreSQL's units or none; return it in bytes.

    Raises:
        LagMalformed: it is none.
    """
    found = _LAG.fullmatch(text)
    if found is None:
        raise LagMalformed(f"a lag is a number of bytes, as 16MB; there are {', '.join(UNITS)[2:]}", field="lag")
    return int(found[1]) * UNITS[found[2]]


def refused_as_primary(cluster: Cluster, node: str, standing: Standing, seen: Serving | None) -> str:
    """Return why the node does not serve as the primary; empty if it does."""
    if standing.role != "primary":
        return f"it stands as a {standing.role}"
    if standing.granted.node != node:
        return f"term {standing.granted.term} is granted to {standing.granted.node}"
    if standing.pledged.term > standing.granted.term and standing.pledged.node != node:
        return f"it has pledged term {standing.pledged.term} to {standing.pledged.node}"
    if seen is None:
        return "PostgreSQL does not answer"
    if seen.recovery:
        return "PostgreSQL is in recovery"
    counted = [each.node for each in seen.senders if flushes(each) and not each.ahead]
    if len(counted) < cluster.quorum:
        return f"commits wait: {len(counted)} standby(s) stream, {cluster.quorum} needed"
    return ""


def refused_as_standby(standing: Standing, seen: Serving | None, lag_bytes_max: int | None) -> str:
    """Return why the node does not serve as a standby within `lag_bytes_max` (None: any lag); empty if it does."""
    if standing.role != "standby":
        return f"it stands as a {standing.role}"
    return _refused_in_recovery(seen, lag_bytes_max)


def refused_as_watched_primary(seen: Serving | None) -> str:
    """Return why a node that is only watched does not serve as a primary; empty if it does."""
    if seen is None:
        return "PostgreSQL does not answer"
    return "PostgreSQL is in recovery" if seen.recovery else ""


def refused_as_watched_standby(seen: Serving | None, lag_bytes_max: int | None) -> str:
    """Return why a node that is only watched does not serve as a standby within `lag_bytes_max`; empty if it does."""
    if seen is not None and seen.recovery and seen.receiver == UNSEEN:
        return "whether it streams cannot be seen: its agent's role lacks pg_monitor"
    return _refused_in_recovery(seen, lag_bytes_max)


def _refused_in_recovery(seen: Serving | None, lag_bytes_max: int | None) -> str:
    if seen is None:
        return "PostgreSQL does not answer"
    if not seen.recovery:
        return "PostgreSQL is out of recovery"
    if seen.receiver != STREAMING:
        return f"it does not stream: the receiver is {seen.receiver or 'down'}"
    if seen.paused:
        return "replay is paused"
    if lag_bytes_max is None:
        return ""
    if seen.behind_bytes is None:
        return "its lag is not known"
    return f"it is {seen.behind_bytes} bytes behind" if seen.behind_bytes > lag_bytes_max else ""
