"""A cluster's folder on this machine: who keeps what where.

cluster.json         the configuration, the same bytes everywhere
nodes/<name>/        an agent's folder, with its PostgreSQL in postgres/
control/             the control plane's folder: its keys and the audit log
authority/           the certificate authority: its key, which no process reads, and its certificate
monitor/             what Prometheus needs in order to scrape: its certificate, its configuration
balancer/            what HAProxy and PgBouncer need: a certificate that asks who is the primary, their configurations
operator/ auditor/ observer/   one profile a person: their certificate, and the operator's SSH key; so of each who
                     was given a certificate later
logs/                what the processes said
"""

from pathlib import Path
from urllib.parse import quote

import msgspec

from aerodb.protocol.chain import read_founding
from aerodb.protocol.cluster import Cluster


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """The paths of one cluster's folder."""

    root: Path

    @property
    def configuration(self) -> Path:
        """Return the configuration's file."""
        return self.root / "cluster.json"

    @property
    def control(self) -> Path:
        """Return the control plane's folder."""
        return self.root / "control"

    @property
    def authority(self) -> Path:
        """Return the folder of the certificate authority."""
        return self.root / "authority"

    @property
    def logs(self) -> Path:
        """Return the folder of what the processes say."""
        return self.root / "logs"

    @property
    def monitor(self) -> Path:
        """Return the folder of whoever scrapes."""
        return self.root / "monitor"

    @property
    def balancer(self) -> Path:
        """Return the folder of the first balancer."""
        return self.root / "balancer"

    def node(self, name: str) -> Path:
        """Return an agent's folder."""
        return self.root / "nodes" / name

    def profile(self, person: str) -> Path:
        """Return a person's profile."""
        return self.root / person

    def cluster(self) -> Cluster:
        """Return the configuration.

        Raises:
            OSError, NotCanonical, VersionRefused: it cannot be read.
        """
        return read_founding(self.configuration.read_bytes())

    def dsn(self) -> str:
        """Return how an application connects: every node is named, and libpq finds the one that takes writes."""
        members = [member for member in self.cluster().members if not member.witness]
        hosts = ",".join(f"{member.postgres_host}:{member.postgres_port}" for member in members)
        passfile = quote(str((self.profile("operator") / "app.pgpass").resolve()))
        return f"postgresql://app@{hosts}/app?target_session_attrs=read-write&passfile={passfile}"
