"""Procedures, laid out: the requests in order, each as it is typed, and as far as it can be judged; none is asked for.

What is shown is as the control plane laid it out. It is advice: each line, once typed, has a plan of its own, which is
computed again on this machine before anybody signs it.
"""

from urllib.parse import quote, urlencode

import click

from aerodb.cli.completed import complete_nodes
from aerodb.cli.failures import OK, PlanAltered
from aerodb.cli.groups import LazyGroup
from aerodb.cli.session import ClientCommand, Session, json_option, read
from aerodb.protocol.procedure import Procedure
from aerodb.rules.procedures import KINDS, ProcedureKind
from aerodb.views.procedure import procedure_lines


class ProcedureGroup(LazyGroup):
    """One command for each kind of procedure."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the kinds' names."""
        del ctx
        return list(KINDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command that lays one kind of procedure out."""
        del ctx
        return _command(KINDS[cmd_name]) if cmd_name in KINDS else None


procedure = ProcedureGroup(
    "procedure",
    help="Show the requests of a switchover, a failover or a return in order, each judged; asks for nothing.",
)


def _command(kind: ProcedureKind) -> click.Command:
    @json_option
    @click.pass_obj
    def callback(session: Session, /, *, reason: str, as_json: bool, **nodes: str) -> int:
        return lay_out(session, kind, nodes, reason, as_json=as_json)

    named = "".join(f"\n\n{part.name.upper()}: {part.help}." for part in kind.parts)
    command = click.command(kind.name, cls=ClientCommand, help=f"{kind.summary}{named}")(callback)
    command.params += [
        *(click.Argument([part.name], metavar=part.name.upper(), shell_complete=complete_nodes) for part in kind.parts),
        click.Option(
            ["--reason"],
            default="",
            metavar="TEXT",
            help="The ticket: the reason of every request of this work; what was executed for it is marked as done.",
        ),
    ]
    return command


def lay_out(session: Session, kind: ProcedureKind, nodes: dict[str, str], reason: str, *, as_json: bool) -> int:
    """Show a procedure for the nodes that a person names, by part.

    Raises:
        PlanAltered: the answer is of something else.
    """
    cluster = session.profile().cluster
    for node in nodes.values():
        cluster.member(node)
    asked = {**nodes, "reason": reason} if reason else nodes
    body = session.search(f"/v1/procedures/{quote(kind.name)}?{urlencode(asked, errors='replace')}")
    found = read(body, Procedure)
    if (found.procedure, found.nodes) != (kind.name, nodes):
        raise PlanAltered("the procedure is another than the one that was asked for")
    if as_json:
        session.terminal.document(body)
    else:
        session.terminal.lines(procedure_lines(found, draws=session.terminal.draws))
    return OK
