"""A new certificate for a node whose keys are on a host of their own: asked for there, given here, put in place there.

- The TLS key stays where it was made, and stays the same; so one file is replaced, at once, and there is no half state.
- A certificate is given to a node of the configuration, for a request that its own key signed, once a person has
  compared the words and the authority's key was opened.
- What is put into its place is by the authority that is trusted there already, for the key that is there, and newer. An
  authority that was itself renewed keeps its key, and comes along.
"""

import datetime as dt
import os
import shlex
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

from aerodb.kernel.errors import NodeFolderBroken
from aerodb.kernel.node import Node, read_node
from aerodb.local.certifying import authority_in, cluster_in, life_of, newest_known
from aerodb.local.errors import FolderTaken, FolderUnusable
from aerodb.local.host import own_name
from aerodb.local.joining import NODES
from aerodb.local.layout import Layout
from aerodb.local.whole import exchange
from aerodb.protocol import canonical
from aerodb.protocol.cluster import Cluster, Member
from aerodb.protocol.renewing import (
    RenewalForeign,
    RenewalOlder,
    RenewalUnreadable,
    Renewed,
    Renewing,
    opened_renewal,
    opened_renewed,
)
from aerodb.protocol.signed import sign
from aerodb.protocol.words import words_of
from aerodb.transport.certificates import (
    check_issued,
    read_key,
    request_for,
    requested_key,
    same_authority,
    subject_of,
    with_authority,
    write_private,
)
from aerodb.transport.passphrase import PassphraseAsked

RENEWED = "renewed"
"""The folder of what is carried back to the hosts."""


class RenewalAsked(msgspec.Struct, frozen=True, kw_only=True):
    """A request that a host wrote: of which node, in which file, and its words."""

    node: str
    folder: Path
    file: Path
    words: str


class RenewalWanted(msgspec.Struct, frozen=True, kw_only=True):
    """A request of a node of the cluster here: its key is enrolled; a person compares the words."""

    layout: Layout
    cluster: Cluster
    member: Member
    key: EllipticCurvePublicKey
    words: str


# On the host ----------------------------------------------------------------------------------------------------------


def ask(folder: Path | None, name: str, into: Path) -> RenewalAsked:
    """Write the request of a node on this host for a new certificate into `into`; nothing of the node changes.

    Raises:
        NodeFolderBroken: there is no node's folder, or a part of it is damaged.
        FolderTaken, FolderUnusable: the file is there already, or cannot be written.
    """
    folder = (folder or NODES / (name or own_name())).absolute()
    node = read_node(folder)
    key = _tls_key(folder)
    renewing = Renewing(cluster=node.cluster.id, node=node.file.name, request=request_for(key, node.file.name))
    signed = sign(renewing, node.file.name, node.key)
    file = into / f"{node.file.name}.renewal"
    try:
        write_private(file, canonical.encode(signed))
        file.chmod(0o644)  # It is no secret, and whoever carries it must read it.
    except FileExistsError as error:
        raise FolderTaken(f"{file} is there already, and is not written over", field="name") from error
    except OSError as error:
        raise FolderUnusable(f"{file} cannot be written: {error.strerror}", field="name") from error
    return RenewalAsked(node=node.file.name, folder=folder, file=file, words=words_of(signed.digest))


def put(data: bytes, folder: Path | None) -> tuple[Path, dt.datetime]:
    """Put a certificate that was given into its place on this host; return the folder, and until when it is good.

    Raises:
        RenewalUnreadable, MadeLater: it is none that this build reads.
        NodeFolderBroken: there is no such node here, or a part of its folder is damaged.
        RenewalForeign: it is not for the key, the node and the cluster here, by the authority that is trusted here.
        RenewalOlder: it is not newer than the one that is there.
        FolderUnusable: the disk refused; what is there is good.
    """
    renewed = opened_renewed(data)
    try:
        name, _ = subject_of(renewed.certificate)
        folder = (folder or NODES / name).absolute()
        node = read_node(folder)
        _refuse_foreign(renewed, node, folder)
        new = x509.load_pem_x509_certificate(renewed.certificate.encode())
    except ValueError as error:
        raise RenewalForeign(f"it is not for the node here: {error}") from error
    present = _present(folder)
    if new == present:
        raise RenewalOlder(f"it is in its place already: {folder / 'tls.crt'}")
    if any(each(new) < each(present) for each in (_begins, _ends)):
        raise RenewalOlder(f"it is good {_span(new)}, and the one in {folder} {_span(present)}")
    try:
        trusted = (folder / "ca.crt").read_bytes()
        later = with_authority(trusted, renewed.authority.encode())
        if later != trusted:
            exchange(folder / "ca.crt", later)
        exchange(folder / "tls.crt", renewed.certificate.encode())
    except OSError as error:
        raise FolderUnusable(f"{folder} cannot be written: {error.strerror}", field="folder") from error
    return folder, _ends(new)


def _begins(certificate: x509.Certificate) -> dt.datetime:
    return certificate.not_valid_before_utc


def _ends(certificate: x509.Certificate) -> dt.datetime:
    return certificate.not_valid_after_utc


