"""Durable files: what is written here is on disk, whole, or was never there.

Source: POSIX fsync and rename; the order is write, fsync, rename, fsync of the folder.
"""

import os
from pathlib import Path


def write_durably(path: Path, data: bytes, owner: tuple[int, int] | None = None) -> None:
    """Put `data` at `path`, replacing what is there, so that a crash leaves either the old bytes or the new.

    `owner` is the user and group that shall own it, where that is not this process's own; nobody else may read it.

    Raises:
        OSError: the disk refused; `path` is then as it was.
    """
    temporary = _beside(path)
    # Not truncated before it is written: what was reserved stays its own.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if owner is not None:
            os.fchown(descriptor, *owner)
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.ftruncate(descriptor, len(data))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(path)
    sync_folder(path.parent)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")


def reserve(path: Path, size_bytes: int) -> None:
    """Take room on the disk for the next `write_durably` to `path`, which can then not fail for want of it.

    Raises:
        OSError: there is none.
    """
    descriptor = os.open(_beside(path), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, size_bytes)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def let_go(path: Path) -> None:
    """Give back what was reserved for `path`."""
    _beside(path).unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
