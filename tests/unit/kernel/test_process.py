"""Whether PostgreSQL runs, as its lock file and the processes tell."""

import multiprocessing
import os
import pwd
import shutil
import socket
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


def test_nothing_in_the_folder_is_no_stranger(place: Place) -> None:
    """No lock file, a dead process, one that works elsewhere: the node is down, and nothing else is said of it."""
    assert process.stranger(place) == ""
    for text in ("999999999\n", "1\n", f"{os.getpid()}\n"):
        lock(place, text)
        assert process.stranger(place) == ""


def test_a_server_on_another_folder_is_a_stranger(place: Place) -> None:
    """A process that works in a folder of the node which is not in use is neither the node's server nor nothing."""
    other = place.home / "data-0002"
    other.mkdir()
    lives = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, cwd=other)
    try:
        (other / "postmaster.pid").write_text(f"{lives.pid}\n", encoding="ascii")
        assert process.postmaster(place) is None
        assert "data-0002" in process.stranger(place)
    finally:
        lives.kill()
        lives.communicate()
    assert process.stranger(place) == ""


def test_who_answers_at_the_nodes_socket_is_a_stranger(place: Place) -> None:
    """Whoever took the socket, wherever its data is: the node is not called down."""
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(f"\0{place.socket[1:]}/.s.PGSQL.{place.port}")
        taken.listen()
        assert "another server" in process.stranger(place)
    assert process.stranger(place) == ""


def _asked_as_nobody(place: Place, answer: int) -> None:
    """Ask as another user, in a process of its own."""
    os.setgroups([])
    os.setresuid(nobody := pwd.getpwnam("nobody").pw_uid, nobody, nobody)
    os.write(answer, f"{process.postmaster(place)}: {process.stranger(place)}".encode())


@pytest.mark.skipif(os.geteuid() != 0, reason="takes two users")
def test_a_server_of_another_user_is_unknown(place: Place) -> None:
    """A server whose process cannot be looked into may be the node's: it is not taken for gone."""
    program = place.home / "postgres"
    shutil.copy("/bin/sleep", program)
    for folder in (place.home, *place.home.parents[:-1]):
        folder.chmod(folder.stat().st_mode | 0o055)
    lives = subprocess.Popen([program, "1000"], cwd=place.data())
    try:
        lock(place, f"{lives.pid}\n")
        assert process.postmaster(place) == lives.pid
        told, answer = os.pipe()
        asks = multiprocessing.get_context("fork").Process(target=_asked_as_nobody, args=(place, answer))
        asks.start()
        asks.join()
        assert os.read(told, 1000).startswith(b"None: the process")
    finally:
        lives.kill()
        lives.communicate()
