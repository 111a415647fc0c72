"""What the judge of the log's meaning says of what holds, in sentences. Pure: no I/O, no clock."""

from aerodb.audit.logged import Logged
from aerodb.audit.record import Record
from aerodb.protocol.confirmation import Confirmed
from aerodb.protocol.plan import Plan

_METHODS = {
    "ssh": "with their enrolled SSH key",
    "webauthn": "with an authenticator that their enrolled SSH key endorsed",
}


def signed_so(entry: Logged, operator: str, confirmed: Confirmed, *, touched: bool) -> str:
    """Return who signed the plan of a record, and how."""
    how = f"{_METHODS[confirmed.method]}{', which was touched' if touched else ''}"
    return f"Record {entry.sequence}: {operator} signed exactly this plan, {how}."


def replayed_so(plan: Plan, text: str, record: Record) -> str:
    """Return that a plan was computed again, and is the recorded one."""
    said = "acceptable" if plan.accepted else "a rejection"
    return (
        f"The plan, computed again here from its snapshot by {plan.rules}, is byte for byte the recorded one: "
        f"{said}, {len(text.encode())} bytes, {record.plan}."
    )
