"""What a record is searched by, and whether one record is what is searched for.

`matches` is the meaning of a search; an index only finds the candidates faster, and what it finds is held to `matches`.

Pure: no I/O, no clock.
"""

import re

import msgspec

from aerodb.audit.record import Record
from aerodb.errors import AeroError

PAGE_RECORDS_MAX = 500

_INSTANT = re.compile(
    r"(\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01]))(?:T([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d|60)(?:\.(\d{1,9}))?)?Z?)?",
    re.ASCII,
)


class InstantMalformed(AeroError):
    """The text is not a date, or a date and time in UTC."""

    code = "input.instant-malformed"
    status = 400
    title = "The time is malformed"


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What is searched for; an empty part is not asked about, and all the others must hold.

    `since` (included) and `until` (not included) are instants as `instant` gives them, and are compared with the
    records' own clocks. `request` is the beginning of a request's id. `text` is found anywhere in the reason, whatever
    the case of its letters.
    """

    operator: str = ""
    event: str = ""
    action: str = ""
    node: str = ""
    outcome: str = ""
    invariant: str = ""
    since: str = ""
    until: str = ""
    request: str = ""
    text: str = ""


def instant(text: str) -> str | None:
    """Return an RFC 3339 date or UTC time as text that sorts as time does, to the nanosecond; None where it is none."""
    found = _INSTANT.fullmatch(text)
    if found is None:
        return None
    day, hour, minute, second, fraction = found.groups()
    return f"{day}T{hour or '00'}:{minute or '00'}:{second or '00'}.{(fraction or '').ljust(9, '0')}Z"


def required_instant(text: str, field: str) -> str:
    """Return `instant` of a text that a person typed; nothing stays nothing.

    Raises:
        InstantMalformed: naming `field`.
    """
    found = instant(text) if text else ""
    if found is None:
        raise InstantMalformed(f"{field} is not like 2030-01-31 or 2030-01-31T12:30:00Z", field=field)
    return found


def folded(text: str) -> str:
    """Return `text` as it is compared where the case of letters does not count."""
    return text.casefold()


def matches(query: Query, record: Record) -> bool:
    """Tell whether `record` is what `query` asks for."""
    pairs = (
        (query.operator, record.operator),
        (query.event, record.event),
        (query.action, record.action),
        (query.node, record.target),
        (query.outcome, record.result),
    )
    return (
        all(wanted in ("", found) for wanted, found in pairs)
        and (not query.invariant or query.invariant in record.invariants)
        and record.request.startswith(query.request)
        and folded(query.text) in folded(record.reason)
        and _within(query, record.at)
    )


def _within(query: Query, at: str) -> bool:
    """Tell whether a time lies in the query's span; one that cannot be read lies in none."""
    if not query.since and not query.until:
        return True
    found = instant(at)
    return found is not None and query.since <= found and (not query.until or found < query.until)
