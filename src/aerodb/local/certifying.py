"""`aerodb certificate`: a person's or a balancer's folder with its certificate, and the renewal of any certificate.

- A certificate lets in, and no more: who it is of must be enrolled in the newest version of the configuration, or every
  call is refused; and no certificate acts, since each action needs an enrolled signature.
- So nothing is enrolled here. What enrols is a request by an operator; its exact command is said.
- A profile is there whole, or not at all. A certificate is renewed for the key that is there: one file, replaced at
  once.
"""

import datetime as dt
import os
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aerodb.errors import AeroError
from aerodb.kernel.durable import write_durably
from aerodb.kernel.store import Store
from aerodb.kernel.versions import TakenVersions
from aerodb.local.balancing import balancer_files
from aerodb.local.errors import AuthorityAbsent, AuthorityUnusable, ClusterAbsent, FolderTaken, HolderAbsent
from aerodb.local.layout import Layout
from aerodb.local.profiles import write_key, write_profile, write_public
from aerodb.local.whole import whole
from aerodb.protocol import sshkey
from aerodb.protocol.chain import NAME, Chain, ChangeRefused, founded
from aerodb.protocol.cluster import Cluster, Operator, Role
from aerodb.protocol.joining import NameRefused
from aerodb.transport.certificates import (
    LIFETIME,
    Authority,
    read_kept,
    read_key,
    same_authority,
    subject_of,
    write_private,
)
from aerodb.transport.passphrase import PassphraseAsked, unasked
from aerodb.transport.tls import BALANCER
from aerodb.views.changing import Wanted, step_at

HolderKind = Literal["person", "agent", "control", "monitor", "balancer"]


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """A profile that was made: where, and until when its certificate is good.

    `fingerprint` is that of the person's SSH key, empty where they have none. `key_made` tells whether that was made
    here. `enrolling` are the commands that enrol them, the primary's first; none where they are enrolled.
    """

    folder: Path
    expires: dt.datetime
    fingerprint: str
    key_made: bool
    enrolling: tuple[str, ...]


def issue(root: Path, name: str, role: str, line: str, passphrase: PassphraseAsked = unasked) -> Issued:
    """Make the profile of a person, with a certificate; `line` is the SSH public key that they bring, if they do.

    Who shall be an operator and brings none has one made in the profile, and nowhere else. `passphrase` is asked for
    where the authority's key is encrypted.

    Raises:
        ClusterAbsent, AuthorityAbsent, AuthorityUnusable: there is nothing to certify by.
        PassphraseWrong, PassphraseMissing: the authority's key does not open.
        FolderTaken: they have a profile, or something else has their name.
        ChangeUnclear, ChangeRefused, KeyMalformed: nobody could be enrolled so; or they are, and otherwise.
    """
    layout, founding = cluster_in(root)
    chain = newest_known(layout, founding)
    enrolled = chain.newest.operator(name)
    own = Ed25519PrivateKey.generate() if enrolled is None and role == Role.OPERATOR and not line else None
    public = sshkey.of_public(own.public_key()).line if own is not None else line
    if enrolled is not None and not enrolled.revoked:
        _refuse_otherwise(enrolled, role, line)
        public = enrolled.ssh_key
    else:
        _refuse_watched(founding, name)
        typed = Wanted(kind="enrol", name=name, role=role, key=public)
        public = step_at(chain, len(chain.versions), typed).change.after.partition(" ")[2]
    _refuse_taken(layout, name)
    authority = authority_in(layout, founding, passphrase)
    folder = layout.profile(name)
    with whole(folder) as made:
        _certify(layout, authority, made, name, "person")
        write_profile(made, founding, name)
        if own is not None:
            write_key(made, name, own)
        elif public:
            write_public(made, name, public)
    return Issued(
        folder=folder.resolve(),
        expires=min(authority.expires, dt.datetime.now(dt.UTC) + LIFETIME),
        fingerprint=sshkey.parse_line(public).fingerprint if public else "",
        key_made=own is not None,
        enrolling=() if enrolled else _enrolling(layout, founding, name, role, signs=bool(public)),
    )


