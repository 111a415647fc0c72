"""The ways of a switchover and of a failover, for the sizes that clusters have, by the function that lays them out."""

from aerodb.protocol.cluster import Cluster, Member
from aerodb.rules.ways import Way, failover, planned
from docs.generator.text import GENERATED

SIZES = ((2, 1, False), (2, 1, True), (3, 1, False), (3, 0, False), (4, 1, False), (5, 1, False), (5, 2, False))
"""Data nodes, k, and whether there is a witness."""

INTRODUCTION = """Which requests, in which order, move the primary from n1 to n2. The function behind this page (`rules/ways.py`) knows
every size; a test walks each of its ways, request by request, by the real rules. `aerodb up` prints the way of its own cluster.

Requests stand in the order in which they are executed. In a switchover the promotion is best [signed ahead](operating.md#a-planned-switchover): `aerodb promote n2
--after demote:n1` is typed first, and held; `aerodb demote n1 --for n2 --then REQUEST` then runs both.

*k* is how many standbys must flush a commit before it is acknowledged. A failover is laid out for a primary that is gone with its
agent. Where no election is possible without it, its agent has to come back, with its PostgreSQL down: a note says so."""


def _cluster(data: int, quorum: int, *, witness: bool) -> Cluster:
    names = [*(f"n{number}" for number in range(1, data + 1)), *(["w"] if witness else [])]
    members = tuple(
        Member(name=name, witness=name == "w", agent="", postgres_host="", postgres_port=0, public_key="")
        for name in names
    )
    return Cluster(name="", id="", members=members, operators=(), quorum=quorum, genesis="n1", log_key="", control="")


def _block(way: Way) -> str:
    lines = []
    for at, step in enumerate(way.steps):
        marks = [mark for mark, place in (("writes stop", way.stops), ("writes are back", way.returns)) if place == at]
        lines.append(f"{step!s:<32}# {', '.join(marks)}" if marks else str(step))
    remarks = "".join(f"\n\nNote: {remark}." for remark in way.remarks)
    return "```\n" + "\n".join(lines) + "\n```" + remarks


def ways_page() -> str:
    """Return the page."""
    parts = [GENERATED, "# The ways, for every size", INTRODUCTION]
    for data, quorum, witness in SIZES:
        cluster = _cluster(data, quorum, witness=witness)
        parts += [
            f"## {data} data nodes{' and a witness' if witness else ''}, k = {quorum}",
            "A planned switchover:",
            _block(planned(cluster, "n1", "n2")),
            "A failover:",
            _block(failover(cluster, "n1", "n2")),
        ]
    return "\n\n".join(parts) + "\n"


def pages() -> dict[str, str]:
    """Return the page by its path."""
    return {"ways.md": ways_page()}
