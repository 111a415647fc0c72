"""The node as a log witness: it cosigns the newest checkpoint it was shown, which extends all that it saw before.

- The cosignature is made when the checkpoint is remembered and is stored with it, so every report carries it.
- It proves, to anyone with the cluster's configuration, what the node saw and on whose cosignatures it acted. No rule
  depends on it, or on the time in it.
"""

import time

from msgspec.structs import replace

from aerodb.audit.cosignature import cosign, cosigned_by, node_key, with_lines
from aerodb.kernel.node import Node
from aerodb.kernel.seen import LogSeen
from aerodb.protocol.cluster import Cluster


def vouched(node: Node, seen: LogSeen) -> LogSeen:
    """Return what the node has just checked with its cosignature added, unless a note cannot hold the node's name."""
    own = node_key(node.cluster, node.member)
    if own is None:
        return seen
    line = cosign(seen.checkpoint, own.name, node.key, int(time.time()))
    return replace(seen, checkpoint=with_lines(seen.checkpoint, (line,)))


def vouched_for(cluster: Cluster, seen: LogSeen) -> tuple[str, ...]:
    """Return, as evidence, which log witnesses cosigned what the node saw; empty if none did."""
    names = [each.name for each in cosigned_by(seen.checkpoint, cluster.log_witnesses)] if cluster.log_witnesses else []
    return (f"the log of {seen.size} records was cosigned by {' and '.join(names)}",) if names else ()