def issue_balancer(root: Path, name: str, passphrase: PassphraseAsked = unasked) -> tuple[Path, dt.datetime]:
    """Make the folder of one more balancer, as `init` makes the first; return where, and until when it is certified.

    It is enrolled nowhere: what its certificate opens is said by its kind.

    Raises:
        ClusterAbsent, AuthorityAbsent, AuthorityUnusable: there is nothing to certify by.
        NameRefused: no balancer may be called so.
        FolderTaken: something there has that name.
    """
    layout, founding = cluster_in(root)
    if not NAME.fullmatch(name) or name in {member.name for member in founding.members}:
        raise NameRefused(
            f"{name!r} is no name for a balancer: lower case letters, digits and . _ - between them, at most 64, "
            "and no node's",
            field="name",
        )
    folder = layout.profile(name)
    if os.path.lexists(folder):
        raise FolderTaken(f"{folder} is there already: take another name", field="name")
    authority = authority_in(layout, founding, passphrase)
    with whole(folder) as made:
        _certify(layout, authority, made, name, BALANCER)
        for path, data in balancer_files(founding).items():
            write_private(made / path, data)
    return folder.resolve(), min(authority.expires, dt.datetime.now(dt.UTC) + LIFETIME)


def renew(root: Path, name: str, kind: HolderKind, passphrase: PassphraseAsked = unasked) -> tuple[Path, dt.datetime]:
    """Give a holder a new certificate for the key that it has; return where, and until when it is good.

    Raises:
        ClusterAbsent, AuthorityAbsent, AuthorityUnusable: there is nothing to certify by.
        PassphraseWrong, PassphraseMissing: the authority's key does not open.
        HolderAbsent: there is no such holder here.
        ChangeRefused: they are revoked.
    """
    layout, founding = cluster_in(root)
    person = newest_known(layout, founding).newest.operator(name) if kind == "person" else None
    if person is not None and person.revoked:
        raise ChangeRefused(f"{name} is revoked: a certificate would let nobody in", field="name")
    folder = _holder(layout, founding, name, kind)
    try:
        key = read_key(folder / "tls.key").public_key()
    except (OSError, ValueError) as error:
        raise HolderAbsent(f"{folder} holds no key that a certificate is of: {error}", field="name") from error
    authority = authority_in(layout, founding, passphrase)
    write_durably(folder / "tls.crt", authority.certified(key, name, kind, life_of(authority)))
    return folder / "tls.crt", min(authority.expires, dt.datetime.now(dt.UTC) + LIFETIME)


# What is here ---------------------------------------------------------------------------------------------------------


def cluster_in(root: Path) -> tuple[Layout, Cluster]:
    """Return the cluster in a folder.

    Raises:
        ClusterAbsent: there is none.
    """
    layout = Layout(root=root)
    try:
        return layout, layout.cluster()
    except (OSError, AeroError) as error:
        said = error.message if isinstance(error, AeroError) else str(error)
        raise ClusterAbsent(f"{root} is no cluster's folder: {said}", field="folder") from error


def authority_in(layout: Layout, founding: Cluster, passphrase: PassphraseAsked) -> Authority:
    """Return the authority that the cluster trusts.

    Raises:
        AuthorityAbsent, AuthorityUnusable: there is none, or none that is good.
        PassphraseWrong, PassphraseMissing: its key does not open.
    """
    authority = kept_authority(layout, founding, passphrase)
    if authority.expires <= dt.datetime.now(dt.UTC):
        raise AuthorityUnusable(
            f"the authority in {layout.authority} has expired, at {authority.expires:%Y-%m-%dT%H:%M:%SZ}: aerodb "
            f"certificate renew authority --kind authority --folder {shlex.quote(str(layout.root))}"
        )
    return authority


