"""The files that HAProxy and PgBouncer need for one cluster: whom to ask who is the primary, and whom to lead to."""

from importlib.resources import files

from aerodb.protocol.cluster import Cluster, Member

_SERVERS = "    @servers@\n"
"""Where the shipped configuration of HAProxy has the nodes."""


def haproxy_configuration(cluster: Cluster) -> str:
    """Return haproxy.cfg: every node that holds data, asked at its agent by the name in its certificate."""
    shipped = (files("aerodb.local") / "pooling" / "haproxy.cfg").read_text(encoding="utf-8")
    nodes = [member for member in cluster.members if not member.witness]
    return shipped.replace(_SERVERS, "".join(map(_server, nodes)))


def balancer_files(cluster: Cluster) -> dict[str, bytes]:
    """Return the files of a balancer's folder by name, without its certificate and key."""
    shipped = files("aerodb.local") / "pooling"
    return {
        "haproxy.cfg": haproxy_configuration(cluster).encode(),
        "pgbouncer.ini": (shipped / "pgbouncer.ini").read_bytes(),
        "README.md": (shipped / "README.md").read_bytes(),
    }


def _server(member: Member) -> str:
    """Return a node's line: connections go to PostgreSQL, questions to its agent."""
    agent, _, port = member.agent.rpartition(":")
    agent, postgres = _bracketed(agent), _bracketed(member.postgres_host)
    asked = "" if agent == postgres else f"addr {agent} "  # A name in `addr` must be resolvable when HAProxy begins.
    return (
        f"    server {member.name} {postgres}:{member.postgres_port} {asked}port {port} "
        f"check-sni {member.name} verifyhost {member.name}\n"
    )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
