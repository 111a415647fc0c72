"""PostgreSQL's programs where its account cannot reach them: their copy works, libraries and all."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from aerodb.kernel.postgres.capabilities import BROUGHT, MAJORS, NEWEST, OLDEST
from aerodb.kernel.postgres.errors import (
    CommandFailed,
    MajorDiffers,
    PostgresMissing,
    PostgresNotBundled,
    PostgresUnsupported,
)
from aerodb.kernel.postgres.installation import copy_wheel, find_installation, libraries_of, wheel
from aerodb.kernel.postgres.naming import programs_named
from aerodb.local.layout import Layout
from aerodb.local.making import Making, make_cluster
from aerodb.local.size import Size


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
    assert found.major == BROUGHT
    assert found.run("initdb", "--version", timeout_seconds=600).output.startswith("initdb (PostgreSQL)")


def test_without_the_wheel_the_refusal_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a code of its own, and before anything is made; programs that are named need no wheel."""
    named = find_installation().bin
    monkeypatch.setattr(
        sys, "path", [path for path in sys.path if "site-packages" not in path]
    )  # As where the extra was left out: there is no such package anywhere.
    with pytest.raises(PostgresNotBundled, match=r"`pip install 'aerodb\[local\]'`.*--postgres.*`binaries`") as caught:
        find_installation()
    assert (caught.value.code, caught.value.executed) == ("kernel.postgres-not-bundled", "not executed")
    with pytest.raises(PostgresNotBundled):
        make_cluster(tmp_path / "new", Size())
    assert not (tmp_path / "new").exists()
    assert find_installation(named).bin == named


BARE = [path for path in sys.path if "site-packages" not in path]


class Programs:
    """A folder with a program that says which PostgreSQL it is, and notes each time that it is asked."""

    def __init__(self, folder: Path) -> None:
        """Make the folder, in which whoever runs PostgreSQL's programs can note something."""
        self.bin, self._asked = folder / "bin", folder / "asked"
        self.bin.mkdir()
        self.bin.chmod(0o755)
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


@pytest.mark.parametrize("said", ["14.23", "19beta1", "19.0", "9.6.24", "150.1"])
def test_a_major_version_that_is_not_known_is_refused(programs: Programs, said: str) -> None:
    """Older or newer; it is asked which version it is, and nothing else of it is run."""
    programs.say(f"postgres (PostgreSQL) {said}")
    with pytest.raises(PostgresUnsupported, match=f"PostgreSQL {said} in .* is not run: AeroDB runs") as error:
        find_installation(programs.bin)
    assert (error.value.code, error.value.executed) == ("kernel.postgres-unsupported", "not executed")
    assert programs.asked == 1


@pytest.mark.parametrize("said", ["15.18 (Debian 15.18-0+deb12u1)", "16.14", "17.10", "18.6"])
def test_every_version_of_the_table_is_run(programs: Programs, said: str) -> None:
    """As packages print it too."""
    programs.say(f"postgres (PostgreSQL) {said}")
    assert find_installation(programs.bin).major == int(said[:2])


def test_data_are_run_by_the_major_version_that_made_them(programs: Programs, tmp_path: Path) -> None:
    """Another one is refused; a folder that does not say by whom it was made is left to PostgreSQL to judge."""
    programs.say("postgres (PostgreSQL) 16.3")
    found = find_installation(programs.bin)
    assert found.own_data(tmp_path) == tmp_path
    for made_by in ("17", "15", "9.6", "", "16.3"):
        (tmp_path / "PG_VERSION").write_text(f"{made_by}\n", encoding="ascii")
        with pytest.raises(MajorDiffers, match=f"is of PostgreSQL {made_by}, and the programs in .* are 16") as error:
            found.own_data(tmp_path)
        assert error.value.executed == "not executed"
    (tmp_path / "PG_VERSION").write_text("16\n", encoding="ascii")
    assert found.own_data(tmp_path) == tmp_path


def test_programs_are_named_by_their_folder_or_by_the_one_above(programs: Programs) -> None:
    """Both are what people type; another folder is refused, with its name."""
    programs.say("postgres (PostgreSQL) 16.3")
    above = programs.bin.parent
    assert [programs_named(str(each)) for each in (programs.bin, above)] == [programs.bin.resolve()] * 2
    with pytest.raises(PostgresMissing, match="there is no PostgreSQL in /nowhere") as error:
        programs_named("/nowhere")
    assert error.value.field == "postgres"


def test_a_major_version_is_named_by_its_number(programs: Programs, tmp_path: Path) -> None:
    """The system's packages come first; one that AeroDB brings needs none; what is nowhere is said to be."""
    programs.say("postgres (PostgreSQL) 16.3")
    own, none = find_installation().major, (str(tmp_path / "{major}"),)
    assert programs_named("16", (*none, str(programs.bin))) == programs.bin
    assert programs_named(str(own), (str(programs.bin),)) == programs.bin
    assert programs_named(str(own), none) is None
    assert programs_named("", (str(programs.bin),)) is None
    other = str(next(major for major in MAJORS if major != own))
    with pytest.raises(
        PostgresMissing, match=f"PostgreSQL {other} is not in {tmp_path}/{other}, and AeroDB brings {own}"
    ):
        programs_named(other, none)


def test_without_the_wheel_a_version_that_is_nowhere_is_refused_with_each_way_out(
    programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can be installed, or named, or brought; one that is there needs no wheel, and a cluster is made of it."""
    programs.say("postgres (PostgreSQL) 16.3")
    monkeypatch.setattr(
        sys, "path", [path for path in sys.path if "site-packages" not in path]
    )  # As where the extra was left out: there is no such package anywhere.
    brings = rf"install it, or name its folder; `pip install 'aerodb\[local\]'` brings PostgreSQL {BROUGHT}"
    for major in MAJORS:
        with pytest.raises(
            PostgresNotBundled, match=f"PostgreSQL {major} is not in {tmp_path}/{major}, .*{brings}"
        ) as no:
            programs_named(str(major), (str(tmp_path / "{major}"),))
        assert (no.value.field, no.value.executed) == ("postgres", "not executed")
    assert programs_named("16", (str(programs.bin),)) == programs.bin
    making = Making(Layout(root=tmp_path / "new"), Size(), str(programs.bin))
    assert making._installation.bin == making._binaries == programs.bin.resolve()


@pytest.mark.parametrize("wanted", [str(OLDEST - 1), str(NEWEST + 1), "9", "0", "015000"])
def test_a_number_that_is_no_known_major_version_is_refused(wanted: str) -> None:
    """Whether it is installed or not."""
    with pytest.raises(PostgresUnsupported, match=f"AeroDB runs PostgreSQL {OLDEST} to {NEWEST}"):
        programs_named(wanted)
