"""Explaining alone: an id is planned for once, whoever meets; what is shown is on record; nothing that is sent is lost.

The real control plane and agents; the log is the real one, held up where two are to meet.
"""

import threading
import uuid
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from aerodb.audit.record import read_record
from aerodb.errors import AeroError
from aerodb.protocol import canonical
from aerodb.protocol.api import Ask, Decision, Planned, RequestLine, Requests
from aerodb.protocol.facts import State
from aerodb.transport.errors import Refused
from tests.unit.neighbours.cluster import MemoryCluster
from tests.unit.neighbours.life import PEOPLE, STOP, ask, confirm, events, outcome, records
from tests.unit.neighbours.watched import watched

HELD_SECONDS_MAX = 600
"""Against hanging alone."""


class Gate:
    """Holds the first who comes until another is through."""

    def __init__(self) -> None:
        """Hold nobody yet."""
        self.reached, self.let = threading.Event(), threading.Event()

    def __call__(self, _: object) -> None:
        """Hold the first."""
        if not self.reached.is_set():
            self.reached.set()
            assert self.let.wait(HELD_SECONDS_MAX)


def while_held(gate: Gate, first: Callable[[], object], second: Callable[[], object]) -> None:
    """Have one call reach the gate, another one pass meanwhile, and then the first go on."""
    thread = threading.Thread(target=first)
    thread.start()
    assert gate.reached.wait(HELD_SECONDS_MAX)
    try:
        second()
    finally:
        gate.let.set()
        thread.join()


def said(room: MemoryCluster, request: str, found: list[str], asked: Ask = STOP) -> Callable[[], None]:
    """Return a call that asks under an id, and keeps what it is told."""

    def call() -> None:
        try:
            found.append(ask(room, asked, request=request).digest)
        except AeroError as error:
            found.append(error.code)

    return call


def doubted(room: MemoryCluster, request: str) -> list[str]:
    """Return what an auditor's verification of a request's records finds wrong."""
    return [each.said for each in room.plane._parts.reader.judged(request) if each.state not in ("holds", "noted")]


# Two at once ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["the id is looked up", "the plan is recorded"])
def test_two_who_ask_under_one_id_get_one_plan_wherever_they_meet(room: MemoryCluster, where: str) -> None:
    """Also where the second comes right after the first had found the id unused: a log with two plans of one id fails.

    Whoever holds the id is alone with it from before it is looked up.
    """
    log, gate, found, request = watched(room), Gate(), list[str](), str(uuid.uuid4())
    if where == "the id is looked up":
        log.asked = gate
    else:
        log.before = gate
    while_held(gate, said(room, request, found), said(room, request, found))
    assert found[0] == "control.request-known"
    (record,) = [read_record(data) for _, data in room.log.records()]
    assert (record.event, record.plan) == ("requested", found[1])
    assert doubted(room, request) == []


def test_who_asks_again_while_it_is_decided_is_told_so(room: MemoryCluster) -> None:
    """The same id, asked for while its confirmation is being logged: known; and the list never shows it as lapsed."""
    log, gate, found, shown = watched(room), Gate(), list[str](), list[str]()
    planned = ask(room)
    log.before = lambda record: gate(record) if record.event == "confirmed" else None

    def meanwhile() -> None:
        said(room, planned.request, found)()
        listed = canonical.decode(room.caller("olga").get("/v1/requests"), Requests)
        shown.extend(line.state for line in listed.requests if line.request == planned.request)

    while_held(gate, lambda: confirm(room, planned), meanwhile)
    assert (found, shown) == (["control.request-known"], ["planned"])
    assert events(room, planned) == ["requested", "confirmed", "outcome"]


def test_who_is_turned_away_under_an_id_takes_nothing_of_what_is_planned_under_it(room: MemoryCluster) -> None:
    """An observer knocks with an id while it is being planned for: the request stays its requester's, and verifies.

    In the list, when it is declined, when its process ends, and in its evidence it is what was asked.
    """
    log = watched(room)

    def knocks(request: str) -> None:
        log.asked = lambda _: None
        with pytest.raises(Refused):
            room.caller("olga").post(f"/v1/requests/{request}/outcome", b"{}")

    def asked() -> Planned:
        log.asked = knocks
        return ask(room)

    declined, left, confirmed = asked(), asked(), asked()
    body = room.caller("alice").post(f"/v1/requests/{declined.request}/decline", b"{}")
    line = canonical.decode(body, RequestLine)
    assert (line.operator, line.action, line.target, line.state) == ("alice", "stop", "n3", "declined")
    assert confirm(room, confirmed).result == "executed"
    room.begin()
    room.plane.begin(room.plane.left_over())
    listed = canonical.decode(room.caller("olga").get("/v1/requests"), Requests).requests
    assert {(each.operator, each.action, each.target) for each in listed} == {("alice", "stop", "n3")}
    for planned, last in ((declined, "declined"), (left, "lapsed"), (confirmed, "outcome")):
        assert [each.event for each in records(room, planned)][:2] == ["refused", "requested"]
        assert (events(room, planned)[-1], doubted(room, planned.request)) == (last, [])
        with pytest.raises(Refused) as known:
            ask(room, request=planned.request)
        assert known.value.code == "control.request-known"
    seen = canonical.decode(room.caller("alice").get(f"/v1/requests/{left.request}"), Decision)
    assert seen.snapshot is not None  # Still hers: she reads it without leaving a record.
    assert outcome(room, confirmed).result == "executed"


