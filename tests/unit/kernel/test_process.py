"""Whether PostgreSQL runs, as its lock file and the processes tell."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aerodb.kernel.postgres import process
from aerodb.kernel.postgres.place import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Return a home with a data folder in use."""
    (tmp_path / "data-0001").mkdir()
    (tmp_path / "data").symlink_to("data-0001")
    return Place(name="n1", home=tmp_path, host="127.0.0.1", port=1, quorum=1, data_nodes=("n1",))


def lock(place: Place, text: str) -> None:
    """Write the lock file."""
    (place.link / "postmaster.pid").write_text(text, encoding="ascii")


@pytest.mark.parametrize("text", ["", "\n", "x\n", "999999999\n", "1\n", "-1\n", "SELF\n"])
def test_a_lock_file_alone_is_no_postmaster(place: Place, text: str) -> None:
    """A process that is gone, that is another user's, or that works elsewhere, is not this folder's postmaster."""
    lock(place, text.replace("SELF", str(os.getpid())))
    assert process.postmaster(place) is None


def test_a_process_in_the_folder_is_the_postmaster_until_it_dies(place: Place) -> None:
    """It counts while it lives; dead and not collected yet, it counts no more, and is waited for before a start."""
    lives = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, cwd=place.data())
    try:
        lock(place, f"{lives.pid}\n")
        assert process.postmaster(place) == lives.pid
        assert process._collected(place)
        lives.kill()
        os.waitid(os.P_PID, lives.pid, os.WEXITED | os.WNOWAIT)
        assert process.postmaster(place) is None
        assert not process._collected(place)
    finally:
        lives.kill()
        lives.communicate()
    assert process._collected(place)
