"""A program that an operation runs has ended only with all that it forked, whoever killed it, and is not waited for."""

import os
import select
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
for awaited in map(int, sys.argv[2:]):
    os.read(awaited, 1)
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


def test_nobody_has_to_read_that_it_was_killed(script: Path) -> None:
    """As its agent was killed too: what it forked is ended all the same."""
    held, holds = os.pipe()
    goes, begins = os.pipe()
    command = [sys.executable, str(script), "killed", str(goes)]
    with Children().started(command, stderr=subprocess.PIPE, pass_fds=(holds, goes)) as child:
        os.close(holds)
        assert child.stderr is not None
        child.stderr.close()
        os.write(begins, b"\n")
        assert select.select([held], [], [], 60)[0], "what it forked lives on"
        assert os.read(held, 1) == b""
    for each in (held, goes, begins):
        os.close(each)


@pytest.mark.parametrize("code", [0, 1, 3])
def test_a_program_that_ends_by_itself_keeps_its_exit_code(script: Path, code: int) -> None:
    """As programs say why they failed."""
    assert _ended(script, str(code)) == code
