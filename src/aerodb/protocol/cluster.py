"""The cluster's configuration: members, operators, the log's key, the synchronous policy.

Version 1 is the founding document, the same bytes on every node, and is trusted outright; each later version hangs on
the one before (`aerodb.protocol.chain`). Plans carry the digest of the version that they were made under, so that a
plan made under another is refused. Pure: no I/O, no clock.
"""

from enum import StrEnum
from functools import cached_property
from typing import ClassVar, Literal

import msgspec

from aerodb.errors import AeroError
from aerodb.protocol import canonical
from aerodb.protocol.authenticator import EnrolledAuthenticator
from aerodb.protocol.base64text import from_base64
from aerodb.protocol.change import Link
from aerodb.protocol.epoch import EPOCH_FIRST
from aerodb.protocol.formats import Format
from aerodb.protocol.vkey import COSIGNATURE, VerifierKey, VerifierKeyInvalid, parse_verifier_key


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


class Cosigning(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who watches the audit log from outside, and how many of them must vouch for it before a node acts.

    `witnesses` are the verifier keys of the log witnesses (C2SP tlog-cosignature), each of which holds its witness's
    name. `demanded` is how many of them must have cosigned the checkpoint that an order's confirmation stands under.
    """

    witnesses: tuple[str, ...]
    demanded: int

    def __post_init__(self) -> None:
        """Refuse what would count one witness twice, or ask for more than there are."""
        keys = self.keys
        if not keys:
            raise ValueError("cosigning names no log witness: leave it out")
        if len({key.name for key in keys}) < len(keys) or len({key.public_raw for key in keys}) < len(keys):
            raise ValueError("two log witnesses have one name, or one key")
        if not 0 <= self.demanded <= len(keys):
            raise ValueError(f"{self.demanded} cosignatures are demanded of {len(keys)} log witnesses")

    @property
    def keys(self) -> tuple[VerifierKey, ...]:
        """Return the witnesses' keys, in the configuration's order."""
        try:
            return tuple(parse_verifier_key(vkey, COSIGNATURE) for vkey in self.witnesses)
        except VerifierKeyInvalid as error:
            raise ValueError(error.message) from error


class Cluster(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """The whole configuration.

    `quorum` is k: how many standbys must flush a commit before it is acknowledged. `genesis` is the node that was
    made primary of term 1 when the cluster was made. `log_key` is the audit log's verifier key (C2SP signed-note).
    `control` is host:port of the control plane's API. `web` is host:port where the admin UI listens, and `web_origin`
    its origin as browsers name it, such as "http://orders-3f2a91bc.localhost:7407"; both are empty where there is no
    admin UI.
    `cosigning` is left out where no log witness is named, so that such a configuration keeps its bytes.

    This is version 1, which founds the cluster; each later version is a `LaterCluster`, which is all that this one is.
    """

    FORMAT: ClassVar[Format] = Format(kind="configuration")

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
    cosigning: Cosigning | msgspec.UnsetType = msgspec.UNSET

    def __post_init__(self) -> None:
        """Refuse a log witness whose key is another party's: it would vouch for itself."""
        if not self.log_witnesses:
            return
        try:
            log = parse_verifier_key(self.log_key).public_raw
        except VerifierKeyInvalid as error:
            raise ValueError(error.message) from error
        others = {log, *(from_base64(each.public_key) for each in self.members)}
        if any(key.public_raw in others for key in self.log_witnesses):
            raise ValueError("a log witness has the key of the audit log, or of a node")

    @property
    def log_witnesses(self) -> tuple[VerifierKey, ...]:
        """Return the keys of the log witnesses, in the configuration's order; none by default."""
        return () if self.cosigning is msgspec.UNSET else self.cosigning.keys

    @property
    def cosignatures_demanded(self) -> int:
        """Return how many log witnesses must have cosigned before a node acts; 0 by default."""
        return 0 if self.cosigning is msgspec.UNSET else self.cosigning.demanded

    @property
    def watched(self) -> bool:
        """Tell whether the cluster is only watched: no term has been founded, and nobody may act on it."""
        return not self.genesis

    @property
    def link(self) -> Link | None:
        """Return where a later version stands in the chain; None of version 1."""
        return None

    @property
    def second_asked(self) -> tuple[str, ...]:
        """Return the classes of actions for which a second person is asked, by name; none of version 1."""
        return ()

    @property
    def version(self) -> int:
        """Return which version of the configuration this is."""
        return 1 if self.link is None else self.link.version

    @property
    def epoch(self) -> int:
        """Return the epoch of the version: what elections look at."""
        return EPOCH_FIRST if self.link is None else self.link.epoch

    @property
    def previous(self) -> str:
        """Return the digest of the version before, or nothing of version 1."""
        return "" if self.link is None else self.link.previous

    @property
    def enrolled(self) -> tuple[EnrolledAuthenticator, ...]:
        """Return all authenticators that are or were enrolled; version 1 has no place for any."""
        return ()

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

    def authenticator(self, credential: str) -> EnrolledAuthenticator | None:
        """Return the authenticator that is or was enrolled with a credential, or None."""
        return next((each for each in self.enrolled if each.credential == credential), None)


class LaterCluster(Cluster, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """A version of the configuration that follows another one: all that version 1 says, and how it came about.

    `chain` says which version it is, and what it changed. `authenticators` are all that are or were enrolled. `second`
    names the classes of actions, sorted, that a second person must sign too.
    """

    FORMAT: ClassVar[Format] = Format(
        kind="configuration",
        version=2,
        earlier=Cluster,
        lifted=lambda founding: founding,  # Version 1 stays what it is, since its digest is that of its own bytes.
    )

    kind: Literal["configuration"] = "configuration"
    format: Literal[2] = 2
    chain: Link
    authenticators: tuple[EnrolledAuthenticator, ...] = ()
    second: tuple[str, ...] = ()

    @property
    def enrolled(self) -> tuple[EnrolledAuthenticator, ...]:
        """Return all authenticators that are or were enrolled."""
        return self.authenticators

    @property
    def link(self) -> Link:
        """Return where it stands in the chain."""
        return self.chain

    @property
    def second_asked(self) -> tuple[str, ...]:
        """Return the classes of actions for which a second person is asked."""
        return self.second


def _as_it_is(earlier: Cluster) -> Cluster:
    """Return an earlier version's document as it is, since its digest is that of its own bytes."""
    return earlier


class WatchedCluster(Cluster, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """Version 1 of the configuration of a cluster that others made and that is only watched.

    No term has been founded: it names no first primary, and no k. PostgreSQL is reached where each host said.
    """

    FORMAT: ClassVar[Format] = Format(kind="configuration", version=3, earlier=LaterCluster, lifted=_as_it_is)

    kind: Literal["configuration"] = "configuration"
    format: Literal[3] = 3
    quorum: Literal[0] = 0
    genesis: Literal[""] = ""


def read_configuration(data: bytes) -> Cluster:
    """Return the configuration in `data`, of whichever version.

    Raises:
        NotCanonical, MadeLater: it is none, or of a later format than this build reads.
    """
    return canonical.decode(data, WatchedCluster)


class NodeUnknown(AeroError):
    """The request names a node that the cluster does not have."""

    code = "input.node-unknown"
    status = 404
    title = "The cluster has no such node"
