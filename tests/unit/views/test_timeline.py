"""The order of the timeline: what it calls certain is true, whatever really happened; and it is the same every time."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from aerodb.audit.record import Record
from aerodb.protocol import canonical
from aerodb.protocol.events import Event, EventPage, Kind, Lost
from aerodb.protocol.lags import LagSample, StandbyLag
from aerodb.protocol.lsn import Lsn
from aerodb.views.timeline import Item, LogPlace, certain, entries, lags, ordered

NODES = ("n1", "n2", "n3")


@dataclass
class World:
    """A cluster that really happens, step by step: one log a term, standbys behind it, looks, requests, a log."""

    term: int = 1
    primary: str = "n1"
    ends: dict[str, tuple[int, int]] = field(default_factory=lambda: dict.fromkeys(NODES, (1, 10)))
    time: int = 0
    events: dict[str, list[Event]] = field(default_factory=lambda: {name: [] for name in NODES})
    samples: dict[str, list[LagSample]] = field(default_factory=lambda: {name: [] for name in NODES})
    records: list[tuple[int, Record]] = field(default_factory=list)
    snapshots: dict[str, tuple[LogPlace, ...]] = field(default_factory=dict)
    times: dict[tuple[str, int], int] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def see(self, node: str, kind: Kind, subject: str = "", before: str = "", after: str = "x") -> None:
        """Have a node's observer see something."""
        term, lsn = self.ends[node]
        event = Event(
            sequence=len(self.events[node]) + 1, node=node, kind=kind, subject=subject, before=before, after=after,
            term=term, lsn=Lsn(lsn), writing=node == self.primary, entries=0, at="", clock="",
        )  # fmt: skip
        self.events[node].append(event)
        self._stamp(node, event.sequence)

    def sample(self, node: str) -> None:
        """Have a primary's agent take a sample; what would be a clock's word says here when it really was."""
        self.time += 1
        term, lsn = self.ends[node]
        standbys = tuple(
            StandbyLag(node=name, flush_bytes=max(lsn - self.ends[name][1], 0), replay_bytes=None)
            for name in NODES
            if name != node
        )
        self.samples[node].append(
            LagSample(
                looks=1, missed=0, events=len(self.events[node]), term=term, lsn=Lsn(lsn), at=str(self.time),
                standbys=standbys,
            )
        )  # fmt: skip

    def happened(self, item: Item) -> int:
        """Return when an entry or a sample really was."""
        return int(item.sample.at) if item.sample else self.times[item.entry.source, item.entry.sequence]

    def record(self, event: str, request: str, snapshot: str = "") -> None:
        """Append a record."""
        made = Record(event=event, at="", clock="", request=request, operator="ada", snapshot=snapshot)  # type: ignore[arg-type]
        self.records.append((len(self.records), made))
        self._stamp("log", len(self.records) - 1)

    def _stamp(self, source: str, sequence: int) -> None:
        self.time += 1
        self.times[source, sequence] = self.time

    def step(self, what: str, node: str) -> None:
        """Let one thing happen."""
        term, lsn = self.ends[node]
        if what == "write":
            self.ends[self.primary] = (self.term, self.ends[self.primary][1] + 5)
        elif what == "stream" and node != self.primary:
            self.ends[node] = self.ends[self.primary]
        elif what == "promote" and node != self.primary and (term, lsn) == self.ends[self.primary]:
            self.term, self.primary = self.term + 1, node
            self.ends[node] = (self.term, lsn + 1)
        elif what == "look":
            self.see(node, Kind.SENDER)
        elif what == "sample":
            self.sample(self.primary)
        elif what == "ask":
            self._ask(node)
        elif what == "run" and self.requests:
            request = self.requests.pop()
            self.see(node, Kind.REQUEST, request, "", "begun")
            self.see(node, Kind.REQUEST, request, "begun", "ended: executed")

    def _ask(self, node: str) -> None:
        request = f"r{len(self.records)}"
        self.snapshots[request] = tuple(sorted({self.ends[node], self.ends[self.primary]}))
        self.record("requested", request, request)
        self.record("confirmed", request, request)
        self.requests.append(request)
        self.record("outcome", request)

    def pages(self) -> dict[str, EventPage]:
        """Return what the agents give."""
        return {
            name: EventPage(node=name, last=len(events), lost=(), events=tuple(events), lags=tuple(self.samples[name]))
            for name, events in self.events.items()
        }

    def ordered(self) -> tuple[Item, ...]:
        """Return the timeline."""
        return ordered(self.records, lambda digest: self.snapshots.get(digest, ()), self.pages())


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["write", "write", "stream", "stream", "promote", "look", "look", "sample", "ask", "run"]),
        st.sampled_from(NODES),
    ),
    max_size=60,
)


def lived(steps: Sequence[tuple[str, str]]) -> World:
    """Return a world after these steps."""
    world = World()
    for what, node in steps:
        world.step(what, node)
    return world


@settings(max_examples=300)
@given(STEPS)
def test_what_is_certain_really_happened_so(steps: list[tuple[str, str]]) -> None:
    """Of any two entries that are called certain, the first really came before the second."""
    world = lived(steps)
    items = world.ordered()
    for at, first in enumerate(items):
        for second in items[at + 1 :]:
            times = [world.happened(item) for item in (first, second)]
            assert not certain(second, first)
            if certain(first, second):
                assert times[0] < times[1]


