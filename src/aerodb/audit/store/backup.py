"""The log's backup: making one file that is a copy of the log at one moment, and putting it back.

- A backup is a copy of the log's whole database. SQLite's online backup makes it inside one read transaction, so others
  may append meanwhile. Nothing is written to the log.
- The copy gets its final name only after it was verified, from its own file, to be intact and signed by the log's key.
  It gets it by a hard link, which never replaces anything. So a full disk or a crash leaves no half of a backup.
- Restoring moves what was there aside and never removes it: it is evidence.

Source: SQLite's documentation of the Online Backup API; POSIX link and rename.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from aerodb.audit.note import open_checkpoint
from aerodb.audit.store.database import create_scratch_copy, open_to_read
from aerodb.audit.store.errors import BackupFailed
from aerodb.audit.store.files import DATABASE, sync_file, sync_folder
from aerodb.audit.store.folder import opened_folder, verify_folder
from aerodb.audit.store.head import Head, head_path
from aerodb.audit.store.making import lock_folder
from aerodb.audit.verify import Progress, Verified, silent

_MAGIC = b"SQLite format 3\0"
_NEW, _REPLACED = ".restoring", ".replaced"


def is_backup(path: Path) -> bool:
    """Tell whether a file is an SQLite database, as a backup is; only its verification tells whether it is a backup.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


@contextmanager
def as_folder(backup: Path) -> Iterator[Path]:
    """Hold a folder in which a backup lies where a log's database does, so that the same code verifies both.

    Raises:
        OSError: no temporary folder can be made.
    """
    with TemporaryDirectory(prefix="aerodb-backup-") as name:
        (Path(name) / DATABASE).symlink_to(backup.absolute())
        yield Path(name)


# Making one -----------------------------------------------------------------------------------------------------------


def back_up(folder: Path, to: Path, vkey: str, progress: Progress = silent) -> Verified:
    """Copy the log in `folder`, as it is at one moment, into the new file `to`, and verify the copy.

    Raises:
        BackupFailed: `to` exists already, which is left as it is; or it cannot be written.
        VerificationFailed: the copy is not intact; `to` was not made.
        LogUnavailable: the folder has no log that can be opened.
        VerifierKeyInvalid: `vkey` is malformed.
    """
    if os.path.lexists(to):
        raise BackupFailed(f"{to} exists already, and is not overwritten")
    try:
        with TemporaryDirectory(prefix=f".{to.name}.", dir=to.parent) as name:
            aside = Path(name)
            aside.chmod(0o700)  # A umask may have removed even its owner's rights.
            _copy(folder, aside / DATABASE, vkey)
            verified = verify_folder(aside, vkey, progress)
            os.link(aside / DATABASE, to)
            sync_folder(to.parent)
    except (OSError, sqlite3.Error) as error:
        raise BackupFailed(f"{to} cannot be written: {error}; there is no such backup") from error
    return verified


def _copy(folder: Path, to: Path, vkey: str) -> None:
    descriptor = os.open(to, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    os.fchmod(descriptor, 0o600)
    os.close(descriptor)
    with opened_folder(folder, vkey) as source, closing(create_scratch_copy(to)) as copy:
        source.newest()  # This starts the read transaction: what is appended later is not in the copy.
        source.connection.backup(copy.connection)
        copy.connection.execute("PRAGMA journal_mode = DELETE").fetchone()  # So that one file is the whole backup.
    sync_file(to)


# Putting it back ------------------------------------------------------------------------------------------------------


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What was put back; where the old files are now; and how many records the old log had (0: unknown)."""

    verified: Verified
    moved: tuple[Path, ...]
    before_records: int


def restore(backup: Path, folder: Path, vkey: str, progress: Progress = silent) -> Restored:
    """Put a backup in the place of the log in `folder`, which no process may have open; the old log is moved aside.

    It can be repeated if it was cut off: the backup is copied first, and the old files are moved by renaming.

    Raises:
        BackupFailed: the disk refused; it can be done again.
        VerificationFailed: the backup is not intact, or is another cluster's.
        LogUnavailable: a process has the log open.
        VerifierKeyInvalid: `vkey` is malformed.
    """
    held = lock_folder(folder) if folder.exists() else None
    try:
        new = folder.with_name(folder.name + _NEW)
        verified = _copied_back(backup, new, vkey, progress)
        head = Head(folder, vkey)
        before = max(_noted_size(head, vkey), _size_in(folder))
        moved = tuple(_moved_aside((head_path(folder), folder)))
        new.rename(folder)
        sync_folder(folder.parent)
    except (OSError, sqlite3.Error) as error:
        raise BackupFailed(f"putting back {backup} did not finish: {error}; do it again") from error
    finally:
        if held is not None:
            os.close(held)
    return Restored(verified=verified, moved=moved, before_records=before)


def _copied_back(backup: Path, new: Path, vkey: str, progress: Progress) -> Verified:
    """Copy a backup into the folder `new` and verify it there; leftovers of an earlier attempt are removed."""
    new.mkdir(mode=0o700, exist_ok=True)
    new.chmod(0o700)
    for leftover in new.iterdir():
        leftover.unlink()
    with as_folder(backup) as folder:
        _copy(folder, new / DATABASE, vkey)
    verified = verify_folder(new, vkey, progress)
    sync_folder(new)
    return verified


def _noted_size(head: Head, vkey: str) -> int:
    noted = head.read()
    return open_checkpoint(noted, vkey).size if noted else 0


def _size_in(folder: Path) -> int:
    """Return how many records the log that is about to be moved away has by its own word; 0 if it cannot be read."""
    with suppress(sqlite3.Error, TypeError), closing(open_to_read(folder / DATABASE, sealed=True)) as database:
        return database.newest()[0]  # Opened as sealed, so that reading does not change the files.
    return 0


def _moved_aside(paths: tuple[Path, ...]) -> Iterator[Path]:
    for path in paths:
        if os.path.lexists(path):
            free = next(each for each in _names_beside(path) if not os.path.lexists(each))
            path.rename(free)
            yield free


def _names_beside(path: Path) -> Iterator[Path]:
    number = 1
    while True:
        yield path.with_name(f"{path.name}{_REPLACED}-{number}")
        number += 1
