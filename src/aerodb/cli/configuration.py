"""The chain of configurations: each change with who made it and why, who may act now, and which node has taken what."""

import click

from aerodb.actions import catalogue
from aerodb.audit.record import decode_record
from aerodb.cli.chained import shown_chain
from aerodb.cli.failures import OK, UNVERIFIED
from aerodb.cli.session import READ_TIMEOUT_SECONDS, ClientCommand, Session, json_option, read
from aerodb.cli.terminal import Terminal, escape
from aerodb.protocol import api, canonical
from aerodb.protocol.chain import Chain
from aerodb.protocol.change import said
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.envelope import Envelope
from aerodb.protocol.sshkey import parse_line
from aerodb.protocol.words import whole_words_of
from aerodb.rules.second import second_due
from aerodb.views.observed import Observed, observe
from aerodb.views.versions import taken_remark


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
    show_versions(session.terminal, chain, answer.envelopes)
    show_people(session.terminal, chain.newest)
    show_asking(session.terminal, chain.newest)
    return OK if show_taken(session.terminal, chain, observed) else UNVERIFIED


def show_versions(terminal: Terminal, chain: Chain, envelopes: tuple[Envelope, ...]) -> None:
    """Show each version: what it changed, who signed that, when and why."""
    terminal.line("Versions", "heading")
    terminal.line(f"  1  {chain.founding.digest}: the founding document, trusted outright")
    for line in whole_words_of(chain.founding.digest):
        terminal.line(f"     {line}", "dim")
    for version, envelope in zip(chain.versions[1:], envelopes, strict=True):
        record = decode_record(envelope.record.encode())
        if version.link is not None:
            terminal.line(escape(f"  {version.version}  {said(version.link.change)}"))
        terminal.line(escape(f"     {record.operator}, {record.at}, on {record.target}: {record.reason}"), "dim")


def show_people(terminal: Terminal, newest: Cluster) -> None:
    """Show everybody who is or was enrolled."""
    terminal.line("People", "heading")
    for person in newest.operators:
        key = parse_line(person.ssh_key).fingerprint if person.ssh_key else "no key"
        state = "revoked" if person.revoked else str(person.role)
        terminal.line(escape(f"  {person.name:<16}{state:<10}{key}"), "dim" if person.revoked else "plain")


def show_asking(terminal: Terminal, newest: Cluster) -> None:
    """Show for which actions a second person is asked, and who could be one."""
    terminal.line("Second person", "heading")
    if not newest.second_asked:
        terminal.line("  asked for nothing: one operator confirms alone", "dim")
        return
    for each in catalogue().values():
        if second_due(newest, each):
            terminal.line(escape(f"  {each.name:<16}of the class {each.of_class}"))


def show_taken(terminal: Terminal, chain: Chain, observed: Observed) -> bool:
    """Show which version each node has taken, as it signed its report; return whether all are on this chain."""
    terminal.line("Taken", "heading")
    sound = True
    for member in chain.founding.members:
        style, text = taken_remark(chain, observed, member.name)
        sound = sound and style != "bad"
        terminal.line(escape(f"  {member.name:<16}{text}"), style)
    return sound
