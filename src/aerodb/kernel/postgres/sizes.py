"""How much disk the data folders take that are kept and not in use."""

import os
from pathlib import Path

from aerodb.kernel.postgres.place import Place
from aerodb.protocol.facts import UnusedFolder

BLOCK_BYTES = 512
"""The unit of `st_blocks`, whatever the file system's own is."""


def _taken_bytes(folder: Path) -> int:
    """Return what a folder and all in it take on disk; what vanishes meanwhile takes nothing."""
    taken = 0
    for above, folders, files in os.walk(folder):
        for name in (*folders, *files):
            try:
                taken += os.lstat(os.path.join(above, name)).st_blocks * BLOCK_BYTES  # noqa: PTH118 - there are many.
            except OSError:
                continue
    return taken


class Unused:
    """The unused data folders of one node; nobody writes into a finished one, so each is measured once."""

    def __init__(self, place: Place) -> None:
        """Keep where they are; nothing is measured yet."""
        self._place = place
        self._known: dict[tuple[str, int], int] = {}

    def list(self) -> tuple[UnusedFolder, ...]:
        """Return them by name.

        Raises:
            OSError: the node's home cannot be read.
        """
        found = {(path.name, path.stat().st_mtime_ns): path for path in self._place.unused()}
        self._known = {mark: self._known.get(mark) or self._measured(path) for mark, path in found.items()}
        return tuple(UnusedFolder(name=name, bytes=taken) for (name, _), taken in self._known.items())

    def _measured(self, path: Path) -> int:
        beside = self._place.home.glob(f"{path.name}.*.tablespaces")
        return sum(_taken_bytes(each) for each in (path, *beside))
