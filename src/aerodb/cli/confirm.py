"""Confirm, at the terminal, a request that was made elsewhere, by the same checks and typing; or decline it."""

import click

from aerodb.audit.record import decode_record
from aerodb.cli import verification
from aerodb.cli.act import declined, person_profile, show_and_confirm
from aerodb.cli.chained import under
from aerodb.cli.failures import OK, LogUnverified, PlanAltered
from aerodb.cli.paths import request_path
from aerodb.cli.remembered import check_before_signing
from aerodb.cli.session import READ_TIMEOUT_SECONDS, ClientCommand, Session, read
from aerodb.errors import AeroError
from aerodb.protocol.api import Decision
from aerodb.protocol.refusals import PlanNotPending, RequestForeign

WAITING = frozenset({"planned", "rejected"})
"""The states of a request whose plan is shown to who would confirm it; a rejection is shown, and not offered."""
OVER = frozenset({"confirmed", "declined", "lapsed"})


@click.command(cls=ClientCommand)
@click.argument("request", metavar="REQUEST")
@click.option("--ssh-agent", is_flag=True, help="Sign by the ssh-agent, even where a key file is.")
@click.pass_obj
def confirm(session: Session, request: str, *, ssh_agent: bool) -> int:
    """Show the plan of a request that you made in the browser, and confirm it here."""
    profile = person_profile(session)
    caller = session.connect(profile, READ_TIMEOUT_SECONDS)
    decision = read(caller.get(request_path(request)), Decision)
    if decision.plan is None or decision.line.state not in WAITING or _over(decision):
        raise PlanNotPending(f"its state: {decision.line.state}", request=request)
    plan = verification.read_plan(decision.plan)
    if plan.request.id != request:
        raise PlanAltered("the plan on record is of another request")
    if plan.request.operator != profile.operator:
        raise RequestForeign(f"{plan.request.operator} asked for this, not {profile.operator}", request=request)
    judging = under(profile, caller, plan.configuration)
    verification.check_recomputed(judging.cluster, plan, decision.plan, decision.snapshot)
    check_before_signing(profile, caller, plan.request, decision.snapshot)
    return show_and_confirm(session, judging, plan, decision.plan, by_agent=ssh_agent)


@click.command(cls=ClientCommand)
@click.argument("request", metavar="REQUEST")
@click.pass_obj
def decline(session: Session, request: str) -> int:
    """Let the plan of a request of yours go unconfirmed, for good. It is recorded; nothing is executed."""
    declined(session, session.profile(), request)
    return OK


def _over(decision: Decision) -> bool:
    """Tell whether the log holds what ended the plan's waiting: it is never offered again."""
    try:
        return any(decode_record(each.record.encode()).event in OVER for each in decision.records)
    except AeroError as error:
        raise LogUnverified(f"a record of the request is malformed: {error.message}") from error
