"""`aerodb admit`: a cluster of hosts that asked to join, to be watched: keys, configuration, certificates.

- Nothing is made before a person has compared the words of every host.
- The folder is there whole, or not at all; the authority's key, the log's and the operator's are made here, once.
- Hosts' private keys are never here: each is certified by its own request.
"""

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from aerodb.errors import AeroError
from aerodb.local.errors import FolderTaken, FolderUnusable
from aerodb.local.founding import Founding, keep_authority, web_host
from aerodb.local.layout import Layout
from aerodb.local.size import HOST, free_ports
from aerodb.local.whole import refuse_left_over, whole
from aerodb.protocol import canonical, sshkey
from aerodb.protocol.chain import NAME
from aerodb.protocol.cluster import Member, Operator, Role, WatchedCluster
from aerodb.protocol.joining import (
    PORT_MAX,
    AddressRefused,
    Admitted,
    JoinsContradict,
    JoinUnreadable,
    NameRefused,
    admission_words,
    opened_join,
    read_address,
    refuse_contradicting,
    written,
)
from aerodb.transport.certificates import Authority, requested_key, write_private

NOBODY = frozenset(
    {"admitted", "auditor", "authority", "cluster.json", "control", "logs", "monitor", "nodes", "observer", "renewed"}
)
"""What is called otherwise in a cluster's folder, or is somebody else."""
ADMITTED = "admitted"
"""The folder of what is carried back to the hosts."""


class JoiningHost(msgspec.Struct, frozen=True, kw_only=True):
    """A host that asks to join: its member, the words of what it signed, and the key that is to be certified."""

    member: Member
    words: str
    key: EllipticCurvePublicKey


def opened_hosts(files: Iterable[tuple[str, bytes]]) -> tuple[JoiningHost, ...]:
    """Return the hosts that ask to join, from what is in their files (each: its name, and its bytes).

    Raises:
        JoinUnreadable, NameRefused, AddressRefused, MadeLater: a file is no host's join; the message names it.
        JoinsContradict: two have one name, key or address.
    """
    hosts = tuple(_opened(name, data) for name, data in files)
    refuse_contradicting(host.member for host in hosts)
    for at, host in enumerate(hosts):
        for other in hosts[:at]:
            if other.key == host.key:
                raise JoinsContradict(
                    f"{other.member.name} and {host.member.name} ask for certificates of one key", field="joins"
                )
    return hosts


def _opened(name: str, data: bytes) -> JoiningHost:
    try:
        joining, words = opened_join(data)
        return JoiningHost(member=joining.member, words=words, key=requested_key(joining.request))
    except ValueError as error:
        raise JoinUnreadable(f"{name}: its request for a certificate cannot be used: {error}", field="joins") from error
    except AeroError as error:
        raise type(error)(f"{name}: {error.message}", field="joins") from error


def opened_operators(named: Iterable[tuple[str, str]]) -> tuple[Operator, ...]:
    """Return the operators who bring keys of their own (each: a name, and the line of a public SSH key).

    Raises:
        NameRefused: nobody may be called so, or two are.
        KeyMalformed, KeyWeak: a key is none that is accepted.
        JoinsContradict: two bring one key.
    """
    found = list[Operator]()
    for name, line in named:
        if not NAME.fullmatch(name) or name in NOBODY or name in {each.name for each in found}:
            raise NameRefused(f"no operator can be called {name!r} here, or two are", field="operator")
        key = sshkey.parse_line(line)
        sshkey.refuse_weak(key)
        bare = " ".join(key.line.split(" ")[:2])
        if bare in {each.ssh_key for each in found}:
            raise JoinsContradict(f"{name} brings a key that another one brings", field="operator")
        found.append(Operator(name=name, role=Role.OPERATOR, ssh_key=bare))
    return tuple(found)


