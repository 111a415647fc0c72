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
from aerodb.cli.decided import decision_of
from aerodb.cli.failures import OK, LogUnverified
from aerodb.cli.named import request_argument, whole_id
from aerodb.cli.profile import Profile
from aerodb.cli.remembered import check_before_signing
from aerodb.cli.session import READ_TIMEOUT_SECONDS, ClientCommand, Session, read
from aerodb.cli.taking import show_untaken
from aerodb.errors import AeroError
from aerodb.protocol.api import AWAITS_SECOND, Decision, Status
from aerodb.protocol.change import read_step
from aerodb.protocol.plan import Plan
from aerodb.protocol.refusals import PlanNotPending, RequestForeign
from aerodb.rules.second import who_could
from aerodb.views.observed import observe
from aerodb.views.requests import LAPSED, executed_of

WAITING = frozenset({"planned", "rejected", AWAITS_SECOND})
"""The states of a request whose plan is shown to who would confirm it; a rejection is shown, and not offered."""
OVER = frozenset({"confirmed", "declined", "lapsed"})


@click.command(cls=ClientCommand)
@request_argument
@click.option("--ssh-agent", is_flag=True, help="Sign by the ssh-agent, even where a key file is.")
@click.pass_obj
def confirm(session: Session, request: str, *, ssh_agent: bool) -> int:
    """Show the plan of a request that you made in the browser, and confirm it here; or sign as the second person.

    The second person signs what another operator has asked for and signed, where the configuration asks for that. What
    the plan was made from is read for it, which is recorded.
    """
    profile = person_profile(session)
    caller = session.connect(profile, READ_TIMEOUT_SECONDS)
    whole = whole_id(session, caller, request)
    if whole != request:
        session.terminal.line(f"Request {whole}")
    request = whole
    decision = decision_of(caller, request)
    if decision.plan is None or decision.line.state not in WAITING or _over(decision):
        why = f": {LAPSED}; ask anew" if decision.line.state == "lapsed" else ""
        raise PlanNotPending(
            f"it awaits no confirmation; its state: {decision.line.state}{why}", request=request,
            executed=executed_of(decision.line.state),
        )  # fmt: skip
    plan = verification.read_plan(decision.plan)
    judging = under(profile, caller, plan.configuration)
    _check_turn(judging, plan, decision)
    snapshot = decision.snapshot
    if plan.request.operator != profile.operator:
        snapshot = decision_of(caller, request, "?sensitive=1").snapshot
    verification.check_recomputed(judging.cluster, plan, decision.plan, snapshot)
    check_before_signing(profile, caller, plan, snapshot)
    observed = observe(profile.cluster, read(caller.get("/v1/status"), Status)) if _changes(plan) else None
    code = show_and_confirm(session, judging, plan, decision.plan, by_agent=ssh_agent)
    if code == OK and observed is not None:
        show_untaken(
            session, observed, plan.request.target, read_step(plan.request.arguments["change"], "change").version
        )
    return code


@click.command(cls=ClientCommand)
@request_argument
@click.pass_obj
def decline(session: Session, request: str) -> int:
    """Let the plan of a request of yours go unconfirmed, for good. It is recorded; nothing is executed."""
    profile = session.profile()
    whole = whole_id(session, session.connect(profile, READ_TIMEOUT_SECONDS), request)
    if whole != request:
        session.terminal.line(f"Request {whole}")
    declined(session, profile, whole)
    return OK


def _changes(plan: Plan) -> bool:
    """Tell whether a plan is of a change of the configuration, which each other node takes afterwards."""
    return plan.request.action == "configure"


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
    could = who_could(profile.cluster, asked.operator)
    if profile.operator not in could:
        raise RequestForeign(
            f"{profile.operator} cannot sign after {asked.operator} by version "
            f"{profile.cluster.version} of the configuration; who could: {', '.join(could)}", request=asked.id,
        )  # fmt: skip
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
