"""Recording alone: a process that ends, or a log that fails, right before and right after each record of a life.

What a new process says is what the log and the node hold; nothing is sent without its record, and nothing twice.
"""

from collections.abc import Callable

import pytest

from aerodb.audit.record import Record
from aerodb.audit.store import LogUnavailable
from aerodb.errors import AeroError
from aerodb.protocol import canonical
from aerodb.protocol.api import Ask, Planned, Requests
from aerodb.transport.errors import Refused
from tests.unit.neighbours.cluster import MemoryCluster
from tests.unit.neighbours.life import (
    ask,
    ask_for_seconds,
    confirm,
    events,
    outcome,
    sign_first,
)
from tests.unit.neighbours.watched import Seen, WatchedLog, watched
from tests.unit.neighbours.wire import Killed

REPEATABLE = Ask(action="checkpoint", target="n3", arguments={}, reason="a test")
ID = "11111111-2222-4333-8444-{:012}"


@pytest.fixture
def log(room: MemoryCluster) -> WatchedLog:
    """Return the cluster's log."""
    return watched(room)


def at(event: str, error: Callable[[], BaseException]) -> Seen:
    """Return who fails at the next record of an event, and at no other."""
    failed = list[str]()

    def fails(record: Record) -> None:
        if record.event == event and not failed:
            failed.append(event)
            raise error()

    return fails


def full() -> LogUnavailable:
    """Return what a log says that cannot be written."""
    return LogUnavailable("the disk is full")


def honest(log: WatchedLog) -> None:
    """Let everything go on as it does."""
    log.before = log.after = lambda _: None


def state(room: MemoryCluster, request: str) -> str:
    """Return a request's state, as the list shows it; nothing where it is not in the list."""
    found = canonical.decode(room.caller("carol").get("/v1/requests"), Requests)
    return next((line.state for line in found.requests if line.request == request), "")


def verifies(room: MemoryCluster, request: str) -> bool:
    """Tell whether an auditor's verification of a request's records finds nothing wrong."""
    return all(each.state in ("holds", "noted") for each in room.plane._parts.reader.judged(request))


def lives(room: MemoryCluster, request: str, second: str) -> tuple[Planned | None, list[str]]:
    """Have a request live as far as it comes; return its plan, and what each verb said, an error's code or a state."""
    planned, said = None, list[str]()
    try:
        planned = ask(room, REPEATABLE, request=request)
        said.append("planned")
        if second:
            said.append(sign_first(room, planned).state)
        said.append(confirm(room, planned, second or "alice").result)
    except AeroError as error:
        said.append(f"{error.code} {error.executed}")
    return planned, said


UNKNOWN, BROKEN = "transport.interrupted unknown", "control.log-unavailable not executed"
UNREACHED = ["transport.interrupted unknown"]
ONE = [
    # At which record the process ends, and when; what was said; what a new one makes of it; what the node did.
    ("requested", "before", UNREACHED, "", 0),
    ("requested", "after", UNREACHED, "lapsed", 0),
    ("confirmed", "before", ["planned", UNKNOWN], "lapsed", 0),
    ("confirmed", "after", ["planned", UNKNOWN], "confirmed", 0),
    ("outcome", "before", ["planned", UNKNOWN], "confirmed", 1),
    ("outcome", "after", ["planned", UNKNOWN], "executed", 1),
]
TWO = [
    ("signed", "before", ["planned", UNKNOWN], "lapsed", 0),
    ("signed", "after", ["planned", UNKNOWN], "lapsed", 0),
    ("confirmed", "after", ["planned", "awaits a second person", UNKNOWN], "confirmed", 0),
    ("outcome", "before", ["planned", "awaits a second person", UNKNOWN], "confirmed", 1),
]


def ends_there(room: MemoryCluster, log: WatchedLog, number: int, case: tuple[str, str, list[str], str, int]) -> None:
    """Have a control plane end at a record, and another begin; hold what that says to what happened."""
    event, when, said, became, runs = case
    request, done = ID.format(number), room.servers["n3"].done
    done.clear()
    setattr(log, when, at(event, Killed))
    second = "bob" if room.plane.cluster.version > 1 else ""
    planned, heard = lives(room, request, second)
    assert (heard, len(done)) == (said, runs), case
    honest(log)
    room.plane._agents._pool.shutdown()
    room.begin()
    room.plane.begin(room.plane.left_over())
    assert state(room, request) == became, case
    if planned is not None:  # Whatever was shown to somebody counts no more.
        with pytest.raises(Refused):
            confirm(room, planned, second or "alice")
    if became == "confirmed":
        assert outcome(room, planned or _never()).result == ("executed" if runs else "not executed"), case
        assert state(room, request) == ("executed" if runs else "not executed"), case
    assert (len(done), not became or verifies(room, request)) == (runs, True), case


