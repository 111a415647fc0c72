"""`aerodb join`: a node's folder on the host of a PostgreSQL that is to be watched.

FOLDER.joining   the keys, made here, and what the host says of itself: it awaits its admission, and is its maker's
FOLDER           the node's folder, whole: with the certificate and the configuration, the agent's user's alone

- Private keys are made here, and leave this host in no file.
- Nothing of PostgreSQL is touched, or connected to.
- Each of the two folders is there whole or not at all. What a killed command left is named by the next one.
- A name, a key or an address that the admission has otherwise than this host said is refused.
"""

import os
import re
import shutil
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aerodb.errors import AeroError
from aerodb.kernel.node import WatchedNodeFile, WatchedPlace, read_node_file
from aerodb.kernel.postgres.account import Account
from aerodb.local.errors import AdmissionForeign, FolderIncomplete, FolderTaken, FolderUnusable, JoinAbsent
from aerodb.local.host import (
    PostgresPlace,
    account_of,
    debian_place,
    named_place,
    own_address,
    own_name,
    reached_at,
    refuse_closed,
)
from aerodb.local.profiles import pem
from aerodb.local.whole import refuse_left_over, whole
from aerodb.protocol import canonical
from aerodb.protocol.cluster import Cluster, Member, NodeUnknown
from aerodb.protocol.formats import MadeLater
from aerodb.protocol.joining import (
    Admitted,
    Joining,
    NameRefused,
    opened_admission,
    opened_join,
    read_address,
    refuse_node_name,
)
from aerodb.protocol.signed import public_text, sign
from aerodb.transport.certificates import (
    check_issued,
    key_pem,
    new_key,
    read_key,
    request_for,
    subject_of,
    write_private,
)

NODES = Path("/var/lib/aerodb/nodes")
JOIN = "node.join"
LOGIN = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
"""What the operating system and PostgreSQL both take as a name."""
SUPERUSER = "postgres"
"""Who may do everything in PostgreSQL, on every system that packages it."""


class JoinAsked(msgspec.Struct, frozen=True, kw_only=True):
    """What a person typed; what is empty (`port`: 0) is found out.

    `instance` is PostgreSQL as Debian calls it (VERSION/CLUSTER), or else `socket` and `port` say where it listens.
    `address` and `postgres_address` are HOST:PORT. `into` is where the file for the control plane is written.
    """

    instance: str
    socket: str
    port: int
    name: str
    address: str
    postgres_address: str
    login: str
    folder: Path | None
    into: Path


class Joined(msgspec.Struct, frozen=True, kw_only=True):
    """A host that asked to join: its node's folder, which awaits its admission, the file to carry, and its words."""

    member: Member
    place: PostgresPlace
    login: str
    folder: Path
    file: Path
    words: str


class Awaited(msgspec.Struct, frozen=True, kw_only=True):
    """An admission that is this host's, as far as a program can tell: a person compares its words."""

    folder: Path
    name: str
    cluster: Cluster
    admitted: Admitted
    file: WatchedNodeFile
    key: Ed25519PrivateKey
    tls_key: EllipticCurvePrivateKey
    account: Account | None


def awaiting(folder: Path) -> Path:
    """Return where the node that is to be in `folder` awaits its admission."""
    return folder.with_name(f"{folder.name}.joining")


# Asking ---------------------------------------------------------------------------------------------------------------


