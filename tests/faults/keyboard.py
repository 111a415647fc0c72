"""A person at a terminal: the real command line on a pseudo-terminal, answered when it asks."""

import os
import pty
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

QUESTION = b"type the node's name"
AERODB = (sys.executable, "-m", "aerodb")


def typed(
    profile: Path,
    arguments: list[str],
    answer: str,
    environment: Mapping[str, str] = os.environ,
    program: Sequence[str | Path] = AERODB,
) -> str:
    """Run `aerodb` with these arguments, type `answer` when the node's name is asked for, return all that it shows."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*program, "--profile", str(profile), *arguments],
        stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    shown, answered = b"", False
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # On Linux, that is how a pseudo-terminal says that its other side is gone.
            part = b""
        if not part:
            break
        shown += part
        if QUESTION in shown and not answered:
            answered = True
            os.write(ours, answer.encode() + b"\n")
    os.close(ours)
    assert process.wait(60) == 0, shown.decode(errors="replace")
    return shown.decode()
