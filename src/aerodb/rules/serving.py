"""What a load balancer may be told: whether a node serves as the primary, or as a standby, by what it sees of itself.

- A primary serves where it holds the newest grant that it knows, has pledged nothing above it to another, runs out of
  recovery, and as many standbys stream from it as a commit waits for. A deposed one has none of them left.
- A standby serves where it streams, replays, and is no further behind than the caller allows.
- Whatever cannot be seen is a no.

Pure: no I/O, no clock.
"""

import re

import msgspec

from aerodb.errors import AeroError
from aerodb.protocol.authority import Standing
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import Sender
from aerodb.rules.writes import STREAMING, flushes

UNITS = {"": 1, "B": 1, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}
_LAG = re.compile(r"([0-9]{1,12})(|B|kB|MB|GB|TB)")


class LagMalformed(AeroError):
    """The lag that a caller allows is no number of bytes."""

    code = "input.lag-malformed"
    status = 400
    title = "The lag is malformed"


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """What a running PostgreSQL says of itself when a load balancer asks: no WAL is read for it.

    `receiver` is the WAL receiver's status (empty: there is none), `behind_bytes` how much of the upstream's WAL, as
    far as the receiver was told of it, is not replayed (None: unknown), `paused` whether replay is paused.
    """

    recovery: bool
    senders: tuple[Sender, ...]
    receiver: str
    behind_bytes: int | None
    paused: bool


def lag_allowed(text: str) -> int:
    """Return the bytes that a caller allows: a number, with PostgreSQL's units where it has one.

    Raises:
        LagMalformed: it is none.
    """
    found = _LAG.fullmatch(text)
    if found is None:
        raise LagMalformed(f"a lag is a number of bytes, as 16MB; there are {', '.join(UNITS)[2:]}", field="lag")
    return int(found[1]) * UNITS[found[2]]


def refused_as_primary(cluster: Cluster, node: str, standing: Standing, seen: Serving | None) -> str:
    """Return why the node does not serve as the primary; empty where it does."""
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
    """Return why the node does not serve as a standby that is at most so far behind; empty where it does."""
    if standing.role != "standby":
        return f"it stands as a {standing.role}"
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
