"""The cluster's configuration: members, operators, the log's key, the synchronous policy.

One document, the same bytes on every node; plans carry its digest, so that a plan made under another configuration
is refused. Pure: no I/O, no clock.
"""

from enum import StrEnum
from functools import cached_property

import msgspec

from aerodb.errors import AeroError
from aerodb.protocol import canonical


class Role(StrEnum):
    """What a person may do; one person, one role."""

    OBSERVER = "observer"
    OPERATOR = "operator"
    AUDITOR = "auditor"


class Member(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One agent: beside a PostgreSQL instance, or a witness that pledges and holds no data.

    `agent` is host:port of the agent; `postgres_host` and `postgres_port` are how PostgreSQL is reached (empty and 0
    for a witness); `public_key` is the agent's raw Ed25519 key in base64.
    """

    name: str
    witness: bool
    agent: str
    postgres_host: str
    postgres_port: int
    public_key: str


class Operator(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One person: a name (the CN of their TLS certificate), a role, and an SSH public key line where they may sign."""

    name: str
    role: Role
    ssh_key: str = ""
    revoked: bool = False


class Cluster(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """The whole configuration.

    `quorum` is k: how many standbys must flush a commit before it is acknowledged. `genesis` is the node that was
    made primary of term 1 when the cluster was made. `log_key` is the audit log's verifier key (C2SP signed-note).
    `control` is host:port of the control plane's API. `web` is host:port where the admin UI listens, and `web_origin`
    its origin as browsers name it, such as "http://orders-3f2a91bc.localhost:7407"; both are empty where there is no
    admin UI.
    """

    name: str
    id: str
    members: tuple[Member, ...]
    operators: tuple[Operator, ...]
    quorum: int
    genesis: str
    log_key: str
    control: str
    web: str = ""
    web_origin: str = ""

    @property
    def data_nodes(self) -> tuple[str, ...]:
        """Return the names of the members that hold data, in the configuration's order."""
        return tuple(member.name for member in self.members if not member.witness)

    @property
    def majority(self) -> int:
        """Return how many members are a majority, witnesses counted."""
        return len(self.members) // 2 + 1

    @cached_property  # Every judgement of every node compares it; the value never changes.
    def digest(self) -> str:
        """Return the digest of the configuration's canonical bytes."""
        return canonical.digest(canonical.encode(self))

    @property
    def origin(self) -> str:
        """Return the name under which the audit log signs its checkpoints."""
        return f"aerodb.log/{self.id}"

    @property
    def rp_id(self) -> str:
        """Return the admin UI's WebAuthn relying party: the host in `web_origin`, or nothing."""
        return self.web_origin.partition("://")[2].partition(":")[0]

    @property
    def web_is_local(self) -> bool:
        """Tell whether browsers find the admin UI on their own machine by its name alone: localhost, or one below it.

        Source: RFC 6761, section 6.3.
        """
        return self.rp_id == "localhost" or self.rp_id.endswith(".localhost")

    def member(self, name: str) -> Member:
        """Return the member called `name`.

        Raises:
            NodeUnknown: there is none.
        """
        for member in self.members:
            if member.name == name:
                return member
        raise NodeUnknown(f"the cluster {self.name} has no node {name!r}", field="node")

    def operator(self, name: str) -> Operator | None:
        """Return the operator called `name`, or None."""
        return next((person for person in self.operators if person.name == name), None)


class NodeUnknown(AeroError):
    """The request names a node that the cluster does not have."""

    code = "input.node-unknown"
    status = 404
    title = "The cluster has no such node"
