"""Puts what every node saw and every record of the log into one order. Clocks never decide it.

Only this is certain, and what follows from it:
- Two entries of one source have the order of that source's sequence numbers.
- A request's confirmation is logged before any node begins it.
- What a primary saw when its WAL ended at a position came before everything, on any node or in a record's snapshot,
  that shows the same term's WAL beyond that position.

A sample of the standbys' lag is placed like an event of its agent, but is not shown as an entry.

The order shown always agrees with what is certain. If that leaves the order of two entries open, term, WAL position and
source decide which is shown first, and the second is marked as uncertain. The same input gives the same bytes.

Pure: no I/O, no clock.
"""

import bisect
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from aerodb.audit.record import Record
from aerodb.protocol.events import Event, EventPage, Kind, Lost
from aerodb.protocol.lags import LagSample
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.timeline import Entry, Lag, Timeline
from aerodb.views.requests import spoken_briefly

LOG = "log"
LogPlace = tuple[int, int]
"""A place in the WAL: the term, and the position in bytes."""
NOWHERE: LogPlace = (0, 0)


class _Position(msgspec.Struct):
    term: int | None
    lsn: str


class _Instance(msgspec.Struct):
    position: _Position | None


class _Facts(msgspec.Struct):
    instance: _Instance | None


class _Report(msgspec.Struct):
    facts: _Facts


class _Signed(msgspec.Struct):
    document: str


class _Snapshot(msgspec.Struct):
    reports: dict[str, _Signed]


def places_in(snapshot: bytes) -> tuple[LogPlace, ...]:
    """Return the highest WAL position in each term that a recorded snapshot shows, in order of the terms."""
    highest: dict[int, int] = {}
    for signed in msgspec.json.decode(snapshot, type=_Snapshot).reports.values():
        instance = msgspec.json.decode(signed.document, type=_Report).facts.instance
        position = instance.position if instance else None
        if position is not None and position.term is not None:
            highest[position.term] = max(highest.get(position.term, 0), Lsn.parse(position.lsn).value)
    return tuple(sorted(highest.items()))


class Item(msgspec.Struct, kw_only=True, eq=False):
    """An entry or a sample of lag while it is being ordered.

    `place` decides where it is shown if nothing is certain; `seen` are the WAL positions that it shows were reached;
    `writes` says that they are the primary's own. `known` counts, for each source, its entries that certainly come
    before this one, or are it.
    """

    entry: Entry
    source: int
    index: int
    place: LogPlace = NOWHERE
    seen: tuple[LogPlace, ...] = ()
    writes: bool = False
    known: list[int] = []
    late: int = 0
    sample: LagSample | None = None

    def is_within(self, node: str | None, term: int | None) -> bool:
        """Tell whether the item concerns that node and that term (None: any)."""
        about = self.sample is not None or node in {None, self.entry.node}
        return about and term in {None, self.place[0]}


def certain(first: Item, second: Item) -> bool:
    """Tell whether `first` certainly came before `second`; both must be ordered already."""
    return second.known[first.source] > first.index


# From the sources -------------------------------------------------------------------------------------------------


def _of_event(event: Event) -> Entry:
    request = event.subject if event.kind is Kind.REQUEST else ""
    return Entry(
        source=event.node, sequence=event.sequence, kind="gap" if event.kind is Kind.GAP else "event", order="start",
        what=event.kind, node=event.node, subject=event.subject, before=event.before, after=event.after,
        term=event.term, lsn=event.lsn, at=event.at, clock=event.clock, request=request,
    )  # fmt: skip


def _of_lost(node: str, lost: Lost) -> Entry:
    return Entry(
        source=node, sequence=lost.first, kind="gap", order="start", what="gap", node="" if node == LOG else node,
        subject="not kept" if node != LOG else "not asked for", before=str(lost.first), after=str(lost.last),
    )  # fmt: skip


