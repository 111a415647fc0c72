"""`aerodb`: the command line's entry point. Help and version are answered here, before anything else is imported.

Nearly all of the first moments are imports: who stops the command by hand then reads a sentence, too.
"""

import io
import os
import sys
from collections.abc import Callable

STOPPED = 1


def main() -> None:
    """Run the command line and exit."""
    said = "stopped by hand, before anything was begun"
    try:
        command = _prepared(sys.argv[1:])
        said = "stopped by hand"  # From here on something may have been sent.
        code = command()
    except KeyboardInterrupt:
        sys.stderr.write(f"input.stopped: {said}\n")
        code = STOPPED
    sys.exit(code)


def _prepared(words: list[str]) -> Callable[[], int]:
    """Return what runs the command, with all that it needs imported."""
    from aerodb.cli.help import COMPLETE_VARIABLE, help_text, version_text

    if words in ([], ["-h"], ["--help"], ["--version"]) and COMPLETE_VARIABLE not in os.environ:
        from aerodb.cli.streams import write

        write(sys.stdout, (version_text() if words == ["--version"] else help_text()) + "\n")
        return lambda: 0 if words else 2
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # A document is UTF-8; on a terminal a locale must not hide a plan.
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="backslashreplace")
    from aerodb import private
    from aerodb.cli.commands import run
    from aerodb.cli.session import Session

    private.begin()
    return lambda: run(words, Session())
