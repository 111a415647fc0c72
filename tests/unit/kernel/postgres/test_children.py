"""A program that an operation runs has ended only with all that it forked, whoever killed it, and is not waited for."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from aerodb.kernel.postgres.children import Children

FORKS = """
import os, signal, sys
child = os.fork()
if child == 0:
    signal.pause()
if sys.argv[1] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
os.kill(child, signal.SIGKILL)
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """Return a program that forks another one, which holds its output open, and then ends as it is told to."""
    path = tmp_path / "forks.py"
    path.write_text(FORKS, encoding="utf-8")
    return path


def _ended(script: Path, how: str) -> int:
    """Run it until nobody holds its output open any more; return its exit code."""
    with Children().started([sys.executable, str(script), how], stdout=subprocess.PIPE) as child:
        child.communicate(timeout=60)
    return child.returncode


def test_a_program_that_was_killed_leaves_nothing_that_it_forked(script: Path) -> None:
    """What it forked holds its output open, and would be waited for as long as it lives; it is ended too."""
    assert _ended(script, "killed") == 128 + signal.SIGKILL


@pytest.mark.parametrize("code", [0, 1, 3])
def test_a_program_that_ends_by_itself_keeps_its_exit_code(script: Path, code: int) -> None:
    """As programs say why they failed."""
    assert _ended(script, str(code)) == code