def _of_record(sequence: int, record: Record, places: tuple[LogPlace, ...]) -> Entry:
    term, lsn = places[-1] if places else (None, 0)
    arguments = sorted(spoken_briefly(record.arguments, record.action))
    return Entry(
        source=LOG, sequence=sequence, kind="record", order="start", what=record.event, node=record.target,
        subject=" ".join(f"--{name} {value}" for name, value in arguments),
        after=record.result, term=term, lsn=Lsn(lsn) if places else None, at=record.at, clock=record.clock,
        request=record.request, operator=record.people, action=record.action, code=record.code, plan=record.plan,
        snapshot=record.snapshot,
    )  # fmt: skip


def _of_sample(node: str, sample: LagSample) -> Entry:
    return Entry(
        source=node, sequence=sample.events, kind="event", order="start", what="lag", node=node, term=sample.term,
        lsn=sample.lsn, at=sample.at,
    )  # fmt: skip


def _event_items(source: int, page: EventPage) -> list[Item]:
    """Return one node's events, gaps and samples of lag, in order; a sample follows the event that it names."""
    found: list[tuple[Entry, Event | LagSample | None]] = [(_of_event(event), event) for event in page.events]
    found += [(_of_lost(page.node, lost), None) for lost in page.lost]
    found += [(_of_sample(page.node, sample), sample) for sample in page.lags]
    found.sort(key=lambda pair: (pair[0].sequence, isinstance(pair[1], LagSample)))
    items, place = [], NOWHERE
    for index, (entry, told) in enumerate(found):
        seen: tuple[LogPlace, ...] = ()
        if told is not None and told.term is not None and told.lsn is not None:
            place = (told.term, told.lsn.value)
            seen = (place,)
        sample = told if isinstance(told, LagSample) else None
        writes = sample is not None or (isinstance(told, Event) and told.writing)
        items.append(
            Item(entry=entry, source=source, index=index, place=place, seen=seen, writes=writes, sample=sample)
        )
    return items


def _record_items(
    records: Sequence[tuple[int, Record]],
    places_of: Callable[[str], tuple[LogPlace, ...]],
    ended: Mapping[str, LogPlace],
) -> list[Item]:
    """Return the log's records; an outcome is placed where its node was when the request had ended."""
    items, place = [], NOWHERE
    if records and records[0][0] > 0:
        items.append(Item(entry=_of_lost(LOG, Lost(first=0, last=records[0][0] - 1)), source=0, index=0))
    for sequence, record in records:
        seen = places_of(record.snapshot) if record.snapshot else ()
        place, late = seen[-1] if seen else place, 0
        if record.event in {"outcome", "established"}:
            place, late = max(place, ended.get(record.request, NOWHERE)), 1
        entry = _of_record(sequence, record, seen)
        items.append(Item(entry=entry, source=0, index=len(items), place=place, seen=seen, late=late))
    return items


# The order --------------------------------------------------------------------------------------------------------


class _Causes:
    """Finds what certainly comes before an item, besides the previous item of its own source."""

    def __init__(self, chains: Sequence[Sequence[Item]]) -> None:
        self._confirmed = {item.entry.request: item for item in chains[0] if item.entry.what == "confirmed"}
        self._written: dict[int, dict[int, tuple[list[int], list[Item]]]] = {}
        for chain in chains:
            for item in chain:
                if item.writes and item.seen:
                    term, byte = item.seen[0]
                    bytes_, items = self._written.setdefault(term, {}).setdefault(item.source, ([], []))
                    bytes_.append(byte)
                    items.append(item)

    def of(self, item: Item) -> Iterator[Item]:
        """Yield the items that certainly come before."""
        if item.entry.what == Kind.REQUEST and item.entry.request in self._confirmed:
            yield self._confirmed[item.entry.request]
        for term, byte in item.seen:
            for source, (bytes_, items) in self._written.get(term, {}).items():
                at = bisect.bisect_left(bytes_, byte)
                if source != item.source and at:
                    yield items[at - 1]


