"""A request's life, driven at random: people, nodes, the log and the processes do whatever they can at any moment.

The real control plane, its API and its agents; PostgreSQL alone is in memory, and the log is let fail.
"""

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from aerodb.audit.record import Record, read_record
from aerodb.audit.store import LogUnavailable
from aerodb.errors import AeroError
from aerodb.protocol import canonical
from aerodb.protocol.api import Ask, Done, Planned, RequestLine, Requests
from tests.unit.conftest import MEMORY
from tests.unit.neighbours.cluster import MemoryCluster
from tests.unit.neighbours.life import PEOPLE, ask, ask_for_seconds, confirm, events, outcome, sign_first
from tests.unit.neighbours.watched import watched
from tests.unit.neighbours.wire import Killed

NODE = "n3"
PERSON = st.sampled_from(["alice", "bob", "carol"])
OPERATOR = st.sampled_from(["alice", "bob"])
EFFECTS = {"checkpoint", "stop", "start"}
"""What is done once for each of the actions; naming an upstream before a start is only a step of it."""
ACTION = st.sampled_from(["checkpoint", "checkpoint", "stop", "start"])
KILLED = st.sampled_from(["control plane", "agent", "agent, once its shutdown has had its effect"])
EVENT = st.sampled_from(["requested", "signed", "confirmed", "outcome", "established", "declined"])


class Deeds(list[str]):
    """What a node has done: each deed is told of as it is done."""

    def __init__(self, told: Callable[[str], None]) -> None:
        """Begin with none."""
        super().__init__()
        self._told = told

    def append(self, deed: str, /) -> None:
        """Add a deed."""
        super().append(deed)
        self._told(deed)


