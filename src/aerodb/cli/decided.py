"""A request as the control plane shows it, held to the one that was asked for."""

from aerodb.audit.record import decode_record
from aerodb.cli.failures import PlanAltered
from aerodb.cli.paths import request_path
from aerodb.cli.profile import Caller
from aerodb.cli.session import read
from aerodb.cli.verification import read_plan
from aerodb.errors import AeroError
from aerodb.protocol.api import Decision, LogEntry


def decision_of(caller: Caller, request: str, rest: str = "") -> Decision:
    """Return what the control plane shows of `request`: its line, its plan and its records; `rest` ends the path.

    A record that cannot be read is shown as one, with its proof.

    Raises:
        PlanAltered: it shows another request, or something of another one.
        RulesOther: the plan has a form that is not known here.
    """
    return of_request(read(caller.get(request_path(request, rest)), Decision), request)


def of_request(decision: Decision, request: str) -> Decision:
    """Return `decision` if it, and all that it holds, is of `request`.

    Raises:
        PlanAltered: it is not.
        RulesOther: the plan has a form that is not known here.
    """
    plan = decision.shown if decision.plan is None else read_plan(decision.plan)
    if plan is not None and plan.request.id != request:
        raise PlanAltered("the plan on record is of another request")
    if decision.line.request != request:
        raise PlanAltered("what is shown is another request")
    for entry in decision.records:
        if _request_of(entry) not in {request, None}:
            raise PlanAltered(f"record {entry.sequence}, which is shown with it, is of another request")
    return decision


def _request_of(entry: LogEntry) -> str | None:
    """Return the request that a record is about; None where it cannot be read."""
    try:
        return decode_record(entry.record.encode()).request
    except AeroError:
        return None
