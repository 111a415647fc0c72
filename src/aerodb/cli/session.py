"""One run of the command line: its terminal, its profile, how it reaches the control plane, how it signs.

The parts that reach outside are fields, so that a test puts its own in their place.
"""

import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from aerodb.cli.terminal import Terminal, escape

if TYPE_CHECKING:
    from aerodb.cli.profile import Caller, Profile  # Only annotated here: `aerodb --help` needs none of it.

PROFILE_VARIABLE = "AERODB_PROFILE"
PROFILE_DEFAULT = Path("aerodb-cluster") / "operator"
READ_TIMEOUT_SECONDS = 60.0
SEARCH_BEHIND = "control.search-behind"
SEARCHES_MAX = 100
"""How often a search is put while the index is built: far more often than any log needs."""

T = TypeVar("T")
Connect = Callable[["Profile", float], "Caller"]


def _connect(profile: "Profile", timeout_seconds: float) -> "Caller":
    from aerodb.cli.profile import connect

    return connect(profile, timeout_seconds)


@dataclass
class Session:
    """What a command works with.

    `folder` is the profile folder that the command line named, if it did. `acts` says that the command may have
    something executed, so that an error must say whether it did.
    """

    terminal: Terminal = field(default_factory=Terminal)
    connect: Connect = _connect
    folder: Path | None = None
    acts: bool = False

    def profile(self) -> "Profile":
        """Return the person's profile.

        Raises:
            ProfileUnusable: a file is missing or malformed.
        """
        from aerodb.cli.profile import read_profile

        return read_profile(self.folder or Path(os.environ.get(PROFILE_VARIABLE) or PROFILE_DEFAULT))

    def get(self, path: str) -> bytes:
        """Return the control plane's answer to a GET.

        Raises:
            ProfileUnusable, Unreachable, Interrupted, AnswerMalformed, Refused: there is none.
        """
        return self.connect(self.profile(), READ_TIMEOUT_SECONDS).get(path)

    def search(self, path: str, caller: "Caller | None" = None) -> bytes:
        """Return the answer to a GET that searches the log.

        While the control plane still builds its index it says how far it is, and each question carries that on: so the
        question is put again, and a person sees the progress. It is put to `caller`, where there is one already.

        Raises:
            ProfileUnusable, Unreachable, Interrupted, AnswerMalformed, Refused: there is no answer.
        """
        from aerodb.transport.errors import Refused

        caller = caller or self.connect(self.profile(), READ_TIMEOUT_SECONDS)
        for _ in range(SEARCHES_MAX):
            try:
                answer = caller.get(path)
            except Refused as error:
                if error.code != SEARCH_BEHIND:
                    raise
                self.terminal.progress(escape(error.message))
            else:
                self.terminal.progress("")
                return answer
        return caller.get(path)


def read(body: bytes, kind: type[T]) -> T:
    """Return the document that an answer holds.

    Raises:
        AnswerMalformed: it is not one.
    """
    from aerodb.transport.problem import read_answer

    return read_answer(body, kind)


def _named(context: click.Context, _parameter: click.Parameter, value: Path | None) -> None:
    if value is not None:
        context.ensure_object(Session).folder = value


class ClientCommand(click.Command):
    """A command that asks the control plane: it takes --profile, and is one trace, however often it asks."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """Add the option to the command's own."""
        super().__init__(*args, **options)
        self.params.append(profile_option())

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command inside a span, where somebody collects them."""
        from aerodb import tracing

        failure = tracing.configure("aerodb-cli", "", str(uuid.uuid4()))
        if failure:
            ctx.ensure_object(Session).terminal.warn(f"No trace is made: {failure}.")
        try:
            with tracing.span(ctx.command_path):
                return super().invoke(ctx)
        finally:
            tracing.finish()


def profile_option() -> click.Option:
    """Return the option that names the profile folder."""
    return click.Option(
        ["--profile"],
        type=click.Path(file_okay=False, path_type=Path),
        help=f"The profile folder.  [env: {PROFILE_VARIABLE}; default: ./{PROFILE_DEFAULT}]",
        expose_value=False,
        callback=_named,
    )


def json_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --json to a command."""
    return click.option("--json", "as_json", is_flag=True, help="The API's answer as canonical JSON.")(function)


def full_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --full to a command that shows a plan."""
    help_text = "Whole: every invariant that holds with its evidence, every field, digests and records."
    return click.option("--full", is_flag=True, help=help_text)(function)
