"""A snapshot: every agent's facts, read twice.

Where the structural facts differ, they are not one state, and no plan is made from them; they are never mixed.
"""

from aerodb.control.agents import Agents
from aerodb.control.errors import SnapshotInconsistent
from aerodb.errors import AeroError
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import Facts, structural
from aerodb.protocol.plan import Snapshot
from aerodb.protocol.signed import Signed
from aerodb.rules.view import open_report
from aerodb.tracing import span


def collect(cluster: Cluster, agents: Agents, nonce: str) -> tuple[Snapshot, tuple[str, ...]]:
    """Return the second of two reads, and the nodes whose structural facts differ between them."""
    (first, _), (second, missing) = agents.read_twice(nonce)
    opened = [_opened(cluster, reports, nonce) for reports in (first, second)]
    differ = tuple(
        member.name for member in cluster.members if opened[0].get(member.name) != opened[1].get(member.name)
    )
    genuine = {name: second[name] for name in opened[1]}
    forged = {name: "its report cannot be verified" for name in second if name not in genuine}
    snapshot = Snapshot(cluster=cluster.id, nonce=nonce, reports=genuine, missing={**missing, **forged})
    return snapshot, differ


def _opened(cluster: Cluster, reports: dict[str, Signed], nonce: str) -> dict[str, Facts]:
    found = {}
    for name, signed in reports.items():
        try:
            found[name] = structural(open_report(cluster, name, signed, nonce).facts)
        except AeroError:
            continue  # What cannot be verified was not said.
    return found


def collect_consistent(cluster: Cluster, agents: Agents, nonce: str) -> Snapshot:
    """Return a snapshot whose two reads agree.

    Raises:
        SnapshotInconsistent: they do not.
    """
    with span("snapshot"):
        snapshot, differ = collect(cluster, agents, nonce)
        if differ:
            raise SnapshotInconsistent(f"changed between two reads: {', '.join(differ)}; ask again")
    return snapshot
