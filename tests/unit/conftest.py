"""Unit tests write durably, again and again: their folders are in memory where there is room, and wait for no disk.

What is proven of durable writes is which calls are made, in which order (test_durable), and what is left by processes
that are killed (tests/faults), whose folders are on a disk.
"""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from aerodb.transport import expiry

MEMORY = Path("/dev/shm")  # noqa: S108 - only where it is a file system in memory; the folder's name is drawn.
ROOM_BYTES = 512 << 20


class Folders:
    """Makes folders as pytest's own factory does."""

    def __init__(self, root: Path) -> None:
        """Make them in `root`."""
        self._root = root

    def mktemp(self, basename: str, numbered: bool = True) -> Path:  # noqa: FBT001, FBT002 - pytest's own signature.
        """Return a new folder."""
        if numbered:
            return Path(tempfile.mkdtemp(prefix=f"{basename}-", dir=self._root))
        (self._root / basename).mkdir(mode=0o700)
        return self._root / basename


@pytest.fixture(scope="session")
def tmp_path_factory(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Folders | pytest.TempPathFactory]:
    """Yield what makes folders in memory, which are gone at the end; pytest's own, where it was told where, or must."""
    if request.config.getoption("basetemp") or not MEMORY.is_mount() or shutil.disk_usage(MEMORY).free < ROOM_BYTES:
        yield tmp_path_factory
        return
    root = Path(tempfile.mkdtemp(prefix="aerodb-unit-", dir=MEMORY))
    try:
        yield Folders(root)
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(autouse=True)
def _no_certificates() -> Iterator[None]:
    """Let no test see the certificates that others were shown: a process knows them as long as it lives."""
    yield
    expiry._known.clear()
    expiry._told.clear()


@pytest.fixture
def tmp_path(tmp_path_factory: Folders | pytest.TempPathFactory) -> Iterator[Path]:
    """Yield a test's own folder, which is gone afterwards."""
    folder = tmp_path_factory.mktemp("test")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
