"""`aerodb`: the command line's entry point.

Every command is imported when it is asked for, so that help is fast. One action of the catalogue is one command; the
catalogue's names are its files' names, so that listing them imports none of it.
"""

import errno
import io
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import click

from aerodb.cli.failures import REJECTED, USAGE, CommandFailed, Stopped, exit_code
from aerodb.cli.session import Session, profile_option
from aerodb.errors import AeroError

SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Look": {
        "status": ("look", "The cluster as it is now, and which actions would be accepted."),
        "explain": ("explain", "What an action would do; nothing is asked for or recorded."),
        "requests": ("requests", "The requests so far."),
        "show": ("requests", "One request: its plan, its records and their proofs."),
        "catalogue": ("catalogue", "What the actions are, and how each can fail."),
        "whoami": ("catalogue", "Who the control plane takes you for."),
    },
    "Prove": {
        "outcome": ("outcome", "Ask what became of a request."),
        "audit": ("audit", "List, export, verify and replay the audit log."),
    },
    "Run": {
        "up": ("daemons", "A whole cluster on this machine."),
        "demo": ("daemons", "A switchover, a failover and their proofs, on a cluster of its own."),
        "init": ("daemons", "The folders, keys and configuration of a new cluster."),
        "agent": ("daemons", "The agent of one node."),
        "serve": ("daemons", "The control plane."),
    },
}
COMMANDS = {name: entry for section in SECTIONS.values() for name, entry in section.items()}

HELP = """PostgreSQL clusters that change only when a person says so.

Every action is explained first, signed by you, logged, and judged again by the node that runs it."""

EPILOG = """\b
Exit codes:
  0  done, or executed
  1  rejected, or not executed
  2  usage or input
  3  unknown: ask with `aerodb outcome REQUEST`; nothing is ever sent again by itself
  4  transport
  5  not a terminal
  6  verification failed"""


def action_names() -> list[str]:
    """Return the names of the catalogue's actions without importing it."""
    spec = find_spec("aerodb.actions")
    folders = spec.submodule_search_locations if spec else None
    return sorted(path.stem for folder in folders or () for path in Path(folder).glob("[a-z]*.py"))


class Root(click.Group):
    """The group of all commands; each is imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        del ctx
        return [*COMMANDS, *action_names()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command called `cmd_name`, or None."""
        del ctx
        if cmd_name in COMMANDS:
            command: click.Command = getattr(import_module(f"aerodb.cli.{COMMANDS[cmd_name][0]}"), cmd_name)
            return command
        if cmd_name in action_names():
            from aerodb.cli.act import action_command

            return action_command(cmd_name)
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by what they are for; nothing is imported for it."""
        del ctx
        for title, entries in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, summary) for name, (_, summary) in entries.items()])
        with formatter.section("Act (each needs a terminal, a reason, and your signature)"):
            formatter.write_text(", ".join(action_names()))


def root() -> click.Group:
    """Return the group of all commands."""
    settings = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
    return Root("aerodb", help=HELP, epilog=EPILOG, context_settings=settings, params=[profile_option()])


def run(arguments: Sequence[str], session: Session) -> int:
    """Run one command and return its exit code; every error is shown, and none is a stack trace."""
    try:
        code = root().main(list(arguments), prog_name="aerodb", standalone_mode=False, obj=session)
    except click.ClickException as error:
        error.show(session.terminal.stderr)
        return USAGE
    except (click.Abort, KeyboardInterrupt):
        session.terminal.problem(Stopped("stopped by hand"))
        return REJECTED
    except AeroError as error:
        session.terminal.problem(error)
        return exit_code(error)
    except OSError as error:
        if error.errno == errno.EPIPE:  # Whoever read the output has had enough, as `head` does.
            return REJECTED
        return _failed(session, error)
    except Exception as error:  # noqa: BLE001 - the last resort: a person is shown a sentence, never a stack trace.
        return _failed(session, error)
    return code if isinstance(code, int) else 0


def _failed(session: Session, error: Exception) -> int:
    failure = CommandFailed(f"{type(error).__name__}: {error}")
    session.terminal.problem(failure)
    return exit_code(failure)


def main() -> None:
    """Run the command line and exit."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # A document is UTF-8; on a terminal a locale must not hide a plan.
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="backslashreplace")
    sys.exit(run(sys.argv[1:], Session()))