@given(STEPS)
def test_each_source_keeps_its_own_sequence(steps: list[tuple[str, str]]) -> None:
    """Nothing is lost, and entries of one source are never turned round and never called uncertain."""
    world = lived(steps)
    items = world.ordered()
    told = sum(map(len, world.events.values())) + sum(map(len, world.samples.values()))
    assert len(items) == len(world.records) + told
    for source in ("log", *NODES):
        own = [item for item in items if item.entry.source == source]
        assert [item.index for item in own] == list(range(len(own)))
        assert all(certain(first, second) for first, second in itertools.pairwise(own))


@given(STEPS, st.permutations(NODES))
def test_the_same_input_gives_the_same_bytes(steps: list[tuple[str, str]], names: list[str]) -> None:
    """In whatever order the agents answered, the timeline is the same, byte for byte."""
    world = lived(steps)
    pages = world.pages()
    turned = {name: pages[name] for name in names}
    other = ordered(world.records, lambda digest: world.snapshots.get(digest, ()), turned)
    assert canonical.encode(entries(other)) == canonical.encode(entries(world.ordered()))
    assert canonical.encode(lags(other)) == canonical.encode(lags(world.ordered()))


@given(STEPS, st.sampled_from(NODES))
def test_a_filter_only_leaves_out(steps: list[tuple[str, str]], node: str) -> None:
    """What is shown of one node stands in the order of the whole, and its marks are judged among what is shown."""
    items = lived(steps).ordered()
    shown = entries(items, node)
    kept = [item for item in items if item.entry.node == node and not item.sample]
    assert [(each.source, each.sequence) for each in shown] == [(k.entry.source, k.entry.sequence) for k in kept]
    for entry, previous, item in zip(shown[1:], kept, kept[1:], strict=False):
        assert (entry.order == "after") is certain(previous, item)


@given(STEPS, st.sampled_from([None, *NODES]), st.sampled_from([None, 1, 2]))
def test_samples_stand_between_the_entries_that_are_shown(
    steps: list[tuple[str, str]], node: str | None, term: int | None
) -> None:
    """Each comes after as many of them as it says, never before an event that it was taken after, and in its order."""
    world = lived(steps)
    shown, found = entries(world.ordered(), node, term), lags(world.ordered(), node, term)
    assert [each.after for each in found] == sorted(each.after for each in found)
    assert {each.term for each in found} <= ({term} if term else {each.term for each in found})
    for source in NODES:
        own = {sample.at: sample for sample in world.samples[source]}
        for each in (lag for lag in found if lag.source == source):
            before = {entry.sequence for entry in shown[: each.after] if entry.source == source}
            after = {entry.sequence for entry in shown[each.after :] if entry.source == source}
            assert max(before, default=0) <= own[each.at].events < min(after, default=1 << 60)
            names = {standby.node for standby in each.standbys}
            assert names == ({node} if node not in {None, source} else set(NODES) - {source})
    if term is None:
        assert len(found) == sum(map(len, world.samples.values()))


def test_terms_and_positions_order_what_is_open() -> None:
    """A switchover is told in its order: the old term, the request, the new term; a lagging standby is uncertain."""
    world = World()
    for what, node in (("look", "n1"), ("write", "n1"), ("stream", "n2"), ("look", "n2"), ("look", "n3"),
                       ("promote", "n2"), ("ask", "n2"), ("run", "n2"), ("look", "n2")):  # fmt: skip
        world.step(what, node)
    shown = [(each.source, each.what, each.order) for each in entries(world.ordered())]
    assert shown == [
        ("n1", "sender", "start"),
        ("n3", "sender", "uncertain"),
        ("n2", "sender", "uncertain"),
        ("log", "requested", "uncertain"),
        ("log", "confirmed", "after"),
        ("n2", "request", "after"),
        ("n2", "request", "after"),
        ("n2", "sender", "after"),
        ("log", "outcome", "uncertain"),
    ]


def test_gaps_are_entries() -> None:
    """What a node does not keep, what nobody looked at, and older records that were not asked for are all shown."""
    world = World()
    world.see("n1", Kind.GAP, "not looked at", "0", "1")
    page = EventPage(node="n2", last=9, lost=(Lost(first=1, last=9),), events=())
    world.record("requested", "r")
    found = ordered([(7, world.records[0][1])], lambda _: (), {"n1": world.pages()["n1"], "n2": page})
    gaps = {(each.source, each.subject, each.before, each.after) for each in entries(found) if each.kind == "gap"}
    assert gaps == {
        ("log", "not asked for", "0", "6"),
        ("n1", "not looked at", "0", "1"),
        ("n2", "not kept", "1", "9"),
    }


def test_sources_that_contradict_one_another_are_still_shown() -> None:
    """Positions that cannot be true give some order, the same every time, and lose nothing."""
    world = World()
    for node in ("n1", "n2"):
        for lsn in (100, 50):
            world.ends[node] = (1, lsn)
            world.primary = node
            world.see(node, Kind.SENDER)
    items = world.ordered()
    assert len(items) == 4
    assert [item.entry.source for item in items] == [item.entry.source for item in world.ordered()]
