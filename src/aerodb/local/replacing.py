"""A new certificate authority for a whole cluster's folder: where it keeps none, or where its key is not safe any more.

And a new certificate for the one that is there, which keeps its key: nothing needs to be down for that. For a new one:

- Everything of the cluster is down meanwhile: a certificate of one authority opens nothing where another is trusted.
- The control plane's folder is last. Whoever was stopped half way is told so by the next command, and begins anew.
"""

import datetime as dt
import shutil
import socket
import tempfile
from contextlib import suppress
from pathlib import Path

from aerodb.kernel.durable import sync_folder, write_durably
from aerodb.local.certifying import HolderKind, balancers_in, cluster_in, kept_authority, newest_known
from aerodb.local.errors import ClusterRuns, HolderAbsent, HostsElsewhere
from aerodb.local.layout import Layout
from aerodb.protocol.cluster import Cluster
from aerodb.transport.certificates import Authority, is_encrypted, same_authority, with_authority
from aerodb.transport.passphrase import PassphraseAsked, unasked

CONNECT_SECONDS_MAX = 2.0
AUTHORITY = "authority"
BEFORE = ".authority-before"
"""Where the authority before is while a new one is put in its place."""
FILES = ("ca.crt", "tls.key", "tls.crt")


def replace_authority(root: Path, passphrase: PassphraseAsked = unasked) -> tuple[str, ...]:
    """Make a new authority, and give everybody in the folder a certificate of it; return who has one now.

    Who is revoked is given none. A key of the authority before, if there is one, is removed. Where that was encrypted
    the new one is: `passphrase` is asked for a new one. The old one is not needed, and may be forgotten.

    Raises:
        ClusterAbsent: there is no cluster in the folder.
        ClusterRuns: a part of it answers.
        PassphraseRefused, PassphraseMissing: no passphrase is given to the new key.
        HostsElsewhere: its nodes' folders are on their own hosts, which would trust the authority before.
    """
    layout, founding = cluster_in(root)
    if founding.watched:
        raise HostsElsewhere(
            f"the nodes of {founding.name} are on hosts of their own, which trust the authority that is there, and are "
            "given no other by this. Admit them anew, into another folder, once each has made its keys anew",
            field="folder",
        )
    _refuse_running(founding)
    authority = Authority(founding.id)
    _put(layout, authority, passphrase() if _was_encrypted(layout) else b"")
    holders = list(_holders(layout, founding))
    for folder, name, kind in holders:
        _certify(authority, folder, name, kind)
    return tuple(f"{name} ({kind})" for _, name, kind in holders)


def renew_authority(root: Path, name: str, passphrase: PassphraseAsked = unasked) -> tuple[Path, dt.datetime]:
    """Give the authority a new certificate of its own, for the key that it has; return where, and how long it is good.

    Whatever it certified stays good, and is good where the old certificate is trusted still. It is put wherever it is
    trusted in this folder, the authority's own last: whoever was stopped half way begins anew.

    Raises:
        ClusterAbsent, AuthorityAbsent, AuthorityUnusable: there is none.
        HolderAbsent: it is called otherwise.
        PassphraseWrong, PassphraseMissing: its key does not open.
    """
    layout, founding = cluster_in(root)
    if name != AUTHORITY:
        raise HolderAbsent(f"there is no authority {name!r}: it is called {AUTHORITY}", field="name")
    new = kept_authority(layout, founding, passphrase).renewed()
    for file in sorted([*root.glob("*/ca.crt"), *root.glob("nodes/*/ca.crt")], key=lambda each: each.parts):
        trusted = file.read_bytes()
        if file.parent != layout.authority and same_authority(trusted, new.pem):
            write_durably(file, with_authority(trusted, new.pem))
    write_durably(layout.authority / "ca.crt", new.pem)
    return layout.authority / "ca.crt", new.expires


def _refuse_running(founding: Cluster) -> None:
    for address in (founding.control, *(member.agent for member in founding.members)):
        host, _, port = address.rpartition(":")
        with suppress(OSError), socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS_MAX):
            raise ClusterRuns(f"something answers at {address}: end the cluster first, by Ctrl-C of aerodb up")


def _was_encrypted(layout: Layout) -> bool:
    """Tell whether the key of the authority before is encrypted; one that is gone, or damaged, is not."""
    folder = layout.authority if layout.authority.exists() else layout.root / BEFORE
    try:
        return is_encrypted(folder / "ca.key")
    except (OSError, ValueError):
        return False


def _put(layout: Layout, authority: Authority, passphrase: bytes) -> None:
    """Put a new authority in the place of what is there.

    Whoever is stopped in between finds the one before beside it, which tells whether the next one is to be encrypted.
    """
    made, before = Path(tempfile.mkdtemp(prefix=".authority-", dir=layout.root)), layout.root / BEFORE
    authority.keep(made, passphrase)
    if layout.authority.exists():
        shutil.rmtree(before, ignore_errors=True)
        layout.authority.rename(before)
    made.rename(layout.authority)
    sync_folder(layout.root)
    shutil.rmtree(before, ignore_errors=True)


def _holders(layout: Layout, founding: Cluster) -> list[tuple[Path, str, HolderKind]]:
    """Return whose certificates are in the folder: who looks and acts first, the control plane last."""
    newest = newest_known(layout, founding).newest
    found = list[tuple[Path, str, HolderKind]]()
    for profile in sorted(layout.root.glob("*/profile.json")):
        person = newest.operator(profile.parent.name)
        if person is None or not person.revoked:
            found.append((profile.parent, profile.parent.name, "person"))
    found += [(layout.node(each.name), each.name, "agent") for each in founding.members]
    found += [(layout.profile(name), name, "balancer") for name in balancers_in(layout)]
    found += [(layout.monitor, "monitor", "monitor"), (layout.control, "control", "control")]
    return [each for each in found if each[0].exists()]


def _certify(authority: Authority, folder: Path, name: str, kind: HolderKind) -> None:
    """Give a holder a new key and certificate, and have it trust this authority alone."""
    with tempfile.TemporaryDirectory(prefix=".certificate-", dir=folder) as made:
        authority.issue(Path(made), name, kind)
        for file in FILES:
            write_durably(folder / file, (Path(made) / file).read_bytes())


# What is said ---------------------------------------------------------------------------------------------------------


def renewed_lines(path: Path, until: dt.datetime) -> list[str]:
    """Return what whoever renewed the authority is told."""
    return [
        f"{path} is good until {until:%Y-%m-%dT%H:%M:%SZ}, and is trusted wherever it was in this folder.",
        "Processes use it once they are started again. Then renew what it certifies, each for itself: no certificate",
        "outlives the authority that it was given under. Profiles that were taken elsewhere need the new ca.crt.",
    ]