class Admitting:
    """One cluster of hosts in the making."""

    def __init__(
        self, hosts: tuple[JoiningHost, ...], name: str, control: str, operators: tuple[Operator, ...] = ()
    ) -> None:
        """Draw the keys and the configuration; nothing is written yet. `control` is HOST:PORT, or empty: here.

        `operators` bring keys of their own, as `opened_operators` says; without any one is made.

        Raises:
            NameRefused: no cluster may be called `name`.
            AddressRefused: the control plane cannot be at `control`.
            PortsTaken: no port is free for it.
        """
        if not NAME.fullmatch(name):
            raise NameRefused(
                f"{name!r} is no name for a cluster: lower case letters, digits and . _ - between them, at most 64",
                field="name",
            )
        port = read_address(control, "control")[1] + 1 if control else 0
        if port > PORT_MAX:
            raise AddressRefused(f"{control} leaves no port after it for the admin UI", field="control")
        if not control:
            first, port = free_ports(2)
            control = written(HOST, first)
        _refuse_shared(hosts, control, written(HOST, port))
        self.hosts, self.key_made = hosts, not operators
        self._founding = Founding(operators)
        self.cluster = WatchedCluster(
            name=name,
            id=self._founding.identity,
            members=tuple(host.member for host in hosts),
            operators=self._founding.people,
            log_key=self._founding.log_key,
            control=control,
            web=written(HOST, port),
            web_origin=f"http://{web_host(name, self._founding.identity)}:{port}",
        )
        self._authority = Authority(self.cluster.id)

    @property
    def words(self) -> str:
        """Return the words that each host will say."""
        return admission_words(self._configuration, self._authority.pem.decode())

    @property
    def _configuration(self) -> str:
        return canonical.encode(self.cluster).decode()

    def admissions(self, folder: Path) -> list[Path]:
        """Return the files to carry back, by host, where the cluster is in `folder`."""
        return [folder / ADMITTED / f"{host.member.name}.admitted" for host in self.hosts]

    def make(self, folder: Path, passphrase: bytes) -> None:
        """Write everything, the authority's key encrypted by the passphrase.

        Raises:
            FolderTaken, FolderIncomplete, FolderUnusable: the folder cannot be made, or is there.
        """
        refuse_taken(folder)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with whole(folder) as made:
                self._make(made, passphrase)
        except OSError as error:
            raise FolderUnusable(f"{folder} cannot be made: {error.strerror}", field="folder") from error

    def _make(self, root: Path, passphrase: bytes) -> None:
        layout = Layout(root=root)
        keep_authority(layout, self._authority, passphrase)
        self._founding.make_control(layout, self._authority, self.cluster)
        self._founding.make_people(layout, self._authority, self.cluster)
        self._founding.make_monitor(layout, self._authority, self.cluster)
        self._founding.make_balancer(layout, self._authority, self.cluster)
        (root / ADMITTED).mkdir(mode=0o700)
        for host, path in zip(self.hosts, self.admissions(root), strict=True):
            admitted = Admitted(
                configuration=self._configuration,
                certificate=self._authority.certified(host.key, host.member.name, "agent").decode(),
                authority=self._authority.pem.decode(),
            )
            write_private(path, canonical.encode(admitted))
        write_private(layout.configuration, canonical.encode(self.cluster))


def _refuse_shared(hosts: tuple[JoiningHost, ...], *services: str) -> None:
    """Refuse an address at which an agent is, too: where the control plane is on a host that is watched."""
    for host in hosts:
        if host.member.agent in services:
            raise AddressRefused(
                f"{host.member.agent} would be the control plane's, or its admin UI's, and is the agent's of "
                f"{host.member.name}: name another by --control",
                field="control",
            )


def refuse_taken(folder: Path) -> None:
    """Refuse a folder that holds something, or what a killed command left of its making.

    Raises:
        FolderTaken, FolderIncomplete, FolderUnusable: so it is.
    """
    try:
        if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
            raise FolderTaken(f"{folder} holds something: a cluster is made in a folder of its own", field="folder")
    except OSError as error:
        raise FolderUnusable(f"{folder} cannot be read: {error.strerror}", field="folder") from error
    refuse_left_over(folder)
