"""The timeline as a story: requests with what their nodes saw while they ran, and what belongs to no request apart.

- A chapter stands where its first entry stands in the timeline's order; no entry is left out, and none is said twice.
  A request that was signed ahead stands after the one that it came after, at its turn.
- Beneath a request stands what its own node saw between beginning and ending it. What others saw then is shown apart,
  as "meanwhile", where that is certain: that the request caused it may be so, and is not known.
- An order that is uncertain is marked where it matters: between two chapters, and between lines of different nodes.
- Times are as each source's own clock showed them. They place nothing.

Pure: no I/O, no clock.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from aerodb.protocol.calendar import milliseconds_of
from aerodb.protocol.classification import REDACTED
from aerodb.protocol.events import OBSERVER_FAILED, RUNS_AS, Kind
from aerodb.protocol.timeline import Entry, Timeline
from aerodb.views.placing import span_of, triggers, turn_of, within
from aerodb.views.requests import state_style
from aerodb.views.timeline import LOG, sentence

REQUEST, EVENTS, GAP = "request", "events", "gap"
ORDERING = "In the order of terms, WAL positions and each source's own numbers. Clocks are shown, and decide nothing."
LEGEND = {
    REQUEST: "a request, and beneath it what its node saw while it ran",
    EVENTS: "of no request",
    GAP: "gap: nothing is known",
    "uncertain": "either order: nothing tells whether it came before or after what is shown above it",
}
DEFINITE = frozenset({"executed", "not executed"})
"""The outcomes that stand for good."""
NOTHING_KNOWN = "Nothing is known yet."


@dataclass(frozen=True, kw_only=True)
class When:
    """A time as a source's clock showed it: since the story's beginning, in the day, and exactly with the clock's name.

    All are empty where the source showed none.
    """

    since: str = ""
    time: str = ""
    exact: str = ""


@dataclass(frozen=True, kw_only=True)
class StoryLine:
    """What one source saw, one entry after the other, in words.

    `uncertain` says that nothing tells whether it came before or after the line above it.
    """

    node: str
    said: str
    when: When
    uncertain: bool
    entries: tuple[Entry, ...]


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """A request, or what happened apart from any; `lines` are what stands beneath its title.

    `records` are the first and the last of a request's records in the log, where they are known. `meanwhile` names the
    requests between whose beginning and end a chapter of no request stands. `uncertain` is of its place after the
    chapter above it.
    """

    kind: str
    title: str
    when: When
    uncertain: bool
    lines: tuple[StoryLine, ...] = ()
    request: str = ""
    state: str = ""
    code: str = ""
    operator: str = ""
    records: tuple[int, int] | None = None
    snapshot: str = ""
    meanwhile: tuple[str, ...] = ()

    @property
    def style(self) -> str:
        """Return the style of a request's state."""
        return state_style(self.state)

    @property
    def about(self) -> str:
        """Return who asked, and which records of the log say so; or what was under way meanwhile."""
        if self.meanwhile:
            return f"between beginning and end of {', '.join(self.meanwhile)}"
        return ", ".join(part for part in (self.operator, records_text(self.records)) if part)


def records_text(records: tuple[int, int] | None) -> str:
    """Return the numbers of a request's records in words; empty where none is known."""
    if records is None:
        return ""
    first, last = records
    return f"record {first}" if first == last else f"records {first} to {last}"


# Which entry belongs where --------------------------------------------------------------------------------------------


def _owners(entries: Sequence[Entry]) -> list[str]:
    """Return the request that each entry belongs to; empty where it is none's."""
    running, found = dict[str, str](), list[str]()
    for entry in entries:
        marks = entry.what == Kind.REQUEST and entry.source != LOG
        if marks and not entry.before:
            running[entry.source] = entry.request
        owner = entry.request or (running.get(entry.source, "") if entry.kind == "event" else "")
        found.append(owner)
        if (marks and entry.before) or entry.kind == "gap":
            running.pop(entry.source, None)
    return found


