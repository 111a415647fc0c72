"""What a new cluster on this machine is to be: how many nodes, what a commit waits for, and on which ports."""

import errno
import socket

import msgspec

from aerodb.local.errors import PortsTaken, SizeRefused
from aerodb.protocol.cluster import Cluster

PORTS_FROM, PORTS_TO, PORTS_STEP = 7400, 32_000, 40
PORT_MAX = 65_535
HOST = "127.0.0.1"


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """What a new cluster is to be: its data nodes, whether a witness joins them, and k, its `quorum`.

    `ports_from` is the first of a run of ports, all of which must be free; 0: any run that is free, from 7400 on.
    """

    nodes: int = 3
    witness: bool = False
    quorum: int = 1
    ports_from: int = 0

    @property
    def ports(self) -> int:
        """Return how many ports it takes: control plane and admin UI, an agent a member, PostgreSQL on data nodes."""
        return 2 + 2 * self.nodes + self.witness

    def refuse_odd(self) -> None:
        """Refuse what no cluster can be.

        Raises:
            SizeRefused: more standbys are to confirm a commit than there are, or the ports leave the range.
        """
        if not 0 <= self.quorum < self.nodes:
            raise SizeRefused(
                f"{self.quorum} standbys cannot flush a commit: {self.nodes} nodes have at most {self.nodes - 1}",
                field="quorum",
            )
        if self.ports_from and not 1 <= self.ports_from <= PORT_MAX - self.ports + 1:
            raise SizeRefused(f"{self.ports} ports from {self.ports_from} on are beyond {PORT_MAX}", field="ports-from")

    def at_free_ports(self, begin: int = PORTS_FROM) -> "Size":
        """Return this size on the first run of free ports from `begin` on.

        Raises:
            PortsTaken: there is none.
        """
        return msgspec.structs.replace(self, ports_from=free_ports(self.ports, begin)[0])


def size_of(cluster: Cluster) -> Size:
    """Return of which size a cluster is."""
    return Size(
        nodes=len(cluster.data_nodes),
        witness=any(member.witness for member in cluster.members),
        quorum=cluster.quorum,
        ports_from=int(cluster.control.rpartition(":")[2]),
    )


def ports_of(size: Size) -> list[int]:
    """Return the ports of a new cluster.

    Raises:
        PortsTaken: they are not free; the message names the first one that is not.
    """
    if not size.ports_from:
        return free_ports(size.ports)
    ports = list(range(size.ports_from, size.ports_from + size.ports))
    taken = next((port for port in ports if not is_free(port)), None)
    if taken is not None:
        raise PortsTaken(f"port {taken} of {HOST} is taken; {size.ports} are needed from {size.ports_from} on")
    return ports


def free_ports(count: int, begin: int = PORTS_FROM) -> list[int]:
    """Return a run of `count` free ports, below those that the system lends out.

    Raises:
        PortsTaken: there is none.
    """
    for first in range(begin, PORTS_TO, PORTS_STEP):
        ports = list(range(first, first + count))
        if all(is_free(port) for port in ports):
            return ports
    raise PortsTaken("no run of free ports on the loopback interface")


def is_free(port: int, host: str = HOST) -> bool:
    """Tell whether nobody listens on a port now. Why else it may not be listened on, whoever tries is told."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # Who has just closed a connection takes none.
            tried.bind(address)
    except OSError as error:
        return error.errno != errno.EADDRINUSE
    return True
