"""A new certificate authority for a whole cluster's folder: where it keeps none, or where its key is not safe any more.

- Everything of the cluster is down meanwhile: a certificate of one authority opens nothing where another is trusted.
- The control plane's folder is last. Whoever was stopped half way is told so by the next command, and begins anew.
"""

import shutil
import socket
import tempfile
from contextlib import suppress
from pathlib import Path

from aerodb.kernel.durable import sync_folder, write_durably
from aerodb.local.certifying import HolderKind, cluster_in, newest_known
from aerodb.local.errors import ClusterRuns, HostsElsewhere
from aerodb.local.layout import Layout
from aerodb.protocol.cluster import Cluster
from aerodb.transport.certificates import Authority, is_encrypted
from aerodb.transport.passphrase import PassphraseAsked, unasked

CONNECT_SECONDS_MAX = 2.0
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


def _refuse_running(founding: Cluster) -> None:
    for address in (founding.control, *(member.agent for member in founding.members)):
        host, _, port = address.rpartition(":")
        with suppress(OSError), socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS_MAX):
            raise ClusterRuns(f"something answers at {address}: end the cluster first, by Ctrl-C of aerodb up")


def _was_encrypted(layout: Layout) -> bool:
    """Tell whether the key of the authority before is encrypted; one that is gone, or damaged, is not."""
    try:
        return is_encrypted(layout.authority / "ca.key")
    except (OSError, ValueError):
        return False


def _put(layout: Layout, authority: Authority, passphrase: bytes) -> None:
    """Put a new authority in the place of what is there."""
    made = Path(tempfile.mkdtemp(prefix=".authority-", dir=layout.root))
    authority.keep(made, passphrase)
    if layout.authority.exists():
        shutil.rmtree(layout.authority)
    made.rename(layout.authority)
    sync_folder(layout.root)


def _holders(layout: Layout, founding: Cluster) -> list[tuple[Path, str, HolderKind]]:
    """Return whose certificates are in the folder: who looks and acts first, the control plane last."""
    newest = newest_known(layout, founding).newest
    found = list[tuple[Path, str, HolderKind]]()
    for profile in sorted(layout.root.glob("*/profile.json")):
        person = newest.operator(profile.parent.name)
        if person is None or not person.revoked:
            found.append((profile.parent, profile.parent.name, "person"))
    found += [(layout.node(each.name), each.name, "agent") for each in founding.members]
    found += [(layout.monitor, "monitor", "monitor"), (layout.control, "control", "control")]
    return [each for each in found if each[0].exists()]


def _certify(authority: Authority, folder: Path, name: str, kind: HolderKind) -> None:
    """Give a holder a new key and certificate, and have it trust this authority alone."""
    with tempfile.TemporaryDirectory(prefix=".certificate-", dir=folder) as made:
        authority.issue(Path(made), name, kind)
        for file in FILES:
            write_durably(folder / file, (Path(made) / file).read_bytes())
