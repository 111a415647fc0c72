"""The journal of events on disk: append-only, bounded in size, and never able to hold up or fail the agent.

- One event per line, in segments named by their first sequence number; the oldest are deleted when all grow too large.
- Sequence numbers only rise; the number of an event that could not be written is not reused, and shows as lost.
- Every line goes to the operating system at once and is never synced: a power failure may lose the newest events, on
  which nothing depends.
- Damage and a full disk raise nothing: what cannot be read or written becomes a gap, and the journal goes on.
"""

import datetime as dt
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec

from aerodb.errors import writable
from aerodb.protocol import canonical
from aerodb.protocol.events import Event, EventPage, Kind, Lost, Transition
from aerodb.protocol.facts import Facts, State
from aerodb.protocol.lsn import Lsn

BYTES_MAX = 1 << 20
SEGMENTS = 4
PAGE_EVENTS_MAX = 1_000
TEXT_CHARACTERS_MAX = 300


def _segment_of(path: Path) -> int:
    """Return the first sequence number of a segment, from its name."""
    return int(path.stem)


def _fit(text: str) -> str:
    """Return a text fit to be written: NFC, without lone surrogates, cut to the longest length allowed."""
    return writable(text)[:TEXT_CHARACTERS_MAX]


def _whole(segment: Path, bytes_max: int) -> bool:
    """Tell whether a segment may be appended to: it is not full, and its last line is complete."""
    with segment.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size == 0 or size >= bytes_max:
            return size == 0
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _from_text(kind: type, value: object) -> object:
    return Lsn.parse(value) if kind is Lsn else value


class EventJournal:
    """One node's journal of events. One thread appends; any thread may read."""

    def __init__(self, folder: Path, node: str, bytes_max: int = BYTES_MAX) -> None:
        """Find the end of the journal in `folder`, which will hold at most about `bytes_max`."""
        self._folder, self._node, self._bytes_max = folder, node, bytes_max
        self._clock = f"system clock of {socket.gethostname()}"
        self._decoder = msgspec.json.Decoder(Event, dec_hook=_from_text)
        self._unwritten = 0
        self._last = self._find_last()

    @property
    def last(self) -> int:
        """Return the newest sequence number; 0 if there is none yet."""
        return self._last

    def _segments(self) -> list[Path]:
        try:
            found = [path for path in self._folder.glob("*.jsonl") if path.stem.isdigit()]
        except OSError:
            return []
        return sorted(found, key=_segment_of)

    def _find_last(self) -> int:
        """Return the highest sequence number used, as far as the files tell; each damaged line counts as one."""
        for path in reversed(self._segments()):
            sequence = _segment_of(path) - 1
            for line in self._lines(path):
                event = self._decoded(line)
                sequence = max(sequence + 1, event.sequence if event else 0)
            return sequence
        return 0

    def _lines(self, path: Path) -> list[bytes]:
        try:
            return [line for line in path.read_bytes().split(b"\n") if line]
        except OSError:
            return []

    def _decoded(self, line: bytes) -> Event | None:
        try:
            return self._decoder.decode(line)
        except (msgspec.DecodeError, ValueError):
            return None

    # Appending ---------------------------------------------------------------------------------------------------

    def append(self, transition: Transition, facts: Facts | None) -> bool:
        """Write one transition as the newest event; return whether it was written. A failing disk raises nothing.

        An event that cannot be written is lost with its sequence number; a gap is written before the next event.
        """
        if self._unwritten:
            first = self._last - self._unwritten + 1
            gap = Transition(kind=Kind.GAP, subject="not written", before=str(first), after=str(self._last))
            if not self._write(self._event(gap, facts)):
                self._skip()
                return False
            self._unwritten = 0
        written = self._write(self._event(transition, facts))
        if not written:
            self._skip()
        return written

    def _skip(self) -> None:
        self._last += 1
        self._unwritten += 1

    def _event(self, transition: Transition, facts: Facts | None) -> Event:
        instance = facts.instance if facts else None
        position = instance.position if instance else None
        return Event(
            sequence=self._last + 1,
            node=self._node,
            kind=transition.kind,
            subject=_fit(transition.subject),
            before=_fit(transition.before),
            after=_fit(transition.after),
            term=position.term if position else None,
            lsn=position.lsn if position else None,
            writing=instance is not None and instance.state is State.RUNNING and instance.recovery is False,
            entries=facts.entries if facts else 0,
            at=dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            clock=self._clock,
        )

    def _write(self, event: Event) -> bool:
        """Write one line with one system call."""
        line = canonical.encode(event) + b"\n"
        try:
            descriptor = os.open(self._current(event.sequence), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                whole = os.write(descriptor, line) == len(line)
            finally:
                os.close(descriptor)
        except OSError:
            return False
        if whole:
            self._last = event.sequence
        return whole

    def _current(self, sequence: int) -> Path:
        """Return the segment to append to: the newest, or a new one if that is full or its last line is torn."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        segments = self._segments()
        if segments and _whole(segments[-1], self._bytes_max // SEGMENTS):
            return segments[-1]
        while segments and sum(path.stat().st_size for path in segments) > self._bytes_max * (SEGMENTS - 1) // SEGMENTS:
            segments.pop(0).unlink()
        return self._folder / f"{sequence:016d}.jsonl"

    # Reading -----------------------------------------------------------------------------------------------------

    def _events(self, since: int) -> Iterator[Event]:
        segments = self._segments()
        for at, path in enumerate(segments):
            following = segments[at + 1] if at + 1 < len(segments) else None
            if following is not None and _segment_of(following) <= since + 1:
                continue
            for line in self._lines(path):
                event = self._decoded(line)
                if event is not None and event.sequence > since:
                    yield event

    def page(self, since: int, count: int = PAGE_EVENTS_MAX) -> EventPage:
        """Return at most `count` events after sequence number `since`, in order, and the numbers lost between them."""
        last = self._last
        events: list[Event] = []
        for event in self._events(since):
            if len(events) == min(count, PAGE_EVENTS_MAX):
                break
            if event.sequence > (events[-1].sequence if events else since):
                events.append(event)
        end = events[-1].sequence if len(events) == min(count, PAGE_EVENTS_MAX) else max(last, since)
        return EventPage(node=self._node, last=last, lost=_lost(since, events, end), events=tuple(events))


def _lost(since: int, events: list[Event], end: int) -> tuple[Lost, ...]:
    """Return the sequence numbers after `since`, up to and including `end`, that none of the events has."""
    found, expected = [], since + 1
    for event in events:
        if event.sequence > expected:
            found.append(Lost(first=expected, last=event.sequence - 1))
        expected = event.sequence + 1
    if expected <= end:
        found.append(Lost(first=expected, last=end))
    return tuple(found)