def kept_authority(layout: Layout, founding: Cluster, passphrase: PassphraseAsked) -> Authority:
    """Return the authority that the cluster trusts, though it may have expired.

    Raises:
        AuthorityAbsent, AuthorityUnusable: there is none.
        PassphraseWrong, PassphraseMissing: its key does not open.
    """
    folder = authority_folder(layout)
    try:
        authority = Authority(founding.id, kept=read_kept(folder, passphrase))
        trusted = (layout.control / "ca.crt").read_bytes()
        same = same_authority(trusted, authority.pem)
    except (OSError, ValueError) as error:
        raise AuthorityUnusable(f"{folder} holds no usable authority: {error}", field="folder") from error
    if not same:
        raise AuthorityUnusable(f"{layout.control / 'ca.crt'} trusts another authority than the one in {folder}")
    return authority


def authority_folder(layout: Layout) -> Path:
    """Return where the authority is kept.

    Raises:
        AuthorityAbsent: it is not there.
    """
    folder = layout.authority
    if not folder.exists():
        raise AuthorityAbsent(
            f"{folder} is not there: aerodb 0.1.0 kept none. If it was taken elsewhere, bring it back for this. Else "
            f"end the cluster, and make a new one: aerodb certificate replace-authority --folder {layout.root}",
            field="folder",
        )
    return folder


def newest_known(layout: Layout, founding: Cluster) -> Chain:
    """Return the longest chain of configurations that a node in this folder has taken."""
    chains = [founded(founding)]
    for member in founding.members:
        with suppress(AeroError):  # Of a node that is elsewhere, or damaged, nothing is known here.
            chains.append(TakenVersions(layout.node(member.name) / "state", founding).chain)
    return max(chains, key=lambda chain: len(chain.versions))


def _primary(layout: Layout, founding: Cluster) -> str:
    """Return to whom the newest term is granted that a node in this folder knows of."""
    granted = []
    for member in founding.members:
        with suppress(AeroError):
            granted.append(Store(layout.node(member.name) / "state").standing.granted)
    return max(granted, key=lambda each: each.term).node if granted else founding.genesis


def _holder(layout: Layout, founding: Cluster, name: str, kind: HolderKind) -> Path:
    """Return the folder of whoever a certificate is of.

    Raises:
        HolderAbsent: there is no such holder here.
    """
    folders = {"person": layout.profile(name), "agent": layout.node(name), "control": layout.control}
    folder = folders.get(kind, layout.profile(name) if kind == BALANCER else layout.monitor)
    named = name == kind
    if kind == BALANCER:
        named = name in balancers_in(layout)
    if kind == "person":
        named = NAME.fullmatch(name) is not None and (folder / "profile.json").exists()
    elif kind == "agent":
        named = name in {member.name for member in founding.members}
    if not named or not (folder / "tls.key").exists():
        raise HolderAbsent(f"there is no certificate of {name!r} ({kind}) in {layout.root}", field="name")
    return folder


def balancers_in(layout: Layout) -> tuple[str, ...]:
    """Return the names of the balancers that have a folder here: each holds a certificate that says so."""
    found = list[str]()
    for path in sorted(layout.root.glob("*/tls.crt")):
        with suppress(OSError, ValueError):
            if subject_of(path.read_text(encoding="ascii")) == (path.parent.name, BALANCER):
                found.append(path.parent.name)
    return tuple(found)


# What is refused ------------------------------------------------------------------------------------------------------


def _refuse_taken(layout: Layout, name: str) -> None:
    folder = layout.profile(name)
    if (folder / "profile.json").exists():
        raise FolderTaken(
            f"{name} has a profile already, in {folder}. To renew its certificate: aerodb certificate renew "
            f"{shlex.quote(name)} --folder {shlex.quote(str(layout.root))}",
            field="name",
        )
    if os.path.lexists(folder):
        raise FolderTaken(f"{folder} is there already, and is nobody's profile: take another name", field="name")


