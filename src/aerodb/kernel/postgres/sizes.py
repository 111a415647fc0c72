"""The disk space taken by data folders that are kept but not in use."""

import os
from pathlib import Path

from aerodb.kernel.postgres.place import Place
from aerodb.protocol.facts import UnusedFolder

BLOCK_BYTES = 512
"""The unit of `st_blocks`, whatever the file system's block size."""


def _taken_bytes(folder: Path) -> int:
    """Return the disk space in bytes of all that is in a folder; what vanishes meanwhile is skipped."""
    taken = 0
    for above, folders, files in os.walk(folder):
        for name in (*folders, *files):
            try:
                taken += os.lstat(os.path.join(above, name)).st_blocks * BLOCK_BYTES  # noqa: PTH118 - there are many.
            except OSError:
                continue
    return taken


class Unused:
    """The unused data folders of one node; each is measured once, because nobody writes into a finished one."""

    def __init__(self, place: Place) -> None:
        """Prepare; nothing is measured yet."""
        self._place = place
        self._known: dict[tuple[str, int], int] = {}

    def list(self) -> tuple[UnusedFolder, ...]:
        """Return the unused folders, sorted by name.

        Raises:
            OSError: the node's home cannot be read.
        """
        found = {(path.name, path.stat().st_mtime_ns): path for path in self._place.unused()}
        self._known = {mark: self._known.get(mark) or self._measured(path) for mark, path in found.items()}
        return tuple(UnusedFolder(name=name, bytes=taken) for (name, _), taken in self._known.items())

    def _measured(self, path: Path) -> int:
        beside = self._place.home.glob(f"{path.name}.*.tablespaces")
        return sum(_taken_bytes(each) for each in (path, *beside))
