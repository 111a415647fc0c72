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
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        if owner is not None:
            os.fchown(descriptor, *owner)
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
