"""The terminal: styled lines, aligned tables, questions, errors. Everything shown is escaped; nothing is decided here.

Colour only adds to what the words say. It is off where the stream is no terminal, where NO_COLOR is set
(no-color.org), and where TERM is "dumb".
"""

import os
import shutil
import sys
import termios
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

import click

from aerodb.cli.streams import write
from aerodb.errors import AeroError

if TYPE_CHECKING:
    from aerodb.views.render import Line  # Only annotated here: the rules take long to import.

STYLES: dict[str, dict[str, Any]] = {
    "heading": {"bold": True},
    "plain": {},
    "good": {"fg": "green"},
    "bad": {"fg": "red"},
    "warn": {"fg": "yellow"},
    "dim": {"dim": True},
}
EXECUTED = {
    "executed": "It was executed.",
    "not executed": "Nothing was executed.",
    "unknown": "Whether it was executed is unknown.",
}
ASCII_MARKS = {ord("\N{BLACK CIRCLE}"): "*", ord("\N{BLACK UP-POINTING TRIANGLE}"): "!", ord("\N{BLACK SQUARE}"): "#"}
GAP = "  "
_LOCAL_FLAGS = 3
"""Where `termios.tcgetattr` has them."""

Cell = tuple[str, str]
"""A style and a text."""


@dataclass(frozen=True)
class Terminal:
    """Where a person reads and types; the streams are given, so that tests can be a terminal."""

    stdin: TextIO = field(default_factory=lambda: sys.stdin)
    stdout: TextIO = field(default_factory=lambda: sys.stdout)
    stderr: TextIO = field(default_factory=lambda: sys.stderr)

    @property
    def interactive(self) -> bool:
        """Tell whether a person both reads what is shown and types what is read."""
        return self.stdin.isatty() and self.stdout.isatty()

    @property
    def draws(self) -> bool:
        """Tell whether marks beyond ASCII can be shown."""
        return (self.stdout.encoding or "utf-8").lower().replace("-", "") == "utf8"

    def line(self, text: str, style: str = "plain") -> None:
        """Show one line as it is; what came from elsewhere must have been escaped."""
        self._put(self.stdout, text, style)

    def lines(self, lines: Iterable["Line"]) -> None:
        """Show rendered lines; their marks are ASCII where the terminal has no other."""
        for line in lines:
            self.line(line.text if self.draws else line.text.translate(ASCII_MARKS), line.style)

    def table(self, head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """Show an aligned table; a cell's style colours its text alone. Cells are escaped."""
        escaped = [[(style, escape(text)) for style, text in row] for row in rows]
        widths = [max(len(title), *(len(row[at][1]) for row in escaped), 0) for at, title in enumerate(head)]
        titles = [("heading", title) for title in head]
        for row in [titles, *escaped]:
            cells = [
                self._styled(self.stdout, text, style) + " " * (width - len(text))
                for (style, text), width in zip(row, widths, strict=True)
            ]
            write(self.stdout, f"{GAP.join(cells).rstrip()}\n")

    def document(self, data: bytes) -> bool:
        """Write canonical JSON: byte for byte, except that a terminal is shown no control characters.

        Return whether anybody still reads.
        """
        text = data.decode()
        return write(self.stdout, f"{escape(text) if self.stdout.isatty() else text}\n")

    def ask(self, question: str) -> str | None:
        """Return what a person types, without its line ending; None where they type, or read, nothing more."""
        _forget_typed(self.stdin)
        if not write(self.stdout, question) or not self.stdout.isatty():
            return None  # Whoever reads has gone, perhaps before what the question is about was shown.
        answer = self.stdin.readline()
        return answer.removesuffix("\n") if answer else None

    def ask_secret(self, question: str) -> str | None:
        """Return what a person types without its being shown; None where they type, or read, nothing more.

        Not by `getpass`, which may ask another terminal than the one where this person reads.
        """
        if not self.stdout.isatty():
            return None
        with _unshown(self.stdin):
            answer = self.stdin.readline() if write(self.stdout, question) else ""
        write(self.stdout, "\n")
        return answer.removesuffix("\n") if answer else None

    def progress(self, text: str) -> None:
        """Show how far something is, in place of what was shown before; only where a person watches.

        It is one line, which is cut where the terminal is narrower: what is longer could not be replaced.
        """
        if self.stderr.isatty():
            width = shutil.get_terminal_size().columns - 1
            write(self.stderr, f"\r\x1b[K{text if len(text) <= width else f'{text[: width - 3]}...'}")

    def warn(self, text: str) -> None:
        """Show one line beside what a command answers."""
        self._put(self.stderr, escape(text), "warn")

    def problem(self, error: AeroError, *, acts: bool = True) -> None:
        """Show an error: its code, message, field and invariants, and whether anything was executed.

        Where the command only looks (`acts` is false) that is said only if it is not that nothing was.
        """
        self._put(self.stderr, escape(f"{error.code}: {error.message}"), "bad")
        if error.field:
            self._put(self.stderr, escape(f"  field       {error.field}"), "plain")
        if error.invariants:
            self._put(self.stderr, escape(f"  invariants  {', '.join(error.invariants)}"), "bad")
        if acts or error.executed != "not executed":
            self._put(self.stderr, f"  {EXECUTED[error.executed]}", "warn" if error.executed == "unknown" else "plain")
        if error.executed == "unknown" and error.request:
            self._put(self.stderr, escape(f"  Nothing is sent again. Ask: aerodb outcome {error.request}"), "warn")

    def _put(self, stream: TextIO, text: str, style: str) -> None:
        write(stream, f"{self._styled(stream, text, style)}\n")

    def _styled(self, stream: TextIO, text: str, style: str) -> str:
        return click.style(text, **STYLES[style]) if STYLES[style] and text.strip() and coloured(stream) else text


def _forget_typed(stream: TextIO) -> None:
    """Drop what was typed before the question was shown: nobody can have answered it yet."""
    try:
        termios.tcflush(stream.fileno(), termios.TCIFLUSH)
    except (OSError, ValueError, termios.error):
        return  # A test's own stream has no line discipline, and so nothing typed ahead.


@contextmanager
def _unshown(stream: TextIO) -> Iterator[None]:
    """Have a terminal not show what is typed; what was typed before is dropped, and nobody can have answered yet.

    Raises:
        termios.error: it cannot be had.
    """
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        yield  # A test's own stream, which shows nothing.
        return
    before = termios.tcgetattr(descriptor)
    quiet = [*before]
    quiet[_LOCAL_FLAGS] &= ~termios.ECHO
    termios.tcsetattr(descriptor, termios.TCSAFLUSH, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)


def coloured(stream: TextIO) -> bool:
    """Tell whether colour may be written to `stream`."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def escape(text: str) -> str:
    """Return `text` with control and bidirectional characters escaped."""
    from aerodb.views.render import shown

    return shown(text)
