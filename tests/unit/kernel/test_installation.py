"""PostgreSQL's programs where its account cannot reach them: their copy works, libraries and all."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from aerodb.kernel.postgres.errors import CommandFailed, PostgresMissing
from aerodb.kernel.postgres.installation import _wheel as wheel
from aerodb.kernel.postgres.installation import copy_wheel, find_installation, libraries_of


def test_the_copy_of_the_wheel_runs(tmp_path: Path) -> None:
    """Every program that is used starts from the copy, with the copy's own libraries; a second copy is the first."""
    copied = copy_wheel(wheel(), tmp_path)
    assert copied == copy_wheel(wheel(), tmp_path)
    assert libraries_of(copied).is_dir()
    for program in ("postgres", "initdb", "pg_ctl", "pg_controldata", "pg_basebackup", "pg_waldump"):
        said = subprocess.run([copied / "bin" / program, "--version"], capture_output=True, text=True, check=False)
        assert said.returncode == 0, said.stderr
        loaded = subprocess.run(["ldd", copied / "bin" / program], capture_output=True, text=True, check=True).stdout
        assert "not found" not in loaded
        assert str(wheel().parent.parent) not in loaded


def test_the_installation_is_found() -> None:
    """It says its version, and its programs run as whoever PostgreSQL runs as."""
    found = find_installation()
    assert found.major >= 14
    assert found.run("initdb", "--version", timeout_seconds=600).output.startswith("initdb (PostgreSQL)")


class Programs:
    """A folder with a program that says which PostgreSQL it is, and notes each time that it is asked."""

    def __init__(self, folder: Path) -> None:
        """Make the folder, in which whoever runs PostgreSQL's programs can note something."""
        self.bin, self._asked = folder / "bin", folder / "asked"
        self.bin.mkdir()
        self._asked.touch()
        self._asked.chmod(0o666)
        folder.chmod(0o755)

    def say(self, said: str, code: int = 0) -> None:
        """Have the program say something else: another file takes its place, as an upgrade does."""
        new = self.bin / "new"
        new.write_text(f"#!/bin/sh\necho asked >> {self._asked}\necho '{said}'\nexit {code}\n", encoding="utf-8")
        new.chmod(0o755)
        new.rename(self.bin / "postgres")

    @property
    def asked(self) -> int:
        """Return how often it was asked."""
        return len(self._asked.read_text(encoding="utf-8").splitlines())


@pytest.fixture
def programs() -> Iterator[Programs]:
    """Yield programs where every account can reach them."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        yield Programs(Path(folder))


def test_the_version_is_asked_for_once_for_as_long_as_the_file_stays(programs: Programs) -> None:
    """Whoever makes several objects starts one program; another file is asked anew, even of the same size and time."""
    programs.say("postgres (PostgreSQL) 16.3")
    assert [find_installation(programs.bin).version for _ in range(3)] == ["16.3"] * 3
    assert programs.asked == 1
    before = (programs.bin / "postgres").stat()
    programs.say("postgres (PostgreSQL) 16.4")
    os.utime(programs.bin / "postgres", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (programs.bin / "postgres").stat().st_size == before.st_size
    assert [find_installation(programs.bin).version for _ in range(2)] == ["16.4"] * 2
    assert programs.asked == 2


def test_a_version_that_could_not_be_read_is_asked_for_again(programs: Programs) -> None:
    """A failure is never remembered: what failed once may have been the moment's fault."""
    programs.say("postgres (PostgreSQL) 16.3", code=1)
    for _ in range(2):
        with pytest.raises(CommandFailed):
            find_installation(programs.bin)
    programs.say("no version")
    with pytest.raises(PostgresMissing, match="cannot be read: 'no version'"):
        find_installation(programs.bin)
    assert programs.asked == 3


def test_what_is_gone_is_not_remembered(programs: Programs) -> None:
    """The programs are looked for each time."""
    programs.say("postgres (PostgreSQL) 16.3")
    find_installation(programs.bin)
    (programs.bin / "postgres").unlink()
    with pytest.raises(PostgresMissing, match="there is no PostgreSQL"):
        find_installation(programs.bin)