def _refuse_watched(founding: Cluster, name: str) -> None:
    """Refuse to make a profile that could let nobody in: what enrols is an action, and none is accepted yet."""
    if founding.watched:
        raise ChangeRefused(
            f"{name} cannot be enrolled: {founding.name} is only watched, so its configuration does not change",
            field="name",
        )


def _refuse_otherwise(enrolled: Operator, role: str, line: str) -> None:
    """Refuse what differs from what somebody is enrolled as: a certificate changes nothing of it."""
    typed = " ".join(sshkey.parse_line(line).line.split(" ")[:2]) if line else enrolled.ssh_key
    if (role or enrolled.role) != enrolled.role or typed != enrolled.ssh_key:
        raise ChangeRefused(
            f"{enrolled.name} is enrolled already, as {enrolled.role}"
            f"{f' with the key {enrolled.ssh_key}' if enrolled.ssh_key else ''}: leave role and key out",
            field="role",
        )


# What is made ---------------------------------------------------------------------------------------------------------


def life_of(authority: Authority) -> dt.timedelta:
    """Return how long a certificate is good: never longer than its authority is."""
    return min(LIFETIME, authority.expires - dt.datetime.now(dt.UTC))


def _certify(layout: Layout, authority: Authority, folder: Path, name: str, kind: HolderKind) -> None:
    authority.issue(folder, name, kind, life_of(authority))
    write_durably(folder / "ca.crt", (layout.control / "ca.crt").read_bytes())  # Where authorities change, it has both.


def _enrolling(layout: Layout, founding: Cluster, name: str, role: str, *, signs: bool) -> tuple[str, ...]:
    """Return the commands by which an operator enrols somebody everywhere, the primary's first."""
    primary = _primary(layout, founding)
    key = f" --key {shlex.quote(str((layout.profile(name) / 'id_ed25519.pub').resolve()))}" if signs else ""
    others = (member.name for member in founding.members if member.name != primary)
    return (
        f'aerodb configure {primary} --enrol {name} --role {role}{key} --reason "..."',
        *(f'aerodb configure {other} --take --reason "..."' for other in others),
    )


# What is said ---------------------------------------------------------------------------------------------------------


def _instant(until: dt.datetime) -> str:
    return f"{until:%Y-%m-%dT%H:%M:%SZ}"


def issued_lines(issued: Issued, name: str) -> list[str]:
    """Return what whoever made a profile is told."""
    folder = shlex.quote(str(issued.folder))
    lines = [f"The profile of {name} is in {folder}; its certificate is good until {_instant(issued.expires)}."]
    if issued.key_made:
        lines += [
            f"Their SSH key, {issued.fingerprint}, was made there and is nowhere else: it is for them to keep.",
            f"It has no passphrase yet: ssh-keygen -p -f {folder}/id_ed25519",
        ]
    elif issued.fingerprint:
        lines.append(
            f"They sign with the key that they have, {issued.fingerprint}: by ssh-agent, or as id_ed25519 there."
        )
    if not issued.enrolling:
        return [*lines, f"{name} is enrolled: nothing else is to be done."]
    return [
        *lines,
        "It lets nobody in yet. To enrol them an operator types, the primary first:",
        *(f"  {line}" for line in issued.enrolling),
    ]


def balancer_lines(folder: Path, until: dt.datetime) -> list[str]:
    """Return what whoever made a balancer's folder is told."""
    named = shlex.quote(str(folder))
    return [
        f"What HAProxy and PgBouncer need is in {named}; its certificate is good until {_instant(until)}.",
        "It asks /primary and /standby of the nodes, and nothing else. To try it:",
        f"  cd {named} && haproxy -c -f haproxy.cfg",
    ]


def renewed_line(path: Path, until: dt.datetime, kind: HolderKind) -> str:
    """Return what whoever renewed a certificate is told."""
    used = "" if kind == "person" else " It is used once the process is started again."
    return f"{path} is good until {_instant(until)}.{used}"
