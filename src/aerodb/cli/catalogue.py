"""What the actions are, from the catalogue itself; and who the control plane takes one for."""

from typing import Any

import click
import msgspec

from aerodb import actions
from aerodb.cli.failures import OK
from aerodb.cli.session import ClientCommand, Session, json_option, read
from aerodb.cli.terminal import Terminal
from aerodb.protocol import canonical
from aerodb.protocol.classes import MEANINGS
from aerodb.rules.arguments import KINDS
from aerodb.rules.invariants import STATEMENTS
from aerodb.rules.specification import Action
from aerodb.views.render import EFFECTS, IRREVERSIBLE, wrapped


class Whoami(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The answer to GET /v1/whoami."""

    operator: str
    role: str


@click.command()
@click.argument("action", required=False)
@json_option
@click.pass_obj
def catalogue(session: Session, action: str | None, *, as_json: bool) -> int:
    """List the actions, or explain one: its invariants, its commit point, and how it can fail."""
    chosen = [actions.action_named(action)] if action else list(actions.catalogue().values())
    if as_json:
        session.terminal.document(canonical.encode([document(each) for each in chosen]))
    elif action:
        show_action(session.terminal, chosen[0])
    else:
        rows = [(("heading", each.name), ("plain", each.summary)) for each in chosen]
        session.terminal.table(("ACTION", "WHAT IT DOES"), rows)
    return OK


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


def usage(action: Action) -> str:
    """Return how an action is typed."""
    options = [f"{each.option} {each.form}" for each in action.arguments]
    return " ".join(["aerodb", action.name, "NODE", *options, "--reason TEXT"])


def show_action(terminal: Terminal, action: Action) -> None:
    """Show everything that the catalogue says of an action."""
    terminal.line(usage(action), "heading")
    sentences = {
        "": (action.summary,),
        "NODE": (action.target,),
        **{each.form: (f"{each.option}: {KINDS[each.kind].meaning}",) for each in action.arguments},
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
