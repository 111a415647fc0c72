"""The head: the newest checkpoint once more, in a file of its own beside the log's folder.

A database whose end is cut off, or that is put back from a copy, is whole in itself. The head says what it was: a log
that does not extend it lost something.

- It is written after the commit that it is about is durable, so it never says more than the log had.
- It is written in place, in two slots by turns, so that one of them is whole whenever the process dies; and it is given
  to the system, not forced to the disk before the log is closed: a process that is killed loses nothing of it, and a
  power failure at most makes it older, which says less and nothing wrong.
- Nothing is believed of it but the log's own signature.
"""

import os
from pathlib import Path

from aerodb.audit.note import CheckpointForged, open_checkpoint
from aerodb.audit.store.files import sync_folder

ENDING = ".head"

_SLOT_BYTES = 2_048


def head_path(folder: Path) -> Path:
    """Return where the head of the log in `folder` lies."""
    return folder.with_name(folder.name + ENDING)


class Head:
    """The head of the log in one folder, whose checkpoints the key `vkey` signs. Used by one thread at a time."""

    def __init__(self, folder: Path, vkey: str) -> None:
        """Keep where it lies; nothing is opened yet."""
        self._path = head_path(folder)
        self._vkey = vkey
        self._descriptor: int | None = None

    def read(self) -> str:
        """Return the newest checkpoint that it holds, or "" where it holds none.

        Raises:
            OSError: it cannot be read.
        """
        if not self._path.exists():
            return ""
        data = self._path.read_bytes()
        found = [self._slot(data[at : at + _SLOT_BYTES]) for at in (0, _SLOT_BYTES)]
        return max(found)[1]

    def _slot(self, data: bytes) -> tuple[int, str]:
        """Return size and text of the checkpoint in a slot; one that was cut off while it was written is none."""
        text = data.rstrip(b"\0").decode(errors="replace")
        try:
            return open_checkpoint(text, self._vkey).size, text
        except CheckpointForged:
            return -1, ""

    def write(self, size: int, checkpoint: str) -> None:
        """Note the checkpoint at `size` records, in the place of the one before the last.

        Raises:
            OSError: the disk refused.
        """
        data = checkpoint.encode()
        if len(data) > _SLOT_BYTES:
            raise OSError(f"a checkpoint of {len(data)} bytes does not fit into the log's head")
        if self._descriptor is None:
            self._descriptor = self._opened()
        os.pwrite(self._descriptor, data.ljust(_SLOT_BYTES, b"\0"), size % 2 * _SLOT_BYTES)

    def _opened(self) -> int:
        """Return a descriptor of the file, which has its place on the disk from its beginning on."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, 2 * _SLOT_BYTES)
            sync_folder(self._path.parent)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def forget(self) -> None:
        """Remove it: of a log that begins anew."""
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Force it to the disk, and let it go."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
