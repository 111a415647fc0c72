"""The log's backup: one file, a copy of one moment, made while the log is written or not; and putting it back.

- A backup is the log's database, whole, as it was at one moment: SQLite's online backup copies it inside one reading
  transaction, whoever appends meanwhile. Nothing is written to the log.
- It is called a backup only once it was verified, from its own file, to be intact and signed by the log's key. Until
  then it has another name; it gets its own by a link, which never replaces anything. So a disk that fills up, or a
  process that dies, leaves no half of it under that name.
- What a backup takes the place of is moved aside and never removed: it is evidence.

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
    """Tell whether a file looks like a backup: an SQLite database. Whether it is one, its verification says.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


@contextmanager
def as_folder(backup: Path) -> Iterator[Path]:
    """Hold a folder in which a backup stands as the log does, so that both are verified by the same code.

    Raises:
        OSError: there is no place for temporary files.
    """
    with TemporaryDirectory(prefix="aerodb-backup-") as name:
        (Path(name) / DATABASE).symlink_to(backup.absolute())
        yield Path(name)


# Making one -----------------------------------------------------------------------------------------------------------


def back_up(folder: Path, to: Path, vkey: str, progress: Progress = silent) -> Verified:
    """Copy the log in `folder`, at one moment, into the new file `to`; return what was verified of the copy.

    Raises:
        BackupFailed: `to` is there already, or it cannot be written; there is then no such file.
        VerificationFailed: what was copied is not intact; there is then no such file.
        LogUnavailable: the folder has no log that can be opened.
        VerifierKeyInvalid: `vkey` is malformed.
    """
    if os.path.lexists(to):
        raise BackupFailed(f"{to} is there already, and is not overwritten")
    try:
        with TemporaryDirectory(prefix=f".{to.name}.", dir=to.parent) as name:
            aside = Path(name)
            aside.chmod(0o700)  # A umask may have taken even its owner's rights.
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
        source.newest()  # The transaction reads from here on: what is appended later is not in the copy.
        source.connection.backup(copy.connection)
        copy.connection.execute("PRAGMA journal_mode = DELETE").fetchone()  # One file, that needs no other beside it.
    sync_file(to)


# Putting it back ------------------------------------------------------------------------------------------------------


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What was put back, what took its place before and where that is now, and what is known of that (0: nothing)."""

    verified: Verified
    moved: tuple[Path, ...]
    before_records: int


def restore(backup: Path, folder: Path, vkey: str, progress: Progress = silent) -> Restored:
    """Put a backup in the place of the log in `folder`, which no process has open; what is there is moved aside.

    It may be done again where it was cut off: the backup is copied first, and what is moved is moved by its name.

    Raises:
        BackupFailed: the disk refused; the message says what stands where.
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
        raise BackupFailed(f"{backup} could not be put back whole: {error}; do it again") from error
    finally:
        if held is not None:
            os.close(held)
    return Restored(verified=verified, moved=moved, before_records=before)


def _copied_back(backup: Path, new: Path, vkey: str, progress: Progress) -> Verified:
    """Copy and verify a backup in the folder `new`, which what was cut off earlier may have left behind."""
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
    """Return how many records a log says that it has which is about to be moved away; 0 where it cannot say."""
    with suppress(sqlite3.Error, TypeError), closing(open_to_read(folder / DATABASE, sealed=True)) as database:
        return database.newest()[0]  # Read as if nobody wrote it, so that what is moved away stays as it was.
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
