"""What stands between watching a cluster and taking charge of it, judged on this machine from the signed reports."""

import click

from aerodb.cli.completed import complete_nodes
from aerodb.cli.failures import OK, REJECTED, FactsRedacted
from aerodb.cli.session import READ_TIMEOUT_SECONDS, ClientCommand, Session, json_option, read
from aerodb.protocol import api, canonical
from aerodb.rules.readiness import readiness as judged
from aerodb.rules.readiness import stands_between
from aerodb.views.observed import observe
from aerodb.views.readiness import readiness_lines


@click.command(cls=ClientCommand)
@click.argument("node", metavar="[NODE]", required=False, shell_complete=complete_nodes)
@json_option
@click.pass_obj
def readiness(session: Session, node: str | None, *, as_json: bool) -> int:
    """Show what stands between watching a cluster and taking charge of it; of NODE alone, where one is named.

    Nothing is changed or recorded. The exit code is 1 where anything stands in between, or is unknown.
    """
    profile = session.profile()
    if node is not None:
        profile.cluster.member(node)
    told = read(session.connect(profile, READ_TIMEOUT_SECONDS).get("/v1/status"), api.Status)
    if told.redacted:
        raise FactsRedacted("readiness rests on addresses and settings, which your role is not shown")
    every = judged(profile.cluster, observe(profile.cluster, told).facts)
    found = {name: each for name, each in every.items() if node in {None, name}}
    if as_json:
        session.terminal.document(canonical.encode({"readiness": {name: list(each) for name, each in found.items()}}))
    else:
        session.terminal.lines(readiness_lines(found))
    return REJECTED if stands_between(found) else OK
