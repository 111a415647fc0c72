"""Changing who may act: the next version of the configuration, made on the primary, and taken by each other node."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace

from aerodb.actions import action_named
from aerodb.cli.act import act, person_profile
from aerodb.cli.authenticators import PATH
from aerodb.cli.chained import shown_chain
from aerodb.cli.failures import OK
from aerodb.cli.keyfile import KEY_FILE, line_in
from aerodb.cli.session import READ_TIMEOUT_SECONDS, ClientCommand, Session, read
from aerodb.cli.taking import show_untaken
from aerodb.protocol import api
from aerodb.protocol.change import VersionStep, step_text
from aerodb.protocol.classes import ActionClass
from aerodb.protocol.cluster import Role
from aerodb.protocol.credentials import AuthenticatorList
from aerodb.views.changing import (
    KINDS,
    ChangeUnclear,
    KindOfChange,
    Wanted,
    kind_called,
    kind_of,
    silent_text,
    step_at,
    version_taken,
)
from aerodb.views.observed import Observed, observe


def _help(kind: KindOfChange) -> str:
    needs = [f"--{part}" for part in kind.needs if part != "name"]
    goes = [*needs, *(f"--{part} where there is one" for part in kind.may if part != "of")]
    classes = f": {', '.join(ActionClass)}" if kind.named == "CLASS" else ""
    return f"{kind.summary}{classes}{'; with ' if goes else ''}{', and '.join(goes)}."


def kind_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add one option a kind of change: it takes the name that the kind is of, or is a flag where that has none."""
    for name, kind in reversed(KINDS.items()):
        if "name" in kind.needs:
            command = click.option(f"--{name}", metavar=kind.named, help=_help(kind))(command)
        else:
            command = click.option(f"--{name}", is_flag=True, help=_help(kind))(command)
    return command


def wanted_by(typed: Mapping[str, Any], key: Path | None) -> Wanted:
    """Return the one change that the options name, with what goes with it.

    Raises:
        ChangeUnclear: they name none, or several, or what does not go together.
        FileUnusable: the key's file cannot be read.
    """
    named = {kind: typed[kind.replace("-", "_")] for kind in KINDS}
    found = [kind for kind, value in named.items() if value not in (None, False)]
    if len(found) != 1:
        raise ChangeUnclear(f"name exactly one of {', '.join(f'--{kind}' for kind in KINDS)}", field="change")
    kind, name = found[0], named[found[0]]
    wanted = Wanted(
        kind=kind,
        name=name if isinstance(name, str) else "",
        role=typed["role"] or "",
        key=line_in(key) if key is not None else "",
        of=typed["of"] or "",
    )
    kind_of(wanted)
    return wanted


@click.command(cls=ClientCommand)
@click.argument("node", metavar="NODE")
@kind_options
@click.option("--role", type=click.Choice([str(role) for role in Role]), help="The person's role.")
@click.option("--key", type=KEY_FILE, help="A file with the person's SSH public key.")
@click.option("--of", metavar="NAME", help="Whose authenticator it is; yours by default.")
@click.option("--reason", required=True, metavar="TEXT", help="Why, in your words; it is recorded.")
@click.option("--ssh-agent", is_flag=True, help="Sign by the ssh-agent, even where a key file is.")
@click.pass_obj
def configure(
    session: Session, /, node: str, reason: str, *, key: Path | None, ssh_agent: bool, **typed: object
) -> int:
    """Change who may act, and by which keys: one version on one node, the primary first.

    The primary makes the version by any option but --take; each other node takes it by --take. Until a node has taken a
    revocation, it does not hold there. See: aerodb configuration
    """
    wanted = wanted_by(typed, key)
    profile = person_profile(session)
    profile.cluster.member(node)
    caller = session.connect(profile, READ_TIMEOUT_SECONDS)
    observed = observe(profile.cluster, read(caller.get("/v1/status"), api.Status))
    facts = observed.facts.get(node)
    if facts is None:
        raise ChangeUnclear(silent_text(node), field="node")
    chain = shown_chain(profile, caller)[0]
    if "of" in kind_called(wanted.kind).may:
        listed = read(caller.get(PATH), AuthenticatorList).authenticators
        wanted = replace(wanted, of=wanted.of or profile.operator, registered=listed)
    step = step_at(chain, version_taken(chain, facts), wanted)
    return ask_step(session, observed, node, step, reason, by_agent=ssh_agent)


def ask_step(
    session: Session, observed: Observed, node: str, step: VersionStep, reason: str, *, by_agent: bool
) -> int:  # fmt: skip
    """Ask for a step on a node, and say who has to take it then, by what nodes report.

    Returns the exit code, as `act` does, and raises what it does.
    """
    code = act(session, action_named("configure"), node, {"change": step_text(step)}, reason, by_agent=by_agent)
    if code == OK:
        show_untaken(session, observed, node, step.version)
    return code
