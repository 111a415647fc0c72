"""What the actions are, from the catalogue itself; and who the control plane takes one for."""

from difflib import get_close_matches
from typing import Any

import click
import msgspec

from aerodb import actions
from aerodb.cli.failures import OK
from aerodb.cli.session import ClientCommand, Session, json_option, read
from aerodb.cli.terminal import Terminal
from aerodb.protocol import canonical
from aerodb.protocol.classes import MEANINGS
from aerodb.rules.arguments import KINDS, Argument
from aerodb.rules.invariants import STABILITY, STATEMENTS, Invariant
from aerodb.rules.specification import Action
from aerodb.views.invariants import DIFFERENT, JUDGED, relied_on_by
from aerodb.views.render import wrapped
from aerodb.views.sheet import EFFECTS, IRREVERSIBLE

INVARIANTS: dict[str | None, Invariant] = {each.value: each for each in STATEMENTS}
"""The invariants by their names."""


def _names() -> list[str]:
    return [*actions.catalogue(), *(each.value for each in STATEMENTS)]


def _completed(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    del ctx, param
    return [name for name in _names() if name.startswith(incomplete)]


def _action(name: str) -> Action:
    """Return the action of a name.

    Raises:
        ActionUnknown: it is neither an action's nor an invariant's; what is nearly it is named.
    """
    found = actions.catalogue().get(name)
    if found is not None:
        return found
    near = get_close_matches(name, _names())
    meant = f"did you mean {' or '.join(near)}?" if near else "aerodb catalogue lists the actions"
    raise actions.ActionUnknown(f"neither an action nor an invariant is called {name!r}: {meant}", field="name")


class Whoami(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The answer to GET /v1/whoami."""

    operator: str
    role: str


@click.command()
@click.argument("name", metavar="[ACTION | INVARIANT]", required=False, shell_complete=_completed)
@json_option
@click.pass_obj
def catalogue(session: Session, name: str | None, *, as_json: bool) -> int:
    """List the actions, or explain one: its invariants, its commit point, and how it can fail.

    Given the name of an invariant, as plans show it, say what it demands, and which actions rely on it.
    """
    if name in INVARIANTS:
        return _show_invariant(session.terminal, INVARIANTS[name], as_json=as_json)
    chosen = [_action(name)] if name else list(actions.catalogue().values())
    if as_json:
        session.terminal.document(canonical.encode([document(each) for each in chosen]))
    elif name:
        show_action(session.terminal, chosen[0])
    else:
        _list(session.terminal, chosen)
    return OK


NAME_COLUMNS = 14


def _list(terminal: Terminal, chosen: list[Action]) -> None:
    """Show what each action does, and what else can be explained."""
    terminal.line(f"{'ACTION':<{NAME_COLUMNS}}WHAT IT DOES", "heading")
    for each in chosen:
        for line in wrapped(each.summary, NAME_COLUMNS, f"{each.name:<{NAME_COLUMNS}}"):
            terminal.line(line)
    terminal.line("")
    terminal.line("One of them, whole: aerodb catalogue ACTION. What an invariant demands:")
    terminal.line("aerodb catalogue INVARIANT, which is one of:", "heading")
    for line in wrapped(", ".join(str(each) for each in INVARIANTS), 2):
        terminal.line(line)


def document(action: Action) -> dict[str, Any]:
    """Return an action as plain values."""
    return {
        "name": action.name,
        "summary": action.summary,
        "target": action.target,
        "arguments": [
            {"name": each.name, "option": each.option, "help": each.help, "kind": each.kind, "form": each.form}
            for each in action.arguments
        ],
        "authority": str(action.authority),
        "class": str(action.of_class),
        "invariants": [str(invariant) for invariant in action.invariants],
        "effects": action.effects,
        "irreversible": action.irreversible,
        "outage": action.outage,
        "commit_point": action.commit_point,
        "failures": [{"when": each.when, "leaves": each.leaves, "then": each.then} for each in action.failures],
    }


def _show_invariant(terminal: Terminal, invariant: Invariant, *, as_json: bool) -> int:
    title, statement = STATEMENTS[invariant]
    by = relied_on_by(invariant)
    if as_json:
        said = {"name": str(invariant), "title": title, "statement": statement, "stability": STABILITY[invariant]}
        terminal.document(canonical.encode({**said, "actions": by}))
        return OK
    sentences = {
        str(invariant): statement,
        "HOLDS WHERE": DIFFERENT[invariant],
        "JUDGED": JUDGED[STABILITY[invariant]],
        "RELIED ON BY": ", ".join(by),
    }
    for heading, text in sentences.items():
        terminal.line(heading, "heading")
        for part in wrapped(text, 4, "    "):
            terminal.line(part)
    return OK


def usage(action: Action) -> str:
    """Return how an action is typed."""
    words = [(each, f"{each.option} {each.typed}") for each in action.arguments]
    options = [f"[{said}]" if each.optional else said for each, said in words]
    return " ".join(["aerodb", action.name, "NODE", *options, "--reason TEXT"])


def _meaning(argument: Argument) -> str:
    """Return what an argument is; of one that the command completes, what it is for."""
    return argument.help if argument.typed != argument.form else KINDS[argument.kind].meaning


def show_action(terminal: Terminal, action: Action) -> None:
    """Show everything that the catalogue says of an action."""
    terminal.line(usage(action), "heading")
    sentences = {
        "": (action.summary,),
        "NODE": (action.target,),
        **{each.typed: (f"{each.option}: {_meaning(each)}",) for each in action.arguments},
        EFFECTS: action.effects,
        IRREVERSIBLE: action.irreversible,
        "OUTAGE": (action.outage,),
        "COMMIT POINT": (action.commit_point,),
        "CLASS": (f"{action.of_class}: {MEANINGS[action.of_class]}",),
        "INVARIANTS": tuple(f"{each}: {STATEMENTS[each][1]}" for each in action.invariants),
        "HOW IT CAN FAIL": tuple(f"{each.when} {each.leaves} {each.then}" for each in action.failures),
    }
    for title, texts in sentences.items():
        if title and texts:
            terminal.line(title, "heading")
        for text in texts:
            for part in wrapped(text, 4, "  - " if len(texts) > 1 else "    "):
                terminal.line(part)


@click.command(cls=ClientCommand)
@json_option
@click.pass_obj
def whoami(session: Session, *, as_json: bool) -> int:
    """Show who the control plane takes you for, and your role."""
    body = session.get("/v1/whoami")
    answer = read(body, Whoami)
    if as_json:
        session.terminal.document(body)
    else:
        session.terminal.table(("PERSON", "ROLE"), [(("heading", answer.operator), ("plain", answer.role))])
    return OK
