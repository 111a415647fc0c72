"""Drives the command line in a real pseudo-terminal as a person would: reads the plan, types the name asked for."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from aerodb.local.program import itself

PROMPT = re.compile(r"type (?:the node's|the cluster's|its short) name \((\S+)\): $")
PASSPHRASE = re.compile(r"(?:Passphrase of|New passphrase of|The same passphrase again)[^\n]*: $")
REQUEST = re.compile(r"^\s*request\s+([0-9a-f-]{36})", re.MULTILINE)
STYLE = re.compile(r"\x1b\[[0-9;]*m")


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What one command printed, without colours, and its exit code."""

    code: int
    text: str

    @property
    def request(self) -> str:
        """Return the id of the request that the command made; empty if it made none."""
        found = REQUEST.search(self.text)
        return found[1] if found else ""


class Person:
    """One person at a terminal; `show` is called with everything that they see."""

    def __init__(
        self,
        profile: Path,
        show: Callable[[str], None],
        *,
        colour: bool = True,
        size: tuple[int, int] = (50, 110),
        program: Sequence[str] = (),
        passphrase: str = "",
    ) -> None:
        """Use the person's `profile`; the terminal has so many rows and columns. `program` runs AeroDB, if not this.

        `passphrase` is what they type wherever one is asked for.
        """
        self._passphrase = passphrase
        self._size, self._program = size, program or itself()
        self._environment = {**os.environ, "AERODB_PROFILE": str(profile.resolve()), "TERM": "xterm-256color"}
        if not colour:
            self._environment["NO_COLOR"] = "1"
        self._show = show

    def types(self, *arguments: str, answer: str | None = None, reads_seconds: float = 0.0) -> Said:
        """Run one command; confirm by typing the name that is asked for, or `answer` if given, once it was read."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *self._size, 0, 0))
        process = subprocess.Popen(
            [*self._program, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=self._environment,
            start_new_session=True,
        )
        os.close(theirs)
        try:
            text = self._converse(ours, answer, reads_seconds)
        finally:
            os.close(ours)
        return Said(code=process.wait(), text=STYLE.sub("", text).replace("\r\n", "\n"))

    def _converse(self, terminal: int, answer: str | None, reads_seconds: float) -> str:
        text, answered, typed = "", False, 0
        while True:
            try:
                data = os.read(terminal, 65536).decode(errors="replace")
            except OSError:  # The command has closed its side.
                return text
            if not data:
                return text
            text += data
            self._show(data.replace("\r\n", "\n"))
            if PASSPHRASE.search(text, typed):
                typed = len(text)
                os.write(terminal, f"{self._passphrase}\n".encode())
            asked = PROMPT.search(STYLE.sub("", text))
            if asked and not answered:
                answered = True
                time.sleep(reads_seconds)
                os.write(terminal, f"{asked[1] if answer is None else answer}\n".encode())