def _merged(chains: Sequence[Sequence[Item]]) -> Iterator[Item]:
    """Yield all items in an order that agrees with all that is certain."""
    causes = _Causes(chains)
    waiting = [{id(item): list(causes.of(item)) for item in chain} for chain in chains]
    done = [0] * len(chains)

    def blocked(item: Item) -> bool:
        return any(cause.index >= done[cause.source] for cause in waiting[item.source][id(item)])

    while True:
        heads = [chain[done[at]] for at, chain in enumerate(chains) if done[at] < len(chain)]
        if not heads:
            return
        # If sources contradict one another, no item is free; then they are shown as if nothing were certain.
        free = [item for item in heads if not blocked(item)] or heads
        item = min(free, key=lambda each: (each.place, each.late, each.source))
        before = [cause for cause in waiting[item.source][id(item)] if cause.index < done[cause.source]]
        item.known = _known(item, before, chains)
        done[item.source] += 1
        yield item


def _known(item: Item, causes: Sequence[Item], chains: Sequence[Sequence[Item]]) -> list[int]:
    known = list(chains[item.source][item.index - 1].known) if item.index else [0] * len(chains)
    for cause in causes:
        known = [max(pair) for pair in zip(known, cause.known, strict=True)]
    known[item.source] = item.index + 1
    return known


def ordered(
    records: Sequence[tuple[int, Record]],
    places_of: Callable[[str], tuple[LogPlace, ...]],
    pages: Mapping[str, EventPage],
) -> tuple[Item, ...]:
    """Return all entries and samples in one order.

    `places_of` returns the positions in a recorded snapshot, given its digest.
    """
    events = [_event_items(at, pages[node]) for at, node in enumerate(sorted(pages), start=1)]
    ended = {
        item.entry.request: item.place
        for chain in events
        for item in chain
        if item.entry.what == Kind.REQUEST and item.entry.before
    }
    return tuple(_merged([_record_items(records, places_of, ended), *events]))


def entries(items: Sequence[Item], node: str | None = None, term: int | None = None) -> tuple[Entry, ...]:
    """Return the entries of one node and one term (None: of all), each with its relation to the one before it."""
    found: list[Entry] = []
    previous: Item | None = None
    for item in items:
        if item.sample is not None or not item.is_within(node, term):
            continue
        order = "start" if previous is None else "after" if certain(previous, item) else "uncertain"
        found.append(msgspec.structs.replace(item.entry, order=order))
        previous = item
    return tuple(found)


def lags(items: Sequence[Item], node: str | None = None, term: int | None = None) -> tuple[Lag, ...]:
    """Return the samples of lag; `after` is the number of entries (by `entries`, same node and term) before each."""
    found: list[Lag] = []
    after = 0
    for item in items:
        if not item.is_within(node, term):
            continue
        if item.sample is None:
            after += 1
            continue
        sample = item.sample
        standbys = tuple(each for each in sample.standbys if node in {None, item.entry.source, each.node})
        found.append(
            Lag(
                source=item.entry.source, after=after, looks=sample.looks, missed=sample.missed, term=sample.term,
                lsn=sample.lsn, at=sample.at, standbys=standbys,
            )
        )  # fmt: skip
    return tuple(found)


# In words -----------------------------------------------------------------------------------------------------------


def sentence(entry: Entry) -> str:
    """Return what an entry says, in a few words."""
    if entry.kind == "gap":
        return f"gap ({entry.subject}): nothing is known from {entry.before} to {entry.after}"
    if entry.kind == "record":
        about = " ".join(part for part in (entry.action, entry.node, entry.subject) if part)
        came = " ".join(part for part in (entry.after, entry.code) if part)
        return f"{entry.what} {about} by {entry.operator}" + (f": {came}" if came else "")
    head = " ".join(part for part in (entry.what, entry.subject) if part)
    return f"{head}: {entry.before} -> {entry.after}" if entry.before else f"{head}: {entry.after}"


def silences(timeline: Timeline) -> dict[str, str]:
    """Return, by node, why a node gave no events, as sentences without their subject."""
    return {name: f"gave no events: {why}" for name, why in timeline.missing.items()}
