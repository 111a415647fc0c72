"""The head: a copy of the newest checkpoint, in a file beside the log's folder.

A database that was cut off at its end, or replaced by an older copy, is consistent in itself. The head shows the loss:
a log that does not extend it has lost records.

- It is written after the commit is durable, so it never claims more than the log had.
- It is written in place, into two slots by turns, so that one slot is always complete. It is synced only when the log
  is closed: a killed process loses nothing of it, and a power failure makes it older at most, which is safe.
- Only a checkpoint with the log's own signature is accepted from it.
"""

import os
from pathlib import Path

from aerodb.audit.note import CheckpointForged, open_checkpoint
from aerodb.audit.store.files import sync_folder

ENDING = ".head"

_SLOT_BYTES = 2_048


def head_path(folder: Path) -> Path:
    """Return the path of the head of the log in `folder`."""
    return folder.with_name(folder.name + ENDING)


class Head:
    """The head of the log in one folder; `vkey` verifies its checkpoints. For one thread at a time."""

    def __init__(self, folder: Path, vkey: str) -> None:
        """Prepare; nothing is opened yet."""
        self._path = head_path(folder)
        self._vkey = vkey
        self._descriptor: int | None = None

    def read(self) -> str:
        """Return the newest checkpoint in the file; "" if there is none.

        Raises:
            OSError: it cannot be read.
        """
        if not self._path.exists():
            return ""
        data = self._path.read_bytes()
        found = [self._slot(data[at : at + _SLOT_BYTES]) for at in (0, _SLOT_BYTES)]
        return max(found)[1]

    def _slot(self, data: bytes) -> tuple[int, str]:
        """Return size and text of the checkpoint in a slot; -1 and "" if it is torn, empty or not signed by the log."""
        text = data.rstrip(b"\0").decode(errors="replace")
        try:
            return open_checkpoint(text, self._vkey).size, text
        except CheckpointForged:
            return -1, ""

    def write(self, size: int, checkpoint: str) -> None:
        """Write the checkpoint at `size` records over the older slot.

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
        """Open the file, with its disk space allocated."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, 2 * _SLOT_BYTES)
            sync_folder(self._path.parent)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def forget(self) -> None:
        """Delete the file, for a log that begins anew."""
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Sync and close the file."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
