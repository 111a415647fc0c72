"""What an action would do, computed from the cluster as it is now; nothing is asked for, and nothing is recorded."""

from urllib.parse import urlencode

import click

from aerodb.actions import action_named, catalogue
from aerodb.cli.act import argument_option, node_argument
from aerodb.cli.failures import OK, REJECTED, PlanAltered
from aerodb.cli.groups import LazyGroup
from aerodb.cli.remembered import check_log
from aerodb.cli.sequence import completed_after
from aerodb.cli.session import READ_TIMEOUT_SECONDS, ClientCommand, Session, full_option, json_option, read
from aerodb.cli.verification import planned_plan
from aerodb.protocol.api import Planned
from aerodb.rules.specification import Action
from aerodb.views.render import plan_lines, redacted_plan_lines


class Explain(LazyGroup):
    """One command for each action of the catalogue."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the actions' names."""
        del ctx
        return list(catalogue())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command that explains one action."""
        del ctx
        return _command(action_named(cmd_name)) if cmd_name in catalogue() else None


explain = Explain("explain", help="Show what an action would do; nothing is asked for or recorded.")


def _command(action: Action) -> click.Command:
    @full_option
    @json_option
    @click.pass_obj
    def callback(session: Session, /, *, node: str, full: bool, as_json: bool, **given: str | None) -> int:
        arguments = completed_after({name: text for name, text in given.items() if text is not None})
        asked = {"action": action.name, "target": node, **arguments}
        profile = session.profile()
        caller = session.connect(profile, READ_TIMEOUT_SECONDS)
        body = caller.get("/v1/explain?" + urlencode(asked, errors="replace"))
        check_log(profile, caller, None)
        return show(session, (action.name, node, arguments), body, full=full, as_json=as_json)

    command = click.command(action.name, cls=ClientCommand, help=action.summary)(callback)
    command.params += [node_argument(), *(argument_option(argument) for argument in action.arguments)]
    return command


def show(
    session: Session, asked: tuple[str, str, dict[str, str]], body: bytes, *, full: bool = False, as_json: bool
) -> int:
    """Show the plan in an answer, and return whether it would be accepted, as an exit code.

    Raises:
        PlanAltered: it is not of what was asked, or does not agree with itself.
    """
    planned = read(body, Planned)
    redacted = planned.plan == "" and planned.shown is not None
    plan = planned.shown if redacted and planned.shown is not None else planned_plan(planned)
    if (plan.request.action, plan.request.target, plan.request.arguments) != asked:
        raise PlanAltered("the plan is of something else than what was asked")
    if as_json:
        session.terminal.document(body)
    else:
        session.terminal.lines(
            redacted_plan_lines(plan, planned.digest, full=full)
            if redacted
            else plan_lines(plan, planned.plan, full=full)
        )
    return OK if plan.accepted else REJECTED
