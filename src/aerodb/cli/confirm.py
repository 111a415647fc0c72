"""Confirm, at the terminal, a request that was made elsewhere, by the same checks and typing; or decline it.

A request that awaits a second person is confirmed so by another operator: once the requester's own signature of that
very plan, as the log holds it, is verified on this machine.
"""

import click

from aerodb.actions import needs_second
from aerodb.audit.checks import check_confirmation
from aerodb.audit.record import decode_record
from aerodb.cli import verification
from aerodb.cli.act import declined, person_profile, show_and_confirm
from aerodb.cli.chained import under
from aerodb.cli.failures import OK, LogUnverified, PlanAltered
from aerodb.cli.paths import request_path
from aerodb.cli.profile import Profile
from aerodb.cli.remembered import check_before_signing
from aerodb.cli.session import READ_TIMEOUT_SECONDS, ClientCommand, Session, read
from aerodb.errors import AeroError
from aerodb.protocol.api import AWAITS_SECOND, Decision
from aerodb.protocol.plan import Plan
from aerodb.protocol.refusals import PlanNotPending, RequestForeign
from aerodb.rules.second import who_could

WAITING = frozenset({"planned", "rejected", AWAITS_SECOND})
"""The states of a request whose plan is shown to who would confirm it; a rejection is shown, and not offered."""
OVER = frozenset({"confirmed", "declined", "lapsed"})


@click.command(cls=ClientCommand)
@click.argument("request", metavar="REQUEST")
@click.option("--ssh-agent", is_flag=True, help="Sign by the ssh-agent, even where a key file is.")
@click.pass_obj
def confirm(session: Session, request: str, *, ssh_agent: bool) -> int:
    """Show the plan of a request that you made in the browser, and confirm it here; or sign as the second person.

    The second person signs what another operator has asked for and signed, where the configuration asks for that. What
    the plan was made from is read for it, which is recorded.
    """
    profile = person_profile(session)
    caller = session.connect(profile, READ_TIMEOUT_SECONDS)
    decision = read(caller.get(request_path(request)), Decision)
    if decision.plan is None or decision.line.state not in WAITING or _over(decision):
        raise PlanNotPending(f"its state: {decision.line.state}", request=request)
    plan = verification.read_plan(decision.plan)
    if plan.request.id != request:
        raise PlanAltered("the plan on record is of another request")
    judging = under(profile, caller, plan.configuration)
    _check_turn(judging, plan, decision)
    snapshot = decision.snapshot
    if plan.request.operator != profile.operator:
        snapshot = read(caller.get(request_path(request, "?sensitive=1")), Decision).snapshot
    verification.check_recomputed(judging.cluster, plan, decision.plan, snapshot)
    check_before_signing(profile, caller, plan.request, snapshot)
    return show_and_confirm(session, judging, plan, decision.plan, by_agent=ssh_agent)


@click.command(cls=ClientCommand)
@click.argument("request", metavar="REQUEST")
@click.pass_obj
def decline(session: Session, request: str) -> int:
    """Let the plan of a request of yours go unconfirmed, for good. It is recorded; nothing is executed."""
    declined(session, session.profile(), request)
    return OK


def _check_turn(profile: Profile, plan: Plan, decision: Decision) -> None:
    """Refuse who is not the one whose signature the plan awaits now; `profile` is under the plan's own version.

    Raises:
        RequestForeign, PlanNotPending: somebody else signs it, or signs it first.
        LogUnverified: no signature of the requester stands in the records that are shown.
    """
    asked, waits = plan.request, decision.line.state == AWAITS_SECOND
    if asked.operator == profile.operator:
        if waits:
            raise PlanNotPending(
                "you have signed it; it awaits a second person: "
                f"{', '.join(who_could(profile.cluster, asked.operator))}", request=asked.id,
            )  # fmt: skip
        return
    if not waits or not needs_second(profile.cluster, asked):
        raise RequestForeign(f"{asked.operator} asked for this, not {profile.operator}", request=asked.id)
    _check_first(profile, plan, decision)


def _check_first(profile: Profile, plan: Plan, decision: Decision) -> None:
    """Verify here that the requester has signed the plan, by the record of it.

    Raises:
        LogUnverified: no such record is shown, or its signature is not theirs over this plan.
    """
    records = [decode_record(each.record.encode()) for each in decision.records]
    signature = next((each.signature for each in records if each.event == "signed"), "")
    try:
        check_confirmation(profile.cluster, plan.request.operator, decision.plan or "", signature)
    except AeroError as error:
        raise LogUnverified(
            f"the log shows no signature of {plan.request.operator} over this plan: {error.message}"
        ) from error


def _over(decision: Decision) -> bool:
    """Tell whether the log holds what ended the plan's waiting: it is never offered again."""
    try:
        return any(decode_record(each.record.encode()).event in OVER for each in decision.records)
    except AeroError as error:
        raise LogUnverified(f"a record of the request is malformed: {error.message}") from error
