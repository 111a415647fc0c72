"""Output that nobody reads any more: a command goes on to its end, says so to nobody, and keeps its exit code."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import pytest

from aerodb.cli.commands import run
from aerodb.cli.session import Session
from aerodb.cli.terminal import Terminal
from tests.unit.cli.stage import Screen, Stage, stage_in

STOP = ("stop", "n3", "--reason", "tidy up")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Yield an honest control plane."""
    with stage_in(tmp_path) as made:
        yield made


@contextmanager
def unread() -> Iterator[TextIO]:
    """Yield the writing end of a pipe whose reader has gone."""
    reads, writes = os.pipe()
    os.close(reads)
    with os.fdopen(writes, "w", encoding="utf-8") as stream:
        yield stream


@dataclass
class Gone:
    """A screen that goes away after it has shown `reads` texts: what is written then goes to an unread pipe."""

    pipe: TextIO
    reads: int
    shown: list[str] = field(default_factory=list)
    encoding: str = "utf-8"

    def isatty(self) -> bool:
        """Pass for a terminal, until it has gone and nothing is written anywhere any more."""
        return stat.S_ISFIFO(os.fstat(self.fileno()).st_mode)

    def fileno(self) -> int:
        """Return the pipe's descriptor."""
        return self.pipe.fileno()

    def write(self, text: str) -> int:
        """Show a text, or meet the closed pipe."""
        if len(self.shown) >= self.reads:
            return self.pipe.write(text)
        self.shown.append(text)
        return len(text)

    def flush(self) -> None:
        """Meet the closed pipe where something was written to it."""
        self.pipe.flush()


def runs(stage: Stage, stdout: object, *words: str, typed: str = "", stderr: object = None) -> int:
    """Run a command as alice does, with streams of the test's own; return its exit code."""
    terminal = Terminal(Screen(typed), stdout, stderr or Screen())  # type: ignore[arg-type]
    return run(words, Session(terminal=terminal, connect=stage._connect, folder=stage.profile))


@pytest.mark.parametrize("words", [("status",), ("status", "--json"), ("requests",), ("whoami",), ("audit", "verify")])
def test_a_look_keeps_its_exit_code_and_says_nothing(stage: Stage, words: tuple[str, ...]) -> None:
    """Whether or not its lines were read: nothing is said of it on the other stream."""
    stderr = Screen()
    stderr.terminal = False
    with unread() as stdout:
        assert runs(stage, stdout, *words, stderr=stderr) == stage.run(*words, terminal=False).code
    assert stderr.getvalue() == ""


def test_an_error_that_nobody_reads_keeps_its_exit_code(stage: Stage) -> None:
    """As in `aerodb ... 2>&1 | head -1`."""
    with unread() as stderr:
        assert runs(stage, Screen(), "show", "none", stderr=stderr) == stage.run("show", "none").code == 2


def test_an_export_that_nobody_reads_ends_at_once(stage: Stage) -> None:
    """It does not fetch a whole log for nobody, and its exit code says that it was not written whole."""
    stage.breaks_off = 1  # Whoever went on to the second line would be told that the answer broke off.
    with unread() as stdout:
        assert runs(stage, stdout, "audit", "export") == 141


def test_what_is_recorded_is_carried_out_and_told_by_the_exit_code(stage: Stage) -> None:
    """To decline, and to ask for an outcome: both are sent once, and end as they do with a reader."""
    assert "It still awaits" in stage.run(*STOP, typed="").plain
    request = stage._requests()[-1]
    with unread() as stdout:
        assert runs(stage, stdout, "decline", request[:8]) == 0
    assert stage.decisions[request].line.state == "declined"
    assert stage.run(*STOP, typed="n3\n").code == 0
    with unread() as stdout:
        assert runs(stage, stdout, "outcome", stage.executed[0]) == 0


def test_an_action_is_carried_out_once_it_is_confirmed_and_never_unread(stage: Stage) -> None:
    """A screen that goes before the question has nothing signed; after it, the exit code is the outcome's."""
    with unread() as pipe:
        whole = Gone(pipe, 1000)
        assert runs(stage, whole, *STOP, typed="n3\n") == 0
    stage.restore("n3")
    asked = next(at for at, text in enumerate(whole.shown, 1) if "type the node's name" in text and ": " in text[-2:])
    for reads in (0, 1, asked // 2, asked - 1, asked, asked + 1, len(whole.shown) - 1):
        sent = len(stage.posts())
        with unread() as pipe:
            code = runs(stage, Gone(pipe, reads), *STOP, typed="n3\n")
        posts = [path.rsplit("/", 1)[-1] for path in stage.posts()[sent:]]
        assert (code, posts) == ((1, ["requests"]) if reads < asked else (0, ["requests", "confirmation"])), reads
        stage.restore("n3")


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["completion", "bash"], ["catalogue"]])
def test_a_program_whose_reader_has_gone_ends_quietly(words: list[str]) -> None:
    """The real one, as a shell runs it: nothing on stderr, and no exit code but its own."""
    command = [sys.executable, "-c", "from aerodb.cli.main import main; main()", *words]
    with unread() as stdout:
        ended = subprocess.run(command, check=False, stdout=stdout, stderr=subprocess.PIPE)
    assert (ended.returncode, ended.stderr) == (0, b"")
