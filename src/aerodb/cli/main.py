"""`aerodb`: the command line's entry point. Help is answered here, before anything else is imported."""

import io
import sys


def main() -> None:
    """Run the command line and exit."""
    if sys.argv[1:] in ([], ["-h"], ["--help"]):
        from aerodb.cli.help import help_text

        sys.stdout.write(help_text() + "\n")
        sys.exit(0 if sys.argv[1:] else 2)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # A document is UTF-8; on a terminal a locale must not hide a plan.
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="backslashreplace")
    from aerodb import private
    from aerodb.cli.commands import run
    from aerodb.cli.session import Session

    private.begin()
    sys.exit(run(sys.argv[1:], Session()))