def join(asked: JoinAsked) -> Joined:
    """Make a node's keys and what the host says of itself, in a folder that awaits its admission.

    Raises:
        NameRefused, AddressUnclear, AddressRefused, PostgresUnplaced, UserAbsent: what was typed or is found is unfit.
        FolderTaken, FolderIncomplete: there is something already; the message says what.
        FolderUnusable: the disk refused, or the agent's user cannot reach the place.
    """
    name = asked.name or own_name()
    refuse_node_name(name)
    _refuse_login(asked.login)
    address = asked.address or own_address()
    read_address(address, "address")
    place = debian_place(asked.instance) if asked.instance else named_place(asked.socket, asked.port)
    host, port = reached_at(address, place, asked.postgres_address)
    account = account_of(asked.login)
    folder = (asked.folder or NODES / name).absolute()
    file = asked.into / f"{name}.join"
    _refuse_taken(folder, name)
    if os.path.lexists(file):
        raise FolderTaken(f"{file} is there already, and is not written over", field="name")
    key, tls_key = Ed25519PrivateKey.generate(), new_key()
    member = Member(
        name=name, witness=False, agent=address, postgres_host=host, postgres_port=port, public_key=public_text(key)
    )
    joining = canonical.encode(sign(Joining(member=member, request=request_for(tls_key, name)), name, key))
    watched = WatchedPlace(socket=place.socket, port=place.port, login=asked.login)
    node = WatchedNodeFile(name=name, watched=watched)
    try:
        refuse_closed(folder.parent, account)
        _make_above(folder)
        with whole(awaiting(folder)) as made:
            write_private(made / "node.key", pem(key, serialization.PrivateFormat.PKCS8))
            write_private(made / "tls.key", key_pem(tls_key))
            write_private(made / "node.json", canonical.encode(node))
            write_private(made / JOIN, joining)
    except OSError as error:
        raise FolderUnusable(f"{folder} cannot be made: {error.strerror}", field="folder") from error
    _carried(file, joining, awaiting(folder))
    return Joined(
        member=member, place=place, login=asked.login, folder=awaiting(folder), file=file, words=opened_join(joining)[1]
    )


def _refuse_login(login: str) -> None:
    if not LOGIN.fullmatch(login):
        raise NameRefused(f"{login!r} is no name of a user and role here: {LOGIN.pattern}", field="login")
    if login == SUPERUSER:
        raise NameRefused(f"{SUPERUSER} may do everything, and an agent that watches may look alone", field="login")


def _refuse_taken(folder: Path, name: str) -> None:
    """Refuse a folder where there is something, and say what that is, and what a person can do."""
    if os.path.lexists(folder):
        raise FolderTaken(f"{folder} is there already: a node that was admitted, or something else", field="folder")
    pending = awaiting(folder)
    if os.path.lexists(pending):
        _read_awaiting(pending)
        raise FolderTaken(
            f"{pending} holds the keys of a node that awaits its admission; what it says of itself is {pending / JOIN}"
            f". To go on: aerodb join --admitted {name}.admitted. To begin anew remove the folder: whoever admitted "
            "the node has admitted that key, and no other",
            field="folder",
        )
    refuse_left_over(pending, folder)


def _make_above(folder: Path) -> None:
    """Make the folders above, where they are not there: passed through by anybody, listed by their owner alone."""
    previous = os.umask(0o066)
    try:
        folder.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    finally:
        os.umask(previous)


def _carried(file: Path, joining: bytes, folder: Path) -> None:
    """Write what a person carries to the control plane; it is no secret, and whoever carries it must read it."""
    try:
        write_private(file, joining)
        file.chmod(0o644)
    except OSError as error:
        raise FolderUnusable(
            f"{file} cannot be written: {error.strerror}. The keys are made, and the same text is {folder / JOIN}: "
            "carry that",
            field="name",
        ) from error


# Being admitted -------------------------------------------------------------------------------------------------------


