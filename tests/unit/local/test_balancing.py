"""HAProxy's configuration for a cluster: every node that holds data, by its own name, at its own addresses."""

import re
from pathlib import Path

from msgspec.structs import replace

from aerodb.local.balancing import balancer_files, haproxy_configuration
from tests.unit.rules.scenes import cluster_of

PAGE = Path(__file__).parents[3] / "docs" / "connecting.md"


def test_each_data_node_is_asked_at_its_agent_by_its_own_name() -> None:
    """In both listeners; a witness holds nothing to lead to. An address in IPv6 stands in brackets."""
    cluster = cluster_of(witness=True)
    first, second, witness = cluster.members[0], cluster.members[1], cluster.members[-1]
    assert witness.witness
    members = (
        replace(first, agent="10.0.0.1:7401", postgres_host="10.0.0.1", postgres_port=5432),
        replace(second, agent="[fd00::2]:7401", postgres_host="fd00::3", postgres_port=5433),
        witness,
    )
    found = haproxy_configuration(replace(cluster, members=members))
    assert re.findall(r"^    server .*", found, re.MULTILINE) == 2 * [
        "    server n1 10.0.0.1:5432 port 7401 check-sni n1 verifyhost n1",
        "    server n2 [fd00::3]:5433 addr [fd00::2] port 7401 check-sni n2 verifyhost n2",
    ]
    assert "@" not in found


def test_the_documentation_shows_the_very_files() -> None:
    """What a reader copies is what a folder is made with, and what is tried."""
    page = PAGE.read_text(encoding="utf-8")
    cluster = cluster_of(witness=False)
    hosts = (
        replace(each, agent=f"10.0.0.{at}:7401", postgres_host=f"10.0.0.{at}", postgres_port=5432)
        for at, each in enumerate(cluster.members, 1)
    )
    shown = balancer_files(replace(cluster, members=tuple(hosts)))
    for name in ("haproxy.cfg", "pgbouncer.ini"):
        assert f"```\n{shown[name].decode()}```" in page, name
