"""The calendar: every time that a record can state is counted as POSIX counts, and what is no time is None."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodb.audit.search import instant
from aerodb.protocol.calendar import milliseconds_of, time_of

TIMES = st.datetimes(min_value=dt.datetime(1, 1, 1), timezones=st.just(dt.UTC))  # noqa: DTZ001 - it is given its zone beside.


@given(TIMES)
def test_every_time_is_counted_and_read_back(at: dt.datetime) -> None:
    """The milliseconds are those of another implementation, and the seconds give the time back."""
    text = instant(at.strftime("%Y-%m-%dT%H:%M:%S.").zfill(20) + f"{at.microsecond:06}Z")
    assert text is not None
    milliseconds = milliseconds_of(text)
    assert milliseconds == (at - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1)
    assert time_of(milliseconds // 1000) == text[:19] + "Z"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00.000000000Z", 0),
        ("2016-12-31T23:59:60.500000000Z", 1_483_228_800_500),
        ("2000-02-29T00:00:00.001000000Z", 951_782_400_001),
        ("2030-02-30T00:00:00.000000000Z", None),
        ("1900-02-29T00:00:00.000000000Z", None),
        ("0000-01-01T00:00:00.000000000Z", None),
        ("no time", None),
        ("", None),
    ],
)
def test_a_day_that_no_calendar_has_is_no_time(text: str, expected: int | None) -> None:
    """A leap second is the first of the next minute; a thirtieth of February is nothing, and not the first of March."""
    assert milliseconds_of(text) == expected


@pytest.mark.parametrize("seconds", [10**12, -(10**12), 10**30])
def test_a_time_beyond_the_calendar_is_shown_as_its_number(seconds: int) -> None:
    """A cosignature's time may be any number, and is shown whatever it is."""
    assert time_of(seconds) == f"{seconds} seconds after 1970"
