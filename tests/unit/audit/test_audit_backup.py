"""The log's backup: a copy of one moment, verified before it has its name; and what takes a log's place."""

import hashlib
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aerodb.audit.store import BackupFailed, Log, LogUnavailable, back_up, restore, verify_folder
from aerodb.audit.store.backup import as_folder
from aerodb.errors import VerificationFailed
from tests.faults.waiting import wait_until
from tests.unit.audit.test_audit_damage import KEY, ORIGIN, SIZE, change, record

ROOT = Path(__file__).parents[3]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    """Return a log of some records, open."""
    (tmp_path / "control").mkdir()
    made = Log.create(tmp_path / "control" / "log", ORIGIN, KEY)
    for number in range(SIZE):
        made.append(record(number))
    yield made
    with suppress(VerificationFailed):
        made.close()


def bytes_in(folder: Path) -> dict[str, str]:
    """Return what every file in a folder holds; of SQLite's shared index of its write-ahead log, nothing."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith("-shm"))
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def names_in(folder: Path) -> list[str]:
    """Return what a folder holds, by name."""
    return sorted(path.name for path in folder.iterdir())


def size_of(backup: Path, vkey: str) -> int:
    """Return how many records a backup has, verified."""
    with as_folder(backup) as folder:
        return verify_folder(folder, vkey).size


def test_a_backup_of_a_log_that_is_written_is_of_one_moment(log: Log, tmp_path: Path) -> None:
    """Whoever appends meanwhile: each copy verifies whole, has what was there before it was begun, and grows no more.

    Nobody is held up, and what the log is, it stays.
    """
    ends, appended = threading.Event(), list[int]()

    def append() -> None:
        while not ends.is_set():
            appended.append(log.append(record(SIZE + len(appended))))

    writer = threading.Thread(target=append)
    writer.start()
    sizes = list[int]()
    try:
        wait_until(lambda: bool(appended))
        for number in range(12):
            before, to = log.size, tmp_path / f"backup-{number}"
            verified = back_up(log._folder, to, log.verifier_key)
            assert before <= verified.size <= log.size
            sizes.append(verified.size)
    finally:
        ends.set()
        writer.join()
    assert [size_of(tmp_path / f"backup-{number}", log.verifier_key) for number in range(12)] == sizes
    assert sizes == sorted(sizes)
    assert sizes[-1] > SIZE
    assert log.writable()


@pytest.mark.parametrize("state", ["open", "sealed", "killed"])
def test_looking_changes_nothing(tmp_path: Path, state: str) -> None:
    """No byte of the log's files is changed by a backup: of one that is open, closed, or was cut off."""
    folder = tmp_path / "control" / "log"
    log = Log.create(folder, ORIGIN, KEY)
    for number in range(SIZE):
        log.append(record(number))
    if state == "killed":
        pid = os.fork()  # The files as a process leaves them that ends without a word.
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        copy = tmp_path / "killed"
        subprocess.run(["cp", "-a", folder.parent, copy], check=True)
        log.close()
        folder = copy / "log"
    elif state == "sealed":
        log.close()
    before = bytes_in(folder.parent)
    assert back_up(folder, tmp_path / "backup", log.verifier_key).size == SIZE
    assert bytes_in(folder.parent) == before
    log.close()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_a_backup_is_its_owners_alone(log: Log, tmp_path: Path, umask: int) -> None:
    """Whatever the umask, nobody else may read it, and nothing else is left where it was made."""
    (tmp_path / "to").mkdir()
    old = os.umask(umask)
    try:
        back_up(log._folder, tmp_path / "to" / "backup", log.verifier_key)
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "to" / "backup").stat().st_mode) == 0o600
    assert names_in(tmp_path / "to") == ["backup"]


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_a_backup_overwrites_nothing(log: Log, tmp_path: Path, kind: str) -> None:
    """What is there stays as it is, a link that leads nowhere too; and so it does where it appears meanwhile."""
    to = tmp_path / "backup"
    if kind == "file":
        to.write_text("kept")
    elif kind == "folder":
        to.mkdir()
    else:
        to.symlink_to(tmp_path / "nowhere")
    with pytest.raises(BackupFailed):
        back_up(log._folder, to, log.verifier_key)
    assert (to.is_file() and to.read_text() == "kept") or to.is_dir() or not to.exists()
    other = tmp_path / "other"

    def takes_the_name(*_: int) -> None:
        other.write_text("kept")

    with pytest.raises(BackupFailed):
        back_up(log._folder, other, log.verifier_key, takes_the_name)
    assert other.read_text() == "kept"


def test_what_is_not_intact_is_no_backup(log: Log, tmp_path: Path) -> None:
    """A log that was changed in its files, or is signed with another key, leaves nothing under the backup's name."""
    other = Ed25519PrivateKey.generate()
    with Log.create(tmp_path / "other" / "log", ORIGIN, other) as stranger, pytest.raises(VerificationFailed):
        back_up(log._folder, tmp_path / "backup", stranger.verifier_key)
    change(log, ("UPDATE record SET body = CAST(replace(CAST(body AS TEXT), 'o9', 'o8') AS BLOB)", ()))
    with pytest.raises(VerificationFailed):
        back_up(log._folder, tmp_path / "backup", log.verifier_key)
    assert not os.path.lexists(tmp_path / "backup")
    assert names_in(tmp_path) == ["control", "other"]