def _never() -> Planned:
    raise AssertionError


def test_a_process_that_ends_at_a_record_leaves_what_the_next_one_says(room: MemoryCluster, log: WatchedLog) -> None:
    """Nothing was sent that is not logged, nothing is sent again, and what the node did is found out by asking it."""
    for number, case in enumerate(ONE):
        ends_there(room, log, number, case)


def test_so_it_is_where_two_people_sign(room: MemoryCluster, log: WatchedLog) -> None:
    """The first signature alone confirms nothing, however the process ends that logged it."""
    ask_for_seconds(room)
    for number, case in enumerate(TWO):
        ends_there(room, log, number, case)


BREAKS = [
    # At which record the log fails, and whether that is durable; what was said; the state; what the node did.
    ("requested", "before", [BROKEN], "refused", 0),
    ("requested", "after", [BROKEN], "lapsed", 0),
    ("confirmed", "before", ["planned", BROKEN], "lapsed", 0),
    ("confirmed", "after", ["planned", BROKEN], "confirmed", 0),
    ("outcome", "before", ["planned", "executed"], "confirmed", 1),
    ("outcome", "after", ["planned", "executed"], "executed", 1),
]


def test_a_log_that_fails_before_or_after_a_record_is_durable_sends_nothing(
    room: MemoryCluster, log: WatchedLog
) -> None:
    """Who acts is told that nothing was executed, and nothing is, then or ever; an outcome is told all the same."""
    done = room.servers["n3"].done
    for number, (event, when, said, became, runs) in enumerate(BREAKS):
        done.clear()
        setattr(log, when, at(event, full))
        planned, heard = lives(room, ID.format(number), "")
        honest(log)
        assert (heard, state(room, ID.format(number)), len(done)) == (said, became, runs), (event, when)
        with pytest.raises(Refused):
            ask(room, REPEATABLE, request=ID.format(number))  # The id is used up.
        if planned is not None:
            with pytest.raises(Refused):
                confirm(room, planned)
        if planned is not None and became == "confirmed":
            assert outcome(room, planned).result == ("executed" if runs else "not executed")
        assert (len(done), verifies(room, ID.format(number))) == (runs, True), (event, when)


def test_an_outcome_that_is_not_recorded_says_so(room: MemoryCluster, log: WatchedLog) -> None:
    """The person is told both: what became of it, and that the log does not hold it."""
    planned = ask(room)
    log.before = at("outcome", full)
    done = confirm(room, planned)
    assert (done.result, done.sequence) == ("executed", None)
    assert "The outcome could not be recorded: the disk is full" in done.message


def test_an_established_outcome_that_is_not_recorded_is_told_and_asked_for_again(
    room: MemoryCluster, log: WatchedLog
) -> None:
    """The node gives its one answer as often as it is asked, so it is on record once the log takes it."""
    planned = ask(room)
    room.cut["n3"] = "the connection broke"
    confirm(room, planned)
    room.cut.clear()
    log.before = at("established", full)
    first = outcome(room, planned)
    assert (first.result, first.sequence) == ("executed", None)
    again = outcome(room, planned)
    assert (again.outcome, again.sequence is None) == (first.outcome, False)
    assert events(room, planned) == ["requested", "confirmed", "outcome", "established"]


@pytest.mark.parametrize("verb", ["decline", "close"])
def test_a_plan_that_is_let_go_on_no_record_is_gone_all_the_same(
    room: MemoryCluster, log: WatchedLog, verb: str
) -> None:
    """It cannot be confirmed afterwards, and the next process records what this one could not."""
    planned = ask(room)
    log.before = at("declined" if verb == "decline" else "lapsed", full)
    if verb == "decline":
        with pytest.raises(Refused) as refused:
            room.caller("alice").post(f"/v1/requests/{planned.request}/decline", b"{}")
        assert refused.value.executed == "not executed"
    else:
        room.plane.close()
    assert state(room, planned.request) == "lapsed"
    with pytest.raises(Refused) as gone:
        confirm(room, planned)
    assert gone.value.code == "control.plan-not-pending"
    room.begin()
    room.plane.begin(room.plane.left_over())
    assert events(room, planned)[-1] == "lapsed"
    assert (room.servers["n3"].done, verifies(room, planned.request)) == ([], True)