def opened(data: bytes, folder: Path | None) -> Awaited:
    """Return an admission that is the node's that awaits it here; its words are for a person to compare.

    Raises:
        AdmissionUnreadable, MadeLater: it is none that this build reads.
        AdmissionForeign: it is another host's, or its parts do not belong together.
        JoinAbsent, FolderTaken, FolderIncomplete, FolderUnusable: nothing awaits it here, or not as it should.
        UserAbsent: the agent's user is not there any more.
    """
    admitted, cluster = opened_admission(data)
    try:
        name, _ = subject_of(admitted.certificate)
    except ValueError as error:
        raise AdmissionForeign(f"its certificate cannot be read: {error}") from error
    refuse_node_name(name)
    folder = (folder or NODES / name).absolute()
    pending = awaiting(folder)
    if os.path.lexists(folder):
        left = f"; {pending}, which it was made from, can be removed" if os.path.lexists(pending) else ""
        raise FolderTaken(f"{folder} is there already: the node was admitted, or it is something else{left}")
    if not pending.is_dir():
        raise JoinAbsent(f"no node awaits its admission in {pending}: aerodb join --watch makes one", field="admitted")
    refuse_left_over(folder)
    file, key, tls_key, member = _read_awaiting(pending)
    _refuse_foreign(admitted, cluster, member, tls_key)
    account = account_of(file.watched.login)
    refuse_closed(folder.parent, account)
    return Awaited(
        folder=folder,
        name=name,
        cluster=cluster,
        admitted=admitted,
        file=file,
        key=key,
        tls_key=tls_key,
        account=account,
    )


def _read_awaiting(pending: Path) -> tuple[WatchedNodeFile, Ed25519PrivateKey, EllipticCurvePrivateKey, Member]:
    """Return what a folder that awaits its admission holds.

    Raises:
        FolderIncomplete: a part is missing or damaged, or they do not belong together.
    """
    try:
        file = read_node_file((pending / "node.json").read_bytes())
        key = serialization.load_pem_private_key((pending / "node.key").read_bytes(), None)
        tls_key = read_key(pending / "tls.key")
        member = opened_join((pending / JOIN).read_bytes())[0].member
    except MadeLater:
        raise
    except (OSError, ValueError, AeroError) as error:
        raise FolderIncomplete(
            f"{pending} is no folder that awaits an admission, or is damaged: {error}. To begin anew remove it",
            field="folder",
        ) from error
    if not isinstance(file, WatchedNodeFile):
        raise FolderIncomplete(f"{pending} holds a node that is not only watched", field="folder")
    if not isinstance(key, Ed25519PrivateKey) or [public_text(key), file.name] != [member.public_key, member.name]:
        raise FolderIncomplete(f"{pending}: its key, or its name, is not that of {JOIN} in it", field="folder")
    return file, key, tls_key, member


def _refuse_foreign(admitted: Admitted, cluster: Cluster, member: Member, key: EllipticCurvePrivateKey) -> None:
    try:
        admitted_as = cluster.member(member.name)
    except NodeUnknown as error:
        raise AdmissionForeign(f"the configuration of {cluster.name} has no node {member.name}") from error
    if admitted_as.public_key != member.public_key:
        raise AdmissionForeign(f"the {member.name} of {cluster.name} has another key than the one that was made here")
    if admitted_as != member:
        raise AdmissionForeign(f"the configuration of {cluster.name} has {member.name} at other addresses")
    try:
        check_issued(
            admitted.certificate, admitted.authority, key.public_key(),
            cluster=cluster.id, name=member.name, kind="agent",
        )  # fmt: skip
    except ValueError as error:
        raise AdmissionForeign(f"the parts of the admission do not belong together: {error}") from error


def complete(awaited: Awaited) -> None:
    """Make the node's folder whole; what awaited the admission is removed then.

    Raises:
        FolderUnusable: the disk refused, or the folder is there meanwhile.
    """
    try:
        with whole(awaited.folder, awaited.account.owner if awaited.account else None) as made:
            write_private(made / "cluster.json", awaited.admitted.configuration.encode())
            write_private(made / "ca.crt", awaited.admitted.authority.encode())
            write_private(made / "tls.crt", awaited.admitted.certificate.encode())
            write_private(made / "tls.key", key_pem(awaited.tls_key))
            write_private(made / "node.key", pem(awaited.key, serialization.PrivateFormat.PKCS8))
            write_private(made / "node.json", canonical.encode(awaited.file))
    except OSError as error:
        raise FolderUnusable(f"{awaited.folder} cannot be made: {error.strerror}", field="folder") from error
    shutil.rmtree(awaiting(awaited.folder), ignore_errors=True)  # What it held is in its place: what stays is said.