def test_what_changes_while_it_is_read_is_no_plan(room: MemoryCluster) -> None:
    """A node that says one thing in the first read and another in the second: refused on record, and nothing awaits."""
    looks = list[bytes]()

    def changes(path: str, genuine: Callable[[], bytes]) -> bytes:
        if path.startswith("/v1/report"):
            looks.append(b"")
            room.servers["n2"].change(state=State.RUNNING if len(looks) == 1 else State.CRASHED)
        return genuine()

    room.between["n2"] = changes
    request = str(uuid.uuid4())
    with pytest.raises(Refused) as refused:
        ask(room, request=request)
    assert (refused.value.code, refused.value.executed) == ("control.snapshot-inconsistent", "not executed")
    assert [read_record(data).event for _, data in room.log.records()] == ["refused"]
    assert room.plane._parts.explainer.pending(request) is None


# Whatever a person sends ----------------------------------------------------------------------------------------------

TEXTS = st.one_of(
    st.sampled_from(
        [
            "",
            " ",
            "\x00",
            "\x1b[2J",
            "e\u0301",
            "\u202e",
            "\ufeff",
            "\ud800",
            "../x",
            "'; drop",
            "n3\n",
            "N3",
            "x" * 5000,
        ]
    ),
    st.text(max_size=8),
)
ASKED = ("action", "target", "reason", "an argument's name", "an argument's text")


def sent(part: str, text: str) -> bytes:
    """Return a question with a text in one of its parts, as a caller sends it who keeps to no form."""
    asked = {"action": "follow", "target": "n3", "reason": "a test", "arguments": {"upstream": "n2"}}
    if part == "an argument's name":
        asked["arguments"] = {text: "n2"}
    elif part == "an argument's text":
        asked["arguments"] = {"upstream": text}
    else:
        asked[part] = text
    pieces = {"action": asked["action"], "arguments": asked["arguments"], "reason": asked["reason"]}
    return msgspec.json.encode(pieces | {"target": asked["target"]}) if _is_unicode(text) else b'{"action":"\\ud800"}'


def _is_unicode(text: str) -> bool:
    try:
        return bool(text.encode()) or True
    except UnicodeEncodeError:
        return False


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> MemoryCluster:
    """Return a cluster that nothing is done to: whatever is asked for in vain leaves it as it was."""
    return MemoryCluster(tmp_path_factory.mktemp("shared"), PEOPLE)


@settings(max_examples=30)
@given(part=st.sampled_from(ASKED), text=TEXTS)
def test_whatever_a_person_sends_is_a_plan_or_a_refusal_of_theirs(shared: MemoryCluster, part: str, text: str) -> None:
    """In each part of a question: planned, or refused as their input, never as a failure of ours; and all on record."""
    size, request, why = shared.log.size, str(uuid.uuid4()), list[Refused]()
    try:
        shared.caller("alice").post("/v1/requests", sent(part, text), {"Idempotency-Key": request})
    except Refused as refused:
        why.append(refused)
    said = {(each.code.partition(".")[0], each.executed, each.status < 500) for each in why}
    assert said <= {("input", "not executed", True)}
    added = [read_record(data).event for _, data in shared.log.records(size)]
    assert added in ([], ["refused"], ["requested"], ["rejected"])
    assert canonical.encode(str(shared.caller("olga").get("/v1/requests?limit=3"), "utf-8"))


def test_an_explanation_under_way_names_no_request(room: MemoryCluster) -> None:
    """Looking uses no id up, awaits no confirmation and leaves no record, however often and by whomever."""
    for person in ("alice", "carol", "olga"):
        found = canonical.decode(room.caller(person).get("/v1/explain?action=stop&target=n3"), Planned)
        with pytest.raises(Refused) as refused:
            confirm(room, replace(found, plan="x"), "alice")
        assert refused.value.code == "input.request-unknown"
    assert room.log.size == 0


def test_a_silent_node_is_said_to_be_silent_whatever_it_is_asked_to_give_up(room: MemoryCluster) -> None:
    """That the log extends what it has seen would be a claim: it has said nothing. The refusal is on record."""
    room.silent["n3"] = "no route"
    mark = f"1:{'A' * 43}="
    asked = Ask(action="accept-log", target="n3", arguments={"seen": mark, "restored": mark}, reason="a test")
    request = str(uuid.uuid4())
    with pytest.raises(Refused) as error:
        ask(room, asked, request=request)
    assert error.value.code == "transport.target-silent"
    planned = Planned(request=request, accepted=False, plan="", digest="")
    assert [(each.event, each.code) for each in records(room, planned)] == [("refused", "transport.target-silent")]