class Life:
    """Two operators and an auditor, one node that is acted on, and everything that can happen to them."""

    def __init__(self) -> None:
        """Make a cluster."""
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_mount() else None))
        self.room = MemoryCluster(self.folder, PEOPLE)
        self.log = watched(self.room)
        self.planned: list[Planned] = []
        self.deeds: list[str] = []
        self.wrong: list[str] = []
        self.asked_of: dict[str, str] = {}

    def begin(self, *, two: bool) -> None:
        """Have the node ask for a second person, or not; from then on its deeds are watched."""
        if two:
            ask_for_seconds(self.room)
        self.room.servers[NODE].done = Deeds(self._does)

    def _does(self, deed: str) -> None:
        """Note a deed with the request that it is for, whose confirmation has to be in the log by now."""
        request = self.room.houses[NODE].agent._turns.taken
        if deed in EFFECTS:
            self.deeds.append(request)
        if "confirmed" not in [each.event for each in self._records(request)]:
            self.wrong.append(f"{deed} of {request}, which is not confirmed in the log")

    def _records(self, request: str) -> list[Record]:
        reader = self.room.plane._parts.reader
        return [read_record(data) for _, data in reader.records(request)]

    def step(self, name: str, *given_: Any) -> None:
        """Take one step; one that is of a plan is left out where there is none yet."""
        first, *rest = given_ or (None,)
        if not isinstance(first, int):
            getattr(self, name)(*given_)
        elif first < len(self.planned):
            getattr(self, name)(self.planned[-1 - first], *rest)

    # People -----------------------------------------------------------------------------------------------------------

    def asks(self, person: str, action: str) -> Planned | None:
        """Ask for something."""
        try:
            planned = ask(self.room, Ask(action=action, target=NODE, arguments={}, reason="a test"), person)
        except AeroError:
            return None
        self.planned.append(planned)
        self.asked_of[planned.request] = person
        return planned

    def signs_first(self, planned: Planned, person: str) -> None:
        """Sign as the requester where a second person is due."""
        with suppress(AeroError):
            sign_first(self.room, planned, person)

    def confirms(self, planned: Planned, person: str) -> None:
        """Confirm, alone or as the second; who succeeds is told what the node did."""
        with suppress(AeroError):
            self._told(planned, confirm(self.room, planned, person))

    def lives_as_it_should(self, person: str, action: str) -> None:
        """Ask, sign and confirm as the node demands."""
        planned = self.asks(person, action)
        if planned is not None:
            self.confirms(planned, person)
            self.signs_first(planned, person)
            self.confirms(planned, "bob" if person == "alice" else "alice")

    def declines(self, planned: Planned, person: str) -> None:
        """Let a plan go."""
        with suppress(AeroError):
            body = self.room.caller(person).post(f"/v1/requests/{planned.request}/decline", b"{}")
            assert canonical.decode(body, RequestLine).state == "declined"

    def asks_what_became_of_it(self, planned: Planned) -> None:
        """Ask the node; what it says is what it did."""
        with suppress(AeroError):
            self._told(planned, outcome(self.room, planned))

    def _told(self, planned: Planned, done: Done) -> None:
        if done.result == "executed":
            assert planned.request in self.deeds
        elif done.result == "not executed":
            assert planned.request not in self.deeds

    # Processes, ways, and the log -------------------------------------------------------------------------------------

    def is_killed(self, what: str) -> None:
        """A process dies, and another begins."""
        if what == "control plane":
            self.room.plane._agents._pool.shutdown()
            self.room.begin()
            self.room.plane.begin(self.room.plane.left_over())
        elif what == "agent":
            self.room.houses[NODE].again()
        else:
            self.room.servers[NODE].meanwhile = self._dies

    def _dies(self) -> None:
        server = self.room.servers[NODE]
        server.meanwhile = lambda: None
        server._shut_down()
        raise Killed

    def way_is_lost(self, lost: str) -> None:
        """The node is not reached, or its answers are lost."""
        getattr(self.room, lost)[NODE] = "the connection broke"

    def log_fails(self, event: str, when: str, how: str) -> None:
        """At the next record of an event, before or after it is durable; or the process ends there."""

        def fails(record: Record) -> None:
            if record.event == event:
                self.log.before = self.log.after = lambda _: None
                raise Killed if how == "killed" else LogUnavailable("the disk is full")

        setattr(self.log, when, fails)

    def mends(self) -> None:
        """All ways are there, and the log works."""
        self.log.before = self.log.after = lambda _: None
        self.room.silent.pop(NODE, None)
        self.room.cut.pop(NODE, None)

    # What always holds ------------------------------------------------------------------------------------------------

    def nothing_is_done_twice_or_unlogged(self) -> None:
        """Each request is carried out at most once, and not before its confirmation is in the log."""
        assert not self.wrong
        assert len(self.deeds) == len(set(self.deeds))
        assert set(self.deeds) <= {each.request for each in self.planned}

    def end(self) -> None:
        """Let the cluster go."""
        self.room.close()
        shutil.rmtree(self.folder)

    def shown(self) -> None:
        """Hold what everybody is shown of each request to what the node did; and each verifies."""
        states = {line.request: line.state for line in self._lines()}
        for planned in self.planned:
            recorded, state = events(self.room, planned), states[planned.request]
            if state in {"executed", "not executed"}:
                assert (planned.request in self.deeds) == (state == "executed"), recorded
            else:
                assert "confirmed" in recorded or planned.request not in self.deeds, recorded
            assert not {"confirmed", "declined"} <= set(recorded), recorded
            doubted = self.room.plane._parts.reader.judged(planned.request)
            assert all(each.state in ("holds", "noted") for each in doubted), recorded

    def _lines(self) -> tuple[RequestLine, ...]:
        return canonical.decode(self.room.caller("carol").get("/v1/requests?limit=100"), Requests).requests


PLAN = st.integers(0, 2)
"""Which plan, counted from the newest."""
STEP = st.one_of(
    st.tuples(st.just("asks"), OPERATOR, ACTION),
    st.tuples(st.just("lives_as_it_should"), OPERATOR, ACTION),
    st.tuples(st.just("signs_first"), PLAN, PERSON),
    st.tuples(st.just("confirms"), PLAN, PERSON),
    st.tuples(st.just("declines"), PLAN, PERSON),
    st.tuples(st.just("asks_what_became_of_it"), PLAN),
    st.tuples(st.just("is_killed"), KILLED),
    st.tuples(st.just("way_is_lost"), st.sampled_from(["silent", "cut"])),
    st.tuples(st.just("log_fails"), EVENT, st.sampled_from(["before", "after"]), st.sampled_from(["killed", "full"])),
    st.just(("mends",)),
)


@settings(max_examples=4)
@given(two=st.booleans(), steps=st.lists(STEP, min_size=25, max_size=25))
def test_whatever_happens_nothing_is_done_twice_or_said_otherwise(two: bool, steps: list[tuple[Any, ...]]) -> None:  # noqa: FBT001 - hypothesis passes it by name.
    """Each request is carried out at most once, and logged before; what is said of it is what the node did.

    And an auditor's verification finds nothing wrong with any.
    """
    life = Life()
    life.begin(two=two)
    try:
        for name, *given_ in steps:
            life.step(name, *given_)
            life.nothing_is_done_twice_or_unlogged()
        life.mends()
        life.shown()
    finally:
        life.end()