def _grouped(
    entries: Sequence[Entry], owners: Sequence[str], during: Sequence[tuple[str, ...]]
) -> list[tuple[str, str, list[int]]]:
    """Return the chapters as their kind, their request and the places of their entries, in the story's order.

    What certainly happened during a request stands in another chapter than what may not have.
    """
    chapters, of_request = list[tuple[str, str, list[int]]](), dict[str, list[int]]()
    for at, (entry, owner) in enumerate(zip(entries, owners, strict=True)):
        if owner in of_request:
            of_request[owner].append(at)
            continue
        kind = REQUEST if owner else GAP if entry.kind == "gap" else EVENTS
        if kind != REQUEST and chapters and chapters[-1][0] == kind and during[chapters[-1][2][-1]] == during[at]:
            chapters[-1][2].append(at)
            continue
        chapters.append((kind, owner, [at]))
        if owner:
            of_request[owner] = chapters[-1][2]
    return chapters


def story(entries: Sequence[Entry]) -> tuple[Chapter, ...]:
    """Return a timeline's entries as chapters."""
    owners = _owners(entries)
    of_request = dict[str, list[int]]()
    for at, owner in enumerate(owners):
        if owner:
            of_request.setdefault(owner, []).append(at)
    by_request = {name: [entries[at] for at in places] for name, places in of_request.items()}
    spans = [span_of(entries, places, _title(by_request[name])) for name, places in of_request.items()]
    during, begin, after = within(entries, spans), _begin(entries), triggers(by_request)
    found, waiting = list[Chapter](), dict[str, list[str]]()
    for later, first in after.items():
        waiting.setdefault(first, []).append(later)
    for kind, request, places in _grouped(entries, owners, during):
        if kind != REQUEST:
            found.append(_apart(kind, [entries[at] for at in places], begin, during[places[0]]))
            continue
        if request in after:
            continue  # It stands beneath the request that it came after.
        found.append(_of_request(request, by_request[request], begin))
        found += [_of_turn(later, by_request[later], begin) for later in waiting.get(request, ())]
    return tuple(found)


def _begin(entries: Sequence[Entry]) -> int | None:
    """Return from when times are counted: the first one shown, or the log's earliest where that is before it."""
    times = [(entry, ms) for entry in entries if (ms := milliseconds_of(entry.at)) is not None]
    logged = [ms for entry, ms in times if entry.source == LOG]
    return min([times[0][1], *logged]) if times else None


# Chapters -------------------------------------------------------------------------------------------------------------


def _title(entries: Sequence[Entry]) -> str:
    records = [entry for entry in entries if entry.kind == "record"]
    first = next((entry for entry in records if entry.what != "refused"), records[0] if records else None)
    if first is None:
        return f"request {next(entry.request for entry in entries if entry.request)[:8]}"
    return " ".join(part for part in (first.action, first.node, first.subject) if part)


def _state(entries: Sequence[Entry]) -> tuple[str, str]:
    """Return what became of a request as far as its entries tell, and the code of why.

    What is refused afterwards, whoever tried it, changes nothing; nor does an answer that was lost change what its node
    has signed before.
    """
    state, said = ("planned", ""), False
    for entry in entries:
        if entry.kind == "record" and entry.what == "refused":
            state = state if said else (entry.what, entry.code)
        elif entry.kind == "record" and entry.what in {"outcome", "established"}:
            state = state if entry.after == "unknown" and state[0] in DEFINITE else (entry.after, entry.code)
        elif entry.kind == "record" and state[0] not in DEFINITE:
            state = ("planned", "") if entry.what == "requested" else (entry.what, entry.code)
        elif entry.what == Kind.REQUEST and entry.kind == "event" and state[0] in {"planned", "confirmed", "triggered"}:
            state = (entry.after.removeprefix("ended: ") if entry.before else "confirmed", "")
        said = said or (entry.kind == "record" and entry.what != "refused")
    return state


def _of_turn(request: str, entries: Sequence[Entry], begin: int | None) -> Chapter:
    """Return the chapter of a request that was signed ahead: it stands at its turn, after the one before it."""
    return replace(_of_request(request, entries, begin), when=_when(turn_of(entries), begin), uncertain=False)


