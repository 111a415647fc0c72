"""What every new cluster begins with, whoever made its PostgreSQL: keys, people, control plane, monitor, balancer.

- Every key is made here, once. The certificate authority's own key is kept in a folder of its own, which no process of
  the cluster reads: with it people are given certificates later.
"""

import re
import secrets
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aerodb.audit.note import verifier_key
from aerodb.audit.store import Log
from aerodb.local.balancing import balancer_files
from aerodb.local.layout import Layout
from aerodb.local.monitor import monitor_files
from aerodb.local.profiles import pem, write_key, write_profile, write_public
from aerodb.protocol import canonical, sshkey
from aerodb.protocol.cluster import Cluster, Operator, Role
from aerodb.transport.certificates import Authority, write_private
from aerodb.transport.metrics import MONITOR
from aerodb.transport.tls import BALANCER

LABEL_CHARACTERS_MAX = 40


def web_host(name: str, identity: str) -> str:
    """Return the admin UI's host as browsers name it: this machine, by a name that no other cluster has.

    Browsers give authenticators to pages of https, or of a name below localhost; and cookies go by the host alone.
    """
    label = re.sub(r"[^a-z0-9]+", "-", name.lower())[:LABEL_CHARACTERS_MAX].strip("-")
    return "-".join([*([label] if label else []), identity[:8]]) + ".localhost"


def keep_authority(layout: Layout, authority: Authority, passphrase: bytes) -> None:
    """Keep the certificate authority in its folder, its key encrypted unless the passphrase is empty."""
    layout.authority.mkdir(mode=0o700)
    authority.keep(layout.authority, passphrase)


class Founding:
    """The keys and the people of one new cluster, and the folders that need no PostgreSQL."""

    def __init__(self, operators: Sequence[Operator] = ()) -> None:
        """Draw the cluster's id and the keys; nothing is written yet.

        `operators` are people who bring keys of their own; without any there is one operator, with a key made here.
        """
        self._operators = tuple(operators)
        self._log_key, self._operator_key = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
        self.identity = str(uuid.UUID(bytes=secrets.token_bytes(16), version=4))

    @property
    def log_key(self) -> str:
        """Return the audit log's verifier key."""
        return verifier_key(f"aerodb.log/{self.identity}", self._log_key.public_key().public_bytes_raw())

    @property
    def people(self) -> tuple[Operator, ...]:
        """Return the people of a new cluster."""
        return (
            *(self._operators or (self._made_operator(),)),
            Operator(name="auditor", role=Role.AUDITOR),
            Operator(name="observer", role=Role.OBSERVER),
        )

    def _made_operator(self) -> Operator:
        line = sshkey.of_public(self._operator_key.public_key())
        sshkey.refuse_weak(line)
        return Operator(name="operator", role=Role.OPERATOR, ssh_key=line.line)

    def make_control(self, layout: Layout, authority: Authority, cluster: Cluster) -> None:
        """Make the control plane's folder, with an empty audit log."""
        folder = layout.control
        folder.mkdir(mode=0o700)
        authority.issue(folder, "control", "control")
        write_private(folder / "cluster.json", canonical.encode(cluster))
        write_private(folder / "log.key", pem(self._log_key, serialization.PrivateFormat.PKCS8))
        Log.create(folder / "log", cluster.origin, self._log_key).close()

    def make_people(self, layout: Layout, authority: Authority, cluster: Cluster) -> None:
        """Make everybody's profile; with a private key only that of an operator who brought none."""
        for person in cluster.operators:
            folder = layout.profile(person.name)
            folder.mkdir(mode=0o700)
            authority.issue(folder, person.name, "person")
            write_profile(folder, cluster, person.name)
            if person.ssh_key and self._operators:
                write_public(folder, person.name, person.ssh_key)
            elif person.ssh_key == self._made_operator().ssh_key:
                write_key(folder, person.name, self._operator_key)

    def make_monitor(self, layout: Layout, authority: Authority, cluster: Cluster) -> None:
        """Make the folder of whoever scrapes."""
        _make_caller(layout.monitor, authority, MONITOR, monitor_files(cluster))

    def make_balancer(self, layout: Layout, authority: Authority, cluster: Cluster) -> None:
        """Make the folder of the first load balancer."""
        _make_caller(layout.balancer, authority, BALANCER, balancer_files(cluster))


def _make_caller(folder: Path, authority: Authority, kind: str, shipped: Mapping[str, bytes]) -> None:
    """Make the folder of a program that only calls, named as its kind, with the files that it is run by."""
    folder.mkdir(mode=0o700)
    authority.issue(folder, kind, kind)
    for path, data in shipped.items():
        (folder / path).parent.mkdir(mode=0o700, exist_ok=True)
        write_private(folder / path, data)
