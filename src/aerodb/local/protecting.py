"""The passphrase of a kept authority's key: given to a key that has none, or changed.

- The file is the old one or the new one, whole, whenever this process ends: the new one is written beside it, made
  durable, read back and opened by the new passphrase, and then put into its place, which is made durable too.
- What is beside it after a crash is encrypted, and is written over by the next one. Two at once exclude each other.
- Nothing else of the cluster changes: the key stays the key, and what it certified stays good.
"""

import fcntl
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aerodb.kernel.durable import sync_folder
from aerodb.local.certifying import authority_folder, authority_in, cluster_in
from aerodb.local.errors import AuthorityUnusable, FolderUnusable
from aerodb.transport.certificates import Authority, is_encrypted, read_key, write_private
from aerodb.transport.passphrase import PassphraseAsked

ASIDE = ".ca.key.new"
"""Where the key is written before it is put into its place."""


def protect(root: Path, present: PassphraseAsked, new: PassphraseAsked) -> bool:
    """Encrypt the authority's key by a new passphrase; tell whether it was encrypted before.

    Raises:
        ClusterAbsent, AuthorityAbsent, AuthorityUnusable: there is no authority that the cluster trusts.
        PassphraseWrong, PassphraseMissing, PassphraseRefused: the present one does not open it, or the new one is none.
        FolderUnusable: the disk refused, or another one is at it; the key is as it was, or is encrypted anew.
    """
    layout, founding = cluster_in(root)
    folder = authority_folder(layout)
    try:
        with _alone(folder):
            authority = authority_in(layout, founding, present)
            before, passphrase = is_encrypted(folder / "ca.key"), new()
            _put(folder, authority, passphrase)
    except OSError as error:
        raise FolderUnusable(f"{folder} cannot be written: {error.strerror}", field="folder") from error
    return before


def _put(folder: Path, authority: Authority, passphrase: bytes) -> None:
    """Put the key, encrypted by the passphrase, into the place of what is there.

    Raises:
        AuthorityUnusable: what was written is not what is read; the key is as it was.
        OSError: the disk refused.
    """
    aside = folder / ASIDE
    aside.unlink(missing_ok=True)
    write_private(aside, authority.key_pem(passphrase))
    if not is_encrypted(aside) or not authority.has_key(read_key(aside, lambda: passphrase)):
        raise AuthorityUnusable(f"{aside} does not hold what was written to it; the key is as it was")
    aside.replace(folder / "ca.key")
    sync_folder(folder)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Exclude others that change what is in a folder.

    Raises:
        FolderUnusable: another one is at it.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise FolderUnusable(f"another command changes what is in {folder}", field="folder") from error
    finally:
        os.close(descriptor)


# What is said ---------------------------------------------------------------------------------------------------------


def protected_lines(root: Path, *, before: bool) -> list[str]:
    """Return what whoever gave a passphrase to the key is told."""
    changed = "is encrypted by the new passphrase" if before else "is encrypted now"
    old = "the file that the old passphrase opens" if before else "the file without a passphrase"
    return [
        f"{shlex.quote(str(root / 'authority' / 'ca.key'))} {changed}.",
        "The key is the same, so every certificate stays good.",
        f"Copies and backups, and the disk below, may still hold {old}: remove those.",
        "Nobody can find a passphrase that is forgotten: a new authority is made then.",
    ]


def open_lines(root: Path) -> list[str]:
    """Return what whoever made an authority without a passphrase is told."""
    return [
        "The authority's key is not encrypted. Where that matters: "
        f"aerodb certificate protect-authority --folder {shlex.quote(str(root))}"
    ]