def _of_request(request: str, entries: Sequence[Entry], begin: int | None) -> Chapter:
    records = [entry for entry in entries if entry.kind == "record"]
    seen = [entry for entry in entries if entry.kind != "record" and entry.what != Kind.REQUEST]
    state, code = _state(entries)
    return Chapter(
        kind=REQUEST, title=_title(entries), when=_when(entries[0], begin),
        uncertain=entries[0].order == "uncertain",
        lines=tuple(replace(line, uncertain=False) for line in _lines(seen, begin)),
        request=request, state=state, code=code,
        operator=next((entry.operator for entry in records if entry.what != "refused"), ""),
        records=(records[0].sequence, records[-1].sequence) if records else None,
        snapshot=next((entry.snapshot for entry in records if entry.snapshot), ""),
    )  # fmt: skip


def _apart(kind: str, entries: Sequence[Entry], begin: int | None, meanwhile: tuple[str, ...]) -> Chapter:
    names = ", ".join(dict.fromkeys(f"the {LOG}" if entry.source == LOG else entry.source for entry in entries))
    title = f"Gap in what is known of {names}" if kind == GAP else f"{'Meanwhile on' if meanwhile else 'On'} {names}"
    return Chapter(
        kind=kind, title=title, when=_when(entries[0], begin), uncertain=entries[0].order == "uncertain",
        lines=_lines(entries, begin), meanwhile=meanwhile,
    )  # fmt: skip


def _lines(entries: Sequence[Entry], begin: int | None) -> tuple[StoryLine, ...]:
    """Return the entries as lines: those of one source that follow one another share one."""
    runs = list[list[Entry]]()
    for entry in entries:
        if runs and runs[-1][0].source == entry.source:
            runs[-1].append(entry)
        else:
            runs.append([entry])
    return tuple(
        StoryLine(
            node=run[0].source, said="; ".join(map(told, run)), when=_when(run[0], begin),
            uncertain=at > 0 and run[0].order == "uncertain", entries=tuple(run),
        )
        for at, run in enumerate(runs)
    )  # fmt: skip


# Times ----------------------------------------------------------------------------------------------------------------


def _when(entry: Entry, begin: int | None) -> When:
    now = milliseconds_of(entry.at)
    if now is None or begin is None:
        return When()
    exact = f"{entry.at}, by the {entry.clock}" if entry.clock else entry.at
    return When(since=since_text(now - begin), time=entry.at[11:19], exact=exact)


def since_text(milliseconds: int) -> str:
    """Return a stretch of time as hours, minutes and seconds, with its sign; the clocks of two sources may differ."""
    seconds = abs(milliseconds) // 1000
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    text = f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"
    return f"{'' if not seconds else '-' if milliseconds < 0 else '+'}{text}"


# In words -------------------------------------------------------------------------------------------------------------

_WAS = {
    Kind.ROLE: "stands as a {after}",
    Kind.STATE: "PostgreSQL is {after}",
    Kind.TERM: "its WAL is of term {after}",
    Kind.TIMELINE: "its WAL is on timeline {after}",
    Kind.FOLDER: "uses the data folder {after}",
    Kind.PLEDGED: "pledged {after}",
    Kind.GRANTED: "knows the grant of {after}",
    Kind.RECEIVER: "its receiver is {after}",
    Kind.RESTART: "PostgreSQL was started at {after}",
    Kind.CRASH_RECOVERY: "PostgreSQL {after}",
    Kind.DRIFT: "settings that its agent did not write: {after}",
    Kind.SENDER: "sends to {subject}: {after}",
    Kind.SLOT: "slot {subject}: {after}",
    Kind.SETTING: "setting {subject}: {after}",
}
"""What each kind of event says; what was before stands after it."""

