"""`aerodb`: the command line's entry point. Help and version are answered here, before anything else is imported."""

import io
import os
import sys

from aerodb.cli.help import COMPLETE_VARIABLE, help_text, version_text


def main() -> None:
    """Run the command line and exit."""
    words = sys.argv[1:]
    if words in ([], ["-h"], ["--help"], ["--version"]) and COMPLETE_VARIABLE not in os.environ:
        sys.stdout.write((version_text() if words == ["--version"] else help_text()) + "\n")
        sys.exit(0 if words else 2)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # A document is UTF-8; on a terminal a locale must not hide a plan.
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="backslashreplace")
    from aerodb import private
    from aerodb.cli.commands import run
    from aerodb.cli.session import Session

    private.begin()
    sys.exit(run(words, Session()))
