"""What nodes had seen of the log when they reported, held against the log that recorded their reports.

- A report that stands in the log carries the newest checkpoint that its node had seen, as the log's key signed it. So
  it has to be a beginning of this very log, and no longer than the log was when the report was recorded.
- One that is not proves that its node was shown another log, or that this one went back; nobody can make it up, since
  the log's key signed it. Only a whole log can tell: a single record's proof holds no other roots.
- A restored log holds such reports honestly: those by which nodes gave up what they had seen. What a node gave up by a
  signed, executed and logged act explains what it had reported before, up to what it gave up, and nothing else.

Pure: no I/O, no clock.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from aerodb.audit.against import Relation, RootAt
from aerodb.audit.findings import SEEN, Contradiction, Finding
from aerodb.audit.logged import Logged, held, noted
from aerodb.audit.note import Checkpoint, CheckpointForged, open_checkpoint
from aerodb.audit.record import Record
from aerodb.protocol.marks import Gap, mark_of

UNTOLD = "what its nodes had seen of the log; whether that is a beginning of it only a whole log shows"


_opened = lru_cache(256)(open_checkpoint)
"""A request's reports are made twice, and between the two most nodes see nothing new."""


RecordsOf = Callable[[str], Iterable[tuple[int, Record]]]
"""Gives the numbers and records of a request, in the log's order."""


class Whole(NamedTuple):
    """A log that is at hand as a whole: how many records it has, the roots over its beginnings, and every request."""

    size: int
    root_at: RootAt
    records_of: RecordsOf


class GivingUp(NamedTuple):
    """What a node gave up of another log, by an executed act: where that stands in the log, who, and what."""

    sequence: int
    node: str
    gap: Gap


def seen_then(entry: Logged, seen: dict[str, str], vkey: str, whole: Whole | None) -> Iterator[Finding]:
    """Yield how what nodes had `seen`, by the reports that a record holds, stands to the log; "" is nothing yet."""
    agree = list[str]()
    for node, text in seen.items():
        if not text:
            continue
        try:
            checkpoint = _opened(text, vkey)
        except CheckpointForged:
            yield noted(entry, SEEN, f"{node} reports a checkpoint that the log's key did not sign: it proves nothing")
            continue
        found = _contradiction(entry, node, checkpoint, whole)
        if found is None:
            agree.append(f"{node} ({checkpoint.size})")
        else:
            yield Finding(
                state="contradicts", part=SEEN, sequence=entry.sequence, said=said_of(found), contradiction=found
            )
    if agree and whole is None:
        yield noted(entry, SEEN, UNTOLD)
    elif agree:
        said = f"So many records its nodes had seen of the log by record {entry.sequence}, a beginning of this log: "
        yield held(entry, SEEN, said + ", ".join(agree) + ".", len(agree))


def _contradiction(entry: Logged, node: str, seen: Checkpoint, whole: Whole | None) -> Contradiction | None:
    other = whole is not None and seen.size <= whole.size and whole.root_at(seen.size) != seen.root
    if not other and seen.size <= entry.sequence:
        return None
    return Contradiction(
        node=node,
        seen=mark_of(seen.size, seen.root),
        kind="another" if other else "behind",
        first=entry.sequence,
        last=entry.sequence,
    )


def said_of(found: Contradiction) -> str:
    """Return a contradiction in a sentence, without its stop."""
    where = f"{found.node} had seen the log {found.seen}, by its own signed report in record {found.first}"
    if found.kind == "another":
        return f"{where}: that is no beginning of this log, so {found.node} was shown another"
    return f"{where}: the log had {found.first} records then, so it went back"


def unexplained(found: Iterable[Contradiction], given_up: Iterable[GivingUp]) -> tuple[Relation, ...]:
    """Return the contradictions that no node's signed act explains, each as how the log stands to what was seen."""
    acts = tuple(given_up)
    return tuple(
        Relation(kind=each.kind, said=said_of(each) + ", and nothing in it gave that up")
        for each in found
        if not any(map(_explains(each), acts))
    )


def _explains(found: Contradiction) -> Callable[[GivingUp], bool]:
    """Return whether an act explains what was found: its node's, later, of no less; of as much, the same log."""

    def explains(act: GivingUp) -> bool:
        reaches = found.seen.size < act.gap.seen.size or found.seen == act.gap.seen
        return act.node == found.node and act.sequence > found.last and reaches

    return explains
