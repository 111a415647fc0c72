"""Durable files: a write is complete and on disk, or has not happened.

Source: POSIX fsync and rename; the order is write, fsync, rename, fsync of the folder.
"""

import os
from pathlib import Path


def write_durably(path: Path, data: bytes, owner: tuple[int, int] | None = None) -> None:
    """Replace the contents of `path` by `data`; a crash leaves either the old bytes or the new.

    Only the owner may read the file: this process's user, or else `owner` (user and group ids).

    Raises:
        OSError: the disk refused; `path` is as it was, or replaced if only the last fsync, the folder's, failed.
    """
    put(path, data, owner)
    sync_folder(path.parent)


def put(path: Path, data: bytes, owner: tuple[int, int] | None = None) -> None:
    """Replace the contents of `path` as `write_durably` does, but for its last step, the fsync of the folder.

    A crash leaves either the old bytes or the new, also after this returned.

    Raises:
        OSError: the disk refused; `path` is as it was.
    """
    temporary = _beside(path)
    # Not truncated before it is written, which would give back the space that was reserved.
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


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")


def reserve(path: Path, size_bytes: int) -> None:
    """Reserve disk space, so that the next `write_durably` to `path` cannot fail because the disk is full.

    That is promised to this process, which outlives no crash of the machine: so nothing is made durable here, and what
    is reserved is named by no durable file. POSIX: after posix_fallocate no write into the range lacks space; where a
    file system (NFS) finds that out late, closing the file does.

    Raises:
        OSError: there is not enough space.
    """
    descriptor = os.open(_beside(path), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, size_bytes)
    finally:
        os.close(descriptor)


def let_go(path: Path) -> None:
    """Give back the space that was reserved for `path`."""
    _beside(path).unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