_WAS_OF = {(Kind.ROLE, RUNS_AS): "{subject} runs as a {after}"}
"""What an event of a kind says of one subject alone."""
_AT_FIRST = {(Kind.RECEIVER, "down"): "receives from nobody"}
"""What an event says where nothing was known before."""
_CANDIDACIES = {Kind.PLEDGED, Kind.GRANTED}
_WHOLE = {
    (Kind.RECOVERY, "yes"): "PostgreSQL is in recovery",
    (Kind.RECOVERY, "no"): "PostgreSQL is out of recovery",
    (Kind.RECOVERY, "unknown"): "whether PostgreSQL is in recovery is unknown",
    (Kind.HALTED, "no"): "is to run again",
    (Kind.HALTED, "stopped by a person"): "was stopped by a person, and stays down until a person starts it",
    (Kind.UPSTREAM, "none"): "follows nobody",
    (Kind.RECEIVER, "down"): "its receiver ended",
}
"""What an event says that needs no word of what was before."""


def told(entry: Entry) -> str:
    """Return what an entry says of its source, in plain words."""
    if entry.kind == "gap":
        return _gap(entry)
    if entry.kind == "record" or entry.what not in set(Kind):
        return sentence(entry)
    kind = Kind(entry.what)
    if kind is Kind.SENDER and entry.after == "gone":
        return f"sends to {entry.subject} no more"
    if kind is Kind.UPSTREAM and entry.after != "none":
        return f"follows {entry.after}" + (f" (before: {entry.before})" if entry.before not in {"", "none"} else "")
    if kind is Kind.SETTING and entry.subject == REDACTED:
        return f"a setting changed {REDACTED}"
    whole = (not entry.before and _AT_FIRST.get((kind, entry.after))) or _WHOLE.get((kind, entry.after))
    if whole is not None:
        return whole
    if kind not in _WAS:
        return sentence(entry)
    before, after = (
        text.replace(", ", " to ") if kind in _CANDIDACIES else text for text in (entry.before, entry.after)
    )
    said = _WAS_OF.get((kind, entry.subject), _WAS[kind]).format(subject=entry.subject, after=after or "empty")
    return f"{said} (before: {before})" if before else said


def _gap(entry: Entry) -> str:
    if entry.source == LOG:
        return f"records {entry.before} to {entry.after} were not asked for"
    if entry.subject == "not kept":
        return f"its events {entry.before} to {entry.after} are not kept"
    if entry.subject == "not looked at":
        return f"nobody looked between its events {entry.before} and {entry.after}"
    if entry.subject == OBSERVER_FAILED:
        return f"its observer failed: {entry.after}"
    return sentence(entry)


# A part of it --------------------------------------------------------------------------------------------------------


def cut(found: Timeline, first: int | None, last: int | None) -> Timeline:
    """Return the stretch of a timeline that these records of the log bound (None: the end of what is there).

    It begins after the record before the first and ends before the record after the last, so that it includes what led
    to it and what followed. The timeline's order decides what is in it, not a clock.
    """
    before = [at for at, each in enumerate(found.entries) if _is_record(each) and each.sequence < (first or 0)]
    after = [
        at for at, each in enumerate(found.entries) if _is_record(each) and last is not None and each.sequence > last
    ]
    begin, end = before[-1] + 1 if before else 0, after[0] if after else len(found.entries)
    kept = found.entries[begin:end]
    lags = (msgspec.structs.replace(lag, after=lag.after - begin) for lag in found.lags if begin <= lag.after <= end)
    head = (msgspec.structs.replace(kept[0], order="start"), *kept[1:]) if kept else ()
    return msgspec.structs.replace(found, entries=head, lags=tuple(lags))


def _is_record(entry: Entry) -> bool:
    return entry.kind == "record"


def summary(chapters: Sequence[Chapter]) -> str:
    """Return how many requests a story tells of, by how many people, and what became of them, as a sentence."""
    asked = [each for each in chapters if each.kind == REQUEST]
    if not asked:
        return "No request is in it."
    people = {each.operator for each in asked if each.operator}
    became = Counter(each.state for each in asked)
    by = f" by {len(people)} {'person' if len(people) == 1 else 'people'}" if people else ""
    said = ", ".join(f"{count} {state}" for state, count in sorted(became.items()))
    return f"{len(asked)} request{'' if len(asked) == 1 else 's'}{by}: {said}."
