"""How a host joins a cluster: what it says of itself, signed with the key that it made, and what it is given back.

Both travel by a person's hands. The words of each are compared by people on both machines: a host that another one
plays, and a cluster that is not theirs, are found out so. No private key is in either. Pure: no I/O, no clock.

- The words of an admission are of the configuration and of the authority: whoever exchanged the authority alone could
  call every agent as the control plane.
- A name is one that PostgreSQL takes, unquoted, for a role, an application and a standby, and is nobody else's in TLS.
"""

import re
from collections.abc import Callable, Hashable, Iterable
from ipaddress import ip_address
from typing import ClassVar, Literal

import msgspec

from aerodb.errors import AeroError
from aerodb.protocol import canonical
from aerodb.protocol.chain import read_founding
from aerodb.protocol.cluster import Cluster, Member
from aerodb.protocol.formats import Format, MadeLater
from aerodb.protocol.signed import Signed, open_signed
from aerodb.protocol.words import words_of

NODE_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
RESERVED = frozenset({"any", "balancer", "control", "first", "monitor"})
"""Names that mean something else: to PostgreSQL's synchronous_standby_names, or in certificates."""
PORT_MAX = 65_535
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")


class NameRefused(AeroError):
    """No node, or no cluster, may be called so; the message says what a name is made of."""

    code = "input.name-refused"
    status = 400
    title = "The name cannot be given"


class AddressRefused(AeroError):
    """The text is no address at which other hosts reach a service, or not in its one form."""

    code = "input.address-refused"
    status = 400
    title = "The address cannot be used"


class JoinsContradict(AeroError):
    """Two hosts that would join one cluster have something that only one can have."""

    code = "input.joins-contradict"
    status = 409
    title = "The joins contradict one another"


class AdmissionUnreadable(AeroError):
    """The file is no admission to a cluster that is watched."""

    code = "input.admission-unreadable"
    status = 400
    title = "This is no admission"


class JoinUnreadable(AeroError):
    """The file is no join of a host, or not as the host signed it."""

    code = "input.join-unreadable"
    status = 400
    title = "This is no host's join"


