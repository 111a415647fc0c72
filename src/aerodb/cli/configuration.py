"""The chain of configurations: each change with who made it and why, who may act now, and which node has taken what."""

import click

from aerodb.audit.makers import maker_by
from aerodb.audit.record import decode_record
from aerodb.cli.chained import shown_chain
from aerodb.cli.failures import OK, UNVERIFIED
from aerodb.cli.session import READ_TIMEOUT_SECONDS, ClientCommand, Session, json_option, read
from aerodb.cli.terminal import Terminal, escape
from aerodb.protocol import api, canonical
from aerodb.views.observed import observe
from aerodb.views.versions import ASKING_NONE, FOUNDING_SAID, ChainShown, chain_shown, maker_text, person_text


@click.command(cls=ClientCommand)
@json_option
@click.pass_obj
def configuration(session: Session, *, as_json: bool) -> int:
    """Show the chain of configurations, who may act, and which node has taken which version.

    Every version is verified here, from the profile's cluster.json on.
    """
    profile = session.profile()
    caller = session.connect(profile, READ_TIMEOUT_SECONDS)
    chain, answer = shown_chain(profile, caller)
    if as_json:
        session.terminal.document(canonical.encode(answer))
        return OK
    observed = observe(profile.cluster, read(caller.get("/v1/status"), api.Status))
    makers = [maker_by(decode_record(each.record.encode())) for each in answer.envelopes]
    shown = chain_shown(chain, makers, observed)
    show_versions(session.terminal, shown)
    show_people(session.terminal, shown)
    show_asking(session.terminal, shown)
    return OK if show_taken(session.terminal, shown) else UNVERIFIED


def show_versions(terminal: Terminal, shown: ChainShown) -> None:
    """Show each version: what it changed, who signed that, when and why."""
    terminal.line("Versions", "heading")
    terminal.line(f"  1  {shown.founding}: {FOUNDING_SAID}")
    for line in shown.words:
        terminal.line(f"     {line}", "dim")
    for each in shown.versions:
        terminal.line(escape(f"  {each.version}  {each.said}"))
        terminal.line(escape(f"     {maker_text(each.maker)}"), "dim")


def show_people(terminal: Terminal, shown: ChainShown) -> None:
    """Show everybody who is or was enrolled."""
    terminal.line("People", "heading")
    for person in shown.people:
        terminal.line(escape(f"  {person.name:<16}{person_text(person)}"), "dim" if person.revoked else "plain")
        for text, good in person.authenticators:
            terminal.line(escape(f"  {'':<16}{text}"), "plain" if good else "dim")


def show_asking(terminal: Terminal, shown: ChainShown) -> None:
    """Show for which actions a second person is asked."""
    terminal.line("Second person", "heading")
    for action, of_class in shown.asking:
        terminal.line(escape(f"  {action:<16}of the class {of_class}"))
    if not shown.asking:
        terminal.line(f"  {ASKING_NONE}", "dim")


def show_taken(terminal: Terminal, shown: ChainShown) -> bool:
    """Show which version each node has taken, as it signed its report; return whether all are on this chain."""
    terminal.line("Taken", "heading")
    for name, (style, text) in shown.taken:
        terminal.line(escape(f"  {name:<16}{text}"), style)
    for sentence in shown.unheld:
        terminal.line(escape(f"  {sentence}"), "warn")
    return all(style != "bad" for _, (style, _) in shown.taken)
