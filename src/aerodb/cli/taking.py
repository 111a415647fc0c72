"""Who has to take a version of the configuration next: said after each change that was executed."""

from aerodb.cli.session import Session
from aerodb.cli.terminal import escape
from aerodb.rules.versions import taken
from aerodb.views.observed import Observed
from aerodb.views.requests import take_command


def show_untaken(session: Session, observed: Observed, node: str, version: int) -> None:
    """Say which nodes have not taken a version that `node` has taken now, by what was observed before."""
    there = {name for name, facts in observed.facts.items() if len(taken(facts)) >= version}
    others = [each.name for each in session.profile().cluster.members if each.name not in {*there, node}]
    if others:
        session.terminal.line("Then have each other node take it; where it is not taken it does not hold:", "warn")
    for name in others:
        session.terminal.line(escape(f"  {take_command(name)}"))