def _span(certificate: x509.Certificate) -> str:
    return f"from {_instant(_begins(certificate))} to {_instant(_ends(certificate))}"


def _present(folder: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate((folder / "tls.crt").read_bytes())
    except (OSError, ValueError) as error:
        raise NodeFolderBroken(f"{folder}/tls.crt is no certificate: {error}") from error


def _tls_key(folder: Path) -> EllipticCurvePrivateKey:
    try:
        return read_key(folder / "tls.key")
    except (OSError, ValueError) as error:
        raise NodeFolderBroken(f"{folder}/tls.key holds no key that a certificate is of: {error}") from error


def _refuse_foreign(renewed: Renewed, node: Node, folder: Path) -> None:
    """Refuse what is not for this node's key, or by another authority than is trusted here.

    Raises:
        ValueError, RenewalForeign: so it is.
    """
    try:
        trusted = (folder / "ca.crt").read_bytes()
    except OSError as error:
        raise NodeFolderBroken(f"{folder}/ca.crt cannot be read: {error.strerror}") from error
    if not same_authority(trusted, renewed.authority.encode()):
        raise RenewalForeign("it is by another authority than the one that is trusted here")
    check_issued(
        renewed.certificate, renewed.authority, _tls_key(folder).public_key(),
        cluster=node.cluster.id, name=node.file.name, kind="agent",
    )  # fmt: skip


# Where the authority is -----------------------------------------------------------------------------------------------


def wanted(root: Path, data: bytes) -> RenewalWanted:
    """Return which node of the cluster in a folder asks for a certificate, for a person to compare its words.

    Raises:
        ClusterAbsent: there is no cluster.
        RenewalUnreadable, RenewalForeign, MadeLater: it is no request of a node of it.
    """
    layout, founding = cluster_in(root)
    member, request, words = opened_renewal(data, newest_known(layout, founding).newest)
    try:
        key = requested_key(request)
    except ValueError as error:
        raise RenewalUnreadable(f"its request for a certificate cannot be used: {error}") from error
    return RenewalWanted(layout=layout, cluster=founding, member=member, key=key, words=words)


def give(asking: RenewalWanted, passphrase: PassphraseAsked) -> tuple[Path, dt.datetime]:
    """Certify the key of a node; return what is to be carried to its host, and until when the certificate is good.

    Raises:
        AuthorityAbsent, AuthorityUnusable: there is nothing to certify by.
        PassphraseWrong, PassphraseMissing: the authority's key does not open.
        FolderUnusable: the disk refused.
    """
    authority, name = authority_in(asking.layout, asking.cluster, passphrase), asking.member.name
    certificate = authority.certified(asking.key, name, "agent", life_of(authority))
    renewed = Renewed(certificate=certificate.decode(), authority=authority.pem.decode())
    file = asking.layout.root / RENEWED / f"{name}.renewed"
    try:
        file.parent.mkdir(mode=0o700, exist_ok=True)
        exchange(file, canonical.encode(renewed))
    except OSError as error:
        raise FolderUnusable(f"{file} cannot be written: {error.strerror}", field="folder") from error
    return file, x509.load_pem_x509_certificate(certificate).not_valid_after_utc


# What is said ---------------------------------------------------------------------------------------------------------


def _instant(until: dt.datetime) -> str:
    return f"{until:%Y-%m-%dT%H:%M:%SZ}"


def asked_lines(asked: RenewalAsked) -> list[str]:
    """Return what whoever asked on a host is told: the words, and what to do next."""
    elsewhere = "" if asked.folder == NODES / asked.node else f" --folder {shlex.quote(str(asked.folder))}"
    return [
        f"The words of {asked.file.name}, to be compared where it is certified:",
        f"  {asked.words}",
        "",
        f"1. Carry {asked.file} to where the authority is kept, and there:",
        f"     aerodb certificate renew-node {shlex.quote(asked.file.name)} --folder CLUSTER",
        f"2. Here: aerodb join --renewed {asked.node}.renewed{elsewhere}",
    ]


def wanted_lines(asking: RenewalWanted) -> list[str]:
    """Return what a person reads before a certificate is given."""
    member = asking.member
    return [
        f"{member.name} of {asking.cluster.name}, whose agent is at {member.agent}, asks for a new certificate:",
        f"  {asking.words}",
        "",
        "Compare these words with those that its own terminal showed: any other ones are another host's.",
    ]


def given_lines(file: Path, until: dt.datetime) -> list[str]:
    """Return what whoever gave a certificate is told."""
    return [
        f"It is good until {_instant(until)}. Carry {shlex.quote(str(file))} to its host, and there:",
        f"  aerodb join --renewed {shlex.quote(file.name)}",
    ]


def put_lines(folder: Path, until: dt.datetime) -> list[str]:
    """Return what whoever put a certificate into its place is told."""
    usual = folder.parent == NODES and os.geteuid() == 0
    again = f"systemctl restart aerodb-watch@{folder.name}" if usual else "end it, and start it as before"
    return [
        f"{shlex.quote(str(folder / 'tls.crt'))} is good until {_instant(until)}.",
        f"The agent uses it once it is started again, which PostgreSQL does not notice: {again}",
    ]
