"""Times as numbers and as people write them, in UTC: the calendar, and no clock.

Pure: no I/O; `datetime` counts days here, and is never asked what time it is.
"""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def time_of(seconds: int) -> str:
    """Return the time so many seconds after 1970, as people write it; what no calendar has as the number that it is."""
    try:
        return (EPOCH + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
    except OverflowError:
        return f"{seconds} seconds after 1970"


def milliseconds_of(instant: str) -> int | None:
    """Return the milliseconds since 1970 of "2030-01-31T12:30:00.123…Z"; None where the calendar has no such time.

    A leap second, 60, is the first second of the next minute, as POSIX counts.
    """
    try:
        minute = datetime.strptime(instant[:16], "%Y-%m-%dT%H:%M").replace(tzinfo=UTC)
        seconds, milliseconds = int(instant[17:19]), int(instant[20:23])
    except ValueError:
        return None
    return (minute - EPOCH) // timedelta(milliseconds=1) + seconds * 1000 + milliseconds
