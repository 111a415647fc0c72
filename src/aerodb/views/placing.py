"""What may be claimed of a timeline's entries: which certainly lie within a request, and which request came by another.

- Certain is the order within one source, that an entry comes after the one before it where its order says so, that a
  confirmation is logged before a node begins what it confirms; and what follows from these. Nothing else is claimed.
- A clock places nothing.

Pure: no I/O, no clock.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from aerodb.protocol.events import Kind
from aerodb.protocol.timeline import Entry
from aerodb.views.timeline import LOG

THEN_NAMED = re.compile(r"--then ([0-9a-f-]+)")
"""How the record of a request names the one that follows it: by the beginning of its id."""


class RequestSpan(NamedTuple):
    """A request: its title, the place of its first entry, those at which its node ended it, and of its records.

    What was refused of it is none of these: that may be long after.
    """

    title: str
    first: int
    ends: tuple[int, ...]
    records: tuple[int, ...]


def span_of(entries: Sequence[Entry], places: Sequence[int], title: str) -> RequestSpan:
    """Return the span of the request to which the entries at these places belong."""
    ends = tuple(at for at in places if entries[at].what == Kind.REQUEST and entries[at].before)
    told = tuple(at for at in places if entries[at].kind == "record" and entries[at].what != "refused")
    return RequestSpan(title, places[0], ends, told)


def within(entries: Sequence[Entry], spans: Sequence[RequestSpan]) -> list[tuple[str, ...]]:
    """Return of each entry the titles of the requests between whose beginning and end it certainly stands."""
    before = _certainly_before(entries)

    def certain(first: int, second: int) -> bool:
        return before[second].get(entries[first].source, -1) >= first

    found = list[tuple[str, ...]]()
    for at, entry in enumerate(entries):
        titles = list[str]()
        for span in spans:
            # Its node ends a request before that is logged: who is not in the log is held against the node's own mark.
            ends = span.records[-1:] if entry.source == LOG or not span.ends else span.ends
            if at != span.first and certain(span.first, at) and any(certain(at, end) for end in ends if end != at):
                titles.append(span.title)
        found.append(tuple(titles))
    return found


def _certainly_before(entries: Sequence[Entry]) -> list[dict[str, int]]:
    """Return of each entry, by source, the place of the last entry that certainly came before it."""
    found, last, confirmed = list[dict[str, int]](), dict[str, int](), dict[str, int]()
    for at, entry in enumerate(entries):
        known = dict[str, int]()
        sure = [last[entry.source]] if entry.source in last else []
        if at and entry.order == "after":
            sure.append(at - 1)
        if entry.what == Kind.REQUEST and entry.kind == "event" and entry.request in confirmed:
            sure.append(confirmed[entry.request])
        for place in sure:
            for source, seen in (*found[place].items(), (entries[place].source, place)):
                known[source] = max(known.get(source, -1), seen)
        found.append(known)
        last[entry.source] = at
        if entry.kind == "record" and entry.what == "confirmed":
            confirmed[entry.request] = at
    return found


def triggers(by_request: Mapping[str, Sequence[Entry]]) -> dict[str, str]:
    """Return of each request that was signed ahead, and had its turn, the one that it came after.

    Of several that named it the last one counts that was confirmed.
    """
    found = dict[str, str]()
    for request, entries in by_request.items():
        if not any(each.kind == "record" and each.what == "confirmed" for each in entries):
            continue
        named = {match[1] for each in entries for match in [THEN_NAMED.search(each.subject)] if match}
        for later in by_request:
            if later != request and any(later.startswith(each) for each in named):
                found[later] = request
    return {later: first for later, first in found.items() if first not in found}


def turn_of(entries: Sequence[Entry]) -> Entry:
    """Return the entry with which the turn of a request came that was signed ahead: the first that is not of before."""
    began = (each for each in entries if each.what == "triggered" or (each.kind == "event" and each.request))
    return next(began, entries[-1])