def _backs_up(log: Log, to: Path, limit_bytes: int) -> "subprocess.CompletedProcess[str]":
    """Make a backup in a process that may write no file larger than so much."""
    code = (
        "import sys; from pathlib import Path; from aerodb.audit.store import back_up;"
        "back_up(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])"
    )
    return subprocess.run(
        [sys.executable, "-c", code, str(log._folder), str(to), log.verifier_key],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes)),
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip


def test_a_disk_that_is_full_leaves_no_half(log: Log, tmp_path: Path) -> None:
    """Wherever there is no more room, there is no backup, and nothing of it; with room there is one."""
    (tmp_path / "to").mkdir()
    whole = (log._folder / "log.db").stat().st_size + (log._folder / "log.db-wal").stat().st_size
    for limit_bytes in (0, 1, 4096, 8192, 20_000):
        found = _backs_up(log, tmp_path / "to" / "backup", limit_bytes)
        assert (found.returncode, "BackupFailed" in found.stderr) == (1, True), found.stderr
        assert names_in(tmp_path / "to") == []
    found = _backs_up(log, tmp_path / "to" / "backup", 4 * whole)
    assert found.returncode == 0, found.stderr
    assert size_of(tmp_path / "to" / "backup", log.verifier_key) == SIZE


def test_a_process_that_is_killed_leaves_no_half(log: Log, tmp_path: Path) -> None:
    """Killed right before the copy gets its name, there is no backup; done again, there is."""
    code = (
        "import os, sys; from pathlib import Path; from aerodb.audit.store import backup;"
        "backup.os.link = lambda *_: os.kill(os.getpid(), 9);"
        "backup.back_up(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])"
    )
    command = [sys.executable, "-c", code, str(log._folder), str(tmp_path / "backup"), log.verifier_key]
    assert subprocess.run(command, check=False, cwd=ROOT).returncode == -signal.SIGKILL
    assert not (tmp_path / "backup").exists()
    assert back_up(log._folder, tmp_path / "backup", log.verifier_key).size == SIZE


# Putting it back ------------------------------------------------------------------------------------------------------


def test_a_backup_is_put_back_and_what_was_there_is_kept(log: Log, tmp_path: Path) -> None:
    """The log is the backup's, with nothing that says it lost more; the one before and its head are moved aside."""
    backup, folder = tmp_path / "backup", log._folder
    back_up(folder, backup, log.verifier_key)
    for number in range(5):
        log.append(record(SIZE + number))
    log.close()
    kept = bytes_in(folder)
    done = restore(backup, folder, log.verifier_key)
    assert (done.verified.size, done.before_records) == (SIZE, SIZE + 5)
    assert [path.name for path in done.moved] == ["log.head.replaced-1", "log.replaced-1"]
    assert {Path(path).name: held for path, held in bytes_in(done.moved[1]).items()} == {
        Path(path).name: held for path, held in kept.items()
    }
    with Log(folder, ORIGIN, KEY) as again:
        assert (again.size, again.lost) == (SIZE, "")
        again.append(record(99))
    assert [path.name for path in restore(backup, folder, log.verifier_key).moved][1] == "log.replaced-2"


def test_a_log_that_is_in_use_is_not_replaced(log: Log, tmp_path: Path) -> None:
    """While a process has the log open nothing is put back, and it goes on."""
    back_up(log._folder, tmp_path / "backup", log.verifier_key)
    with pytest.raises(LogUnavailable):
        restore(tmp_path / "backup", log._folder, log.verifier_key)
    assert log.append(record(99)) == SIZE


@pytest.mark.parametrize("fault", ["cut off", "another key", "no log"])
def test_what_is_no_backup_is_not_put_back(log: Log, tmp_path: Path, fault: str) -> None:
    """What does not verify takes nothing's place: the log is what it was."""
    backup, vkey = tmp_path / "backup", log.verifier_key
    back_up(log._folder, backup, vkey)
    log.close()
    before = bytes_in(log._folder)
    if fault == "cut off":
        os.truncate(backup, backup.stat().st_size // 2)
    elif fault == "no log":
        backup.write_bytes(b"SQLite format 3\0" + bytes(4096))
    else:
        with Log.create(tmp_path / "other" / "log", ORIGIN, Ed25519PrivateKey.generate()) as stranger:
            vkey = stranger.verifier_key
    with pytest.raises((VerificationFailed, BackupFailed, LogUnavailable)):
        restore(backup, log._folder, vkey)
    assert bytes_in(log._folder) == before


@pytest.mark.parametrize("at", range(1, 4))
def test_putting_back_that_was_cut_off_is_done_again(log: Log, tmp_path: Path, at: int) -> None:
    """Killed before any of its renames, it is simply done again; what was there is kept, whichever way."""
    backup, folder, vkey = tmp_path / "backup", log._folder, log.verifier_key
    back_up(folder, backup, vkey)
    log.append(record(99))
    log.close()
    code = (
        "import os, sys; from pathlib import Path; from aerodb.audit.store import restore;"
        "left = [int(sys.argv[4])]; rename = Path.rename\n"
        "def dies(path, to):\n"
        "    left[0] -= 1\n"
        "    return rename(path, to) if left[0] else os.kill(os.getpid(), 9)\n"
        "Path.rename = dies\n"
        "restore(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])"
    )
    command = [sys.executable, "-c", code, str(backup), str(folder), vkey, str(at)]
    assert subprocess.run(command, check=False, cwd=ROOT).returncode == -signal.SIGKILL
    restore(backup, folder, vkey)
    with Log(folder, ORIGIN, KEY) as again:
        assert (again.size, again.lost) == (SIZE, "")
    assert verify_folder(folder.with_name("log.replaced-1"), vkey).size == SIZE + 1
