"""The files of the log's folder: durable writes, the reserve, and detecting that others changed the files.

Source: POSIX fsync and rename; the order is write, fsync, rename, fsync of the folder.
"""

import os
from pathlib import Path
from typing import NamedTuple

DATABASE = "log.db"
RESERVE = "reserve"
SEAL = "seal.json"

RESERVE_BYTES = 1 << 20


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make the bytes of a file durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(path: Path, data: bytes) -> None:
    """Replace the contents of `path` by `data`; a crash leaves either the old bytes or the new.

    Raises:
        OSError: the disk refused; `path` is as it was, or replaced if only the last fsync, the folder's, failed.
    """
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(path)
    sync_folder(path.parent)


class Reserve:
    """Disk space that is reserved so that an outcome can be recorded even on a full disk.

    The file's blocks are really allocated. The space is released only to record what was already done, never to permit
    more.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def ensure(self, size_bytes: int) -> None:
        """Reserve at least `size_bytes`, durably.

        Raises:
            OSError: the disk has no room.
        """
        if self.held_bytes() >= size_bytes:
            return
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size_bytes)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_folder(self._path.parent)

    def held_bytes(self) -> int:
        """Return how much space is reserved: 0 if the file is missing or has holes."""
        try:
            status = self._path.stat()
        except OSError:
            return 0
        return status.st_size if status.st_blocks * 512 >= status.st_size else 0

    def release(self) -> None:
        """Release the space.

        Raises:
            OSError: the disk refused.
        """
        descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.ftruncate(descriptor, 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class FileMark(NamedTuple):
    """The state in which this process last left a file; replacing or writing the file changes it."""

    device: int
    inode: int
    size_bytes: int
    modified_ns: int

    def is_file_of(self, other: "FileMark") -> bool:
        """Tell whether both are marks of the same file, whatever was written to it in between."""
        return (self.device, self.inode) == (other.device, other.inode)


class Marker:
    """Takes the marks of the database in one folder and of SQLite's write-ahead log beside it."""

    def __init__(self, folder: Path) -> None:
        """Take marks in `folder`."""
        self._paths = str(folder / DATABASE), str(folder / f"{DATABASE}-wal")

    def marks(self) -> tuple[FileMark, FileMark]:
        """Return the marks of the two files that are at their paths now.

        Raises:
            OSError: one of them is not there.
        """
        database, wal = self._paths
        return _mark(database), _mark(wal)


def _mark(path: str) -> FileMark:
    status = os.lstat(path)  # Each append calls this many times, and a Path would cost more than the call itself.
    return FileMark(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
