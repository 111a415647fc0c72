"""Who has to take a version of the configuration next: said after each change that was executed."""

from aerodb.cli.session import Session
from aerodb.cli.terminal import escape
from aerodb.rules.versions import taken
from aerodb.views.observed import Observed
from aerodb.views.requests import take_command


def show_untaken(session: Session, observed: Observed, node: str, version: int) -> None:
    """Say which nodes have versions to take yet: `node` has taken this one now, the others what was observed before."""
    had = {name: len(taken(facts)) for name, facts in observed.facts.items()} | {node: version}
    newest = max(had.values())
    due = {each.name: newest - had.get(each.name, 0) for each in session.profile().cluster.members}
    behind = {name: count for name, count in due.items() if count}
    if behind:
        session.terminal.line("Not taken everywhere yet; where a version is not taken it does not hold. Next:", "warn")
    for name, count in behind.items():
        often = f"   # {count} times: a version each" if name in had and count > 1 else ""
        session.terminal.line(escape(f"  {take_command(name)}{often}"))
