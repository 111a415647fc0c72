"""A clock that went back is found wherever it did, counted, and shown; nothing else makes it seem so."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from aerodb.audit.clocks import KEPT_MAX, Jump, jumps_in, stamp, went_back_from
from aerodb.audit.record import Record, encode_record


def records(*times: str) -> list[tuple[int, bytes]]:
    """Return records of these times, in the log's order."""
    made = (Record(event="read", at=at, clock="a test's", request="", operator="alice") for at in times)
    return [(sequence, encode_record(record)) for sequence, record in enumerate(made)]


def test_the_record_after_the_jump_is_the_one_that_is_marked() -> None:
    """Only the first record of an earlier time is: those after it follow it in time."""
    found = jumps_in(records("2030-01-01T10:00:00Z", "2030-01-01T09:00:00.5Z", "2030-01-01T09:00:01Z"))
    assert found.count == 1
    assert found.kept == (Jump(sequence=1, at="2030-01-01T09:00:00.5Z", before="2030-01-01T10:00:00Z"),)


def test_times_are_compared_as_instants_and_not_as_text() -> None:
    """A fraction or its absence, a date alone and equal times are no jump; a fraction that is less is one."""
    assert not went_back_from("2030-01-01T10:00:00Z", "2030-01-01T10:00:00.000Z")
    assert not went_back_from("2030-01-01T10:00:00Z", "2030-01-01T10:00:00.001Z")
    assert not went_back_from("2030-01-01", "2030-01-01T00:00:00Z")
    assert went_back_from("2030-01-01T10:00:00.001Z", "2030-01-01T10:00:00Z") == "2030-01-01T10:00:00.001Z"


def test_what_is_no_time_proves_nothing() -> None:
    """A record whose time cannot be read is no jump, nor is the one after it; and no error."""
    assert jumps_in(records("2030-01-01T10:00:00Z", "yesterday", "2029-01-01T10:00:00Z", "")).count == 0


def test_many_jumps_are_all_counted_and_the_first_are_kept() -> None:
    """A clock that jumps for ever fills no memory."""
    times = [f"2030-01-01T1{at % 2}:00:00Z" for at in range(2 * KEPT_MAX + 20)]
    found = jumps_in(records(*reversed(times)))
    assert found.count == KEPT_MAX + 10
    assert [each.sequence for each in found.kept] == [2 * at + 1 for at in range(KEPT_MAX)]


@given(st.lists(st.datetimes().map(lambda at: f"{at.isoformat(timespec='milliseconds')}Z")))
def test_a_log_in_the_order_of_its_times_has_no_jump(times: list[str]) -> None:
    """Whatever the times: in their order there is none, and in any order there are as many as descents."""
    assert jumps_in(records(*sorted(times))).count == 0
    stamps = [stamp(data) for _, data in records(*times)]
    assert jumps_in(records(*times)).count == sum(a > b for a, b in pairwise(stamps))
