"""All commands as one group, each imported when it is asked for; and the run of one, whose every error is shown."""

from collections.abc import Sequence
from importlib import import_module

import click

from aerodb.cli.failures import OK, REJECTED, USAGE, ProgramFailed, Stopped, exit_code
from aerodb.cli.groups import LazyGroup
from aerodb.cli.help import COMMANDS, TYPED, action_names, help_text, version_text
from aerodb.cli.session import Session, profile_option
from aerodb.errors import AeroError


class Root(LazyGroup):
    """The group of all commands; each is imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        del ctx
        return [*COMMANDS, *action_names()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command called `cmd_name`, or None."""
        del ctx
        modules = {**COMMANDS, **TYPED}
        if cmd_name in modules:
            module = import_module(f"aerodb.cli.{modules[cmd_name]}")
            command: click.Command = getattr(module, cmd_name.replace("-", "_"))
            return command
        if cmd_name in action_names():
            from aerodb.cli.act import action_command

            return action_command(cmd_name)
        return None

    def get_help(self, ctx: click.Context) -> str:
        """Return the help, which is one text however it is asked for."""
        del ctx
        return help_text()


def root() -> click.Group:
    """Return the group of all commands."""
    settings = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
    return Root("aerodb", context_settings=settings, params=[profile_option(), version_option()])


def version_option() -> click.Option:
    """Return the option that says which version this is, and does no more."""

    def said(context: click.Context, _parameter: click.Parameter, value: object) -> None:
        if value and not context.resilient_parsing:
            context.ensure_object(Session).terminal.line(version_text())
            context.exit(OK)

    return click.Option(["--version"], is_flag=True, is_eager=True, expose_value=False, callback=said,
                        help="Show the version.")  # fmt: skip


def run(arguments: Sequence[str], session: Session) -> int:
    """Run one command and return its exit code; every error is shown, and none is a stack trace."""
    try:
        code = root().main(list(arguments), prog_name="aerodb", standalone_mode=False, obj=session)
    except click.ClickException as error:
        error.show(session.terminal.stderr)
        return USAGE
    except (click.Abort, KeyboardInterrupt):
        session.terminal.problem(Stopped("stopped by hand"), acts=session.acts)
        return REJECTED
    except AeroError as error:
        session.terminal.problem(error, acts=session.acts)
        return exit_code(error)
    except Exception as error:  # noqa: BLE001 - the last resort: a person is shown a sentence, never a stack trace.
        return _failed(session, error)
    return code if isinstance(code, int) else 0


def _failed(session: Session, error: Exception) -> int:
    failure = ProgramFailed(f"{type(error).__name__}: {error}")
    session.terminal.problem(failure, acts=session.acts)
    return exit_code(failure)
