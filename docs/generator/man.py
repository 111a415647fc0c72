"""Manual pages, one a command, from the same texts as the command line's own help.

They bear no date and no version: the same commands give the same bytes. The wheel puts them where `man` looks, beside the
program: `share/man/man1`.

Source: man(7) of groff and of mandoc.
"""

import re
import textwrap
from collections.abc import Iterator

import click

from aerodb.actions import catalogue
from aerodb.cli.commands import root
from aerodb.cli.help import ENVIRONMENT, EXIT_CODES, SECTIONS, action_names
from aerodb.cli.session import Session

Path = tuple[str, ...]
"""A command's words, the program's name first."""


def escaped(text: str) -> str:
    """Return a text as roff shows it: no character of it means anything, and a line of it begins no request."""
    plain = text.replace("\\", "\\e").replace("-", "\\-")
    plain = re.sub(r"^(?=[.'])", r"\\&", plain, flags=re.MULTILINE)
    return "".join(char if char.isascii() else f"\\[u{ord(char):04X}]" for char in plain)


def commands() -> Iterator[tuple[Path, click.Context]]:
    """Yield every command and group with the context that its help is made in, each group before what is in it."""
    yield from _within(("aerodb",), root(), None)


def _within(path: Path, command: click.Command, parent: click.Context | None) -> Iterator[tuple[Path, click.Context]]:
    context = command.make_context(path[-1], [], parent=parent, resilient_parsing=True, obj=Session())
    yield path, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None and not found.hidden:
                yield from _within((*path, name), found, context)


def _summary(path: Path, context: click.Context) -> str:
    """Return what a command is for, in one line, without a full stop."""
    if len(path) == 1:
        return "PostgreSQL clusters that change only when a person says so"
    summaries = {name: text for section in SECTIONS.values() for name, (_, text) in section.items()}
    known = {**{name.replace("_", "-"): each.summary for name, each in catalogue().items()}, **summaries}
    text = known.get(path[1], "") if len(path) == 2 else context.command.get_short_help_str(limit=300)
    return " ".join(text.split()).rstrip(".")


def _options(context: click.Context) -> Iterator[str]:
    """Yield the lines that say a command's options."""
    records = (parameter.get_help_record(context) for parameter in context.command.get_params(context))
    for names, said in (each for each in records if each and each[1]):
        yield f".TP\n\\fB{escaped(names)}\\fR\n{escaped(' '.join(said.split()))}"


def _described(text: str) -> str:
    """Return a help text as paragraphs."""
    paragraphs = re.split(r"\n\s*\n", textwrap.dedent(text.replace("\b", "").replace("\f", "")).strip())
    return "\n.PP\n".join(escaped(" ".join(paragraph.split())) for paragraph in paragraphs if paragraph.strip())


def _listed(path: Path, context: click.Context) -> Iterator[str]:
    """Yield the lines that say what a group holds."""
    command = context.command
    if not isinstance(command, click.Group):
        return
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        if inner is not None and not inner.hidden:
            said = _summary((*path, name), click.Context(inner, info_name=name, parent=context))
            yield f".TP\n\\fB{escaped('-'.join((*path, name)))}\\fR(1)\n{escaped(said)}."


def _beside(path: Path) -> str:
    """Return the pages that a page leads to."""
    above = ["-".join(path[:at]) for at in range(1, len(path))]
    others = above if len(path) > 1 else ["aerodb-status", "aerodb-catalogue"]
    return ", ".join(f"\\fB{escaped(each)}\\fR(1)" for each in others)


def page(path: Path, context: click.Context) -> str:
    """Return the manual page of one command."""
    usage = " ".join(context.command.collect_usage_pieces(context))
    parts = [
        f'.TH "{escaped("-".join(path)).upper()}" 1 "" "AeroDB" "AeroDB"',
        f".SH NAME\n{escaped('-'.join(path))} \\- {escaped(_summary(path, context))}",
        f".SH SYNOPSIS\n\\fB{escaped(' '.join(path))}\\fR {escaped(usage)}",
    ]
    described = [_described(text) for text in (context.command.help or _overview(path), context.command.epilog) if text]
    parts += [".SH DESCRIPTION\n" + "\n.PP\n".join(described)] if described else []
    options, listed = list(_options(context)), list(_listed(path, context))
    parts += [".SH OPTIONS\n" + "\n".join(options)] if options else []
    parts += [".SH COMMANDS\n" + "\n".join(listed)] if listed else []
    if len(path) == 1:
        codes = (f".TP\n\\fB{code}\\fR\n{escaped(said)}" for code, said in EXIT_CODES.items())
        parts.append(".SH EXIT STATUS\n" + "\n".join(codes))
        variables = (f".TP\n\\fB{name}\\fR\n{escaped(said)}" for name, said in ENVIRONMENT.items())
        parts.append(".SH ENVIRONMENT\n" + "\n".join(variables))
    return "\n".join([*parts, f".SH SEE ALSO\n{_beside(path)}", ""])


def _overview(path: Path) -> str:
    if len(path) > 1:
        return ""
    return (
        "Every action is explained first, signed by you, logged, and judged again by the node that runs it. "
        f"The actions are {', '.join(action_names())}; each needs a terminal, a reason, and your signature."
    )


def pages() -> dict[str, str]:
    """Return every manual page by its path in docs/."""
    return {f"man/{'-'.join(path)}.1": page(path, context) for path, context in commands()}