class Joining(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a host says of a node on it: who it is, where it is reached, and its request for a certificate.

    `member` is as the configuration will have it. `request` is the certificate signing request of its TLS key, in PEM.
    `watched` is true: a node that joins is only watched.
    """

    FORMAT: ClassVar[Format] = Format(kind="join")

    kind: Literal["join"] = "join"
    member: Member
    request: str
    watched: Literal[True] = True


class Admitted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a host is given back: the configuration's exact text, its certificate and the authority's, both in PEM."""

    FORMAT: ClassVar[Format] = Format(kind="admission")

    kind: Literal["admission"] = "admission"
    configuration: str
    certificate: str
    authority: str

    @property
    def words(self) -> str:
        """Return the words of the cluster: the same ones for every host that is admitted to it."""
        return admission_words(self.configuration, self.authority)


def admission_words(configuration: str, authority: str) -> str:
    """Return the words of a configuration together with the authority that certifies for it."""
    parts = {"authority": authority, "configuration": configuration}
    return words_of(canonical.digest(canonical.encode(parts)))


# Names and addresses --------------------------------------------------------------------------------------------------


def refuse_node_name(name: str) -> None:
    """Refuse what no node may be called.

    Raises:
        NameRefused: it may not.
    """
    if not NODE_NAME.fullmatch(name):
        raise NameRefused(
            f"{name!r} is no name for a node: a lower case letter, then lower case letters, digits and _, at most 32",
            field="name",
        )
    if name in RESERVED:
        raise NameRefused(f"no node may be called {name}: it means something else", field="name")


def read_address(text: str, field: str) -> tuple[str, int]:
    """Return the host and the port of HOST:PORT; an IPv6 address stands in brackets, and is returned without.

    Raises:
        AddressRefused: it is none, is every address of a host at once, or has another form than the usual one.
    """
    host, _, digits = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    port = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= len(str(PORT_MAX)) else 0
    if not 1 <= port <= PORT_MAX or not _is_host(bare):
        raise AddressRefused(f"{text!r} is no HOST:PORT, such as 10.0.0.1:7401 or [fd00::1]:7401", field=field)
    if bare in {"0.0.0.0", "::"}:  # noqa: S104 - nothing is bound here.
        raise AddressRefused(f"{text} is every address of a host at once: other hosts call one", field=field)
    if written(bare, port) != text:
        raise AddressRefused(f"{text!r} is written {written(bare, port)}", field=field)
    return bare, port


def written(host: str, port: int) -> str:
    """Return HOST:PORT."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_host(text: str) -> bool:
    """Tell whether a text is a host's name in lower case, or an IP address in its one form."""
    try:
        return str(ip_address(text)) == text and "%" not in text
    except ValueError:  # Digits and dots alone are an address or nothing.
        return bool(_HOST.fullmatch(text)) and ".." not in text and not text.replace(".", "").isdigit()


# Joins ----------------------------------------------------------------------------------------------------------------


def opened_join(data: bytes) -> tuple[Joining, str]:
    """Return what a host says of itself, and the words of it; it is signed with the very key that it names.

    Raises:
        JoinUnreadable: it is no join, or not as it was signed.
        NameRefused, AddressRefused: what it says of the node cannot stand in a configuration.
        MadeLater: it is of a later format than this build reads.
    """
    try:
        signed = canonical.decode(data, Signed)
        unverified = canonical.decode(signed.document.encode(), Joining)
        joining = open_signed(signed, Joining, unverified.member.public_key)
    except MadeLater:
        raise
    except AeroError as error:
        raise JoinUnreadable(f"it is no host's join: {error.message}") from error
    if signed.signer != joining.member.name:
        raise JoinUnreadable(f"{signed.signer} signed it, and it is of {joining.member.name}")
    _refuse_odd(joining.member)
    return joining, words_of(signed.digest)


def _refuse_odd(member: Member) -> None:
    """Refuse a member that no configuration has: what was signed may say anything."""
    refuse_node_name(member.name)
    read_address(member.agent, "agent")
    if member.witness:
        raise JoinUnreadable(f"{member.name} would be a witness, and there is nothing to watch of one")
    read_address(written(member.postgres_host, member.postgres_port), "postgres_host")


_SINGLE: dict[str, Callable[[Member], Hashable]] = {
    "the name": lambda member: member.name,
    "the key": lambda member: member.public_key,
    "the agent's address": lambda member: member.agent,
    "PostgreSQL's address": lambda member: (member.postgres_host, member.postgres_port),
}


def refuse_contradicting(members: Iterable[Member]) -> None:
    """Refuse members of whom two have one name, one key or one address.

    Raises:
        JoinsContradict: it names both, and what they share.
    """
    seen = dict[tuple[str, Hashable], str]()
    for member in members:
        for what, value in _SINGLE.items():
            key = what, value(member)
            if key in seen:
                raise JoinsContradict(f"{seen[key]} and {member.name} have {what} in common", field="joins")
            seen[key] = member.name


# Admissions -----------------------------------------------------------------------------------------------------------


def opened_admission(data: bytes) -> tuple[Admitted, Cluster]:
    """Return what a host is given back, and the configuration in it; nothing of it is to be believed yet.

    Raises:
        AdmissionUnreadable: it is no admission, or to a cluster that is not only watched.
        MadeLater: it is of a later format than this build reads.
    """
    try:
        admitted = canonical.decode(data, Admitted)
        cluster = read_founding(admitted.configuration.encode())
    except MadeLater:
        raise
    except AeroError as error:
        raise AdmissionUnreadable(f"it is no admission: {error.message}") from error
    if not cluster.watched:
        raise AdmissionUnreadable(f"{cluster.name} is not only watched: no host joins it")
    return admitted, cluster
