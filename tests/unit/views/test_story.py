"""The timeline as a story: nothing is left out, nothing is claimed of a request that its node did not see in it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from aerodb.protocol.events import Kind
from aerodb.protocol.timeline import Entry, Lag, Timeline
from aerodb.views.story import EVENTS, GAP, REQUEST, Chapter, cut, since_text, story, summary, told
from aerodb.views.timeline import entries
from tests.unit.views.test_timeline import STEPS, World, lived


def event(what: Kind, subject: str = "", before: str = "", after: str = "", **more: Any) -> Entry:
    """Return what n2 saw."""
    where = {"source": "n2", "node": "n2", **more}
    return Entry(
        sequence=1, kind="event", order="after", what=what, subject=subject, before=before, after=after, **where
    )


def record(sequence: int, what: str, at: str = "", **more: Any) -> Entry:
    """Return a record of the request r."""
    return Entry(source="log", sequence=sequence, kind="record", order="after", what=what, node="n2", request="r",
                 operator="ada", action="promote", at=at, **more)  # fmt: skip


def placed(chapters: tuple[Chapter, ...]) -> list[Entry]:
    """Return every entry that stands in a line."""
    return [entry for chapter in chapters for line in chapter.lines for entry in line.entries]


@given(STEPS)
def test_no_entry_is_left_out_and_none_is_said_twice(steps: list[tuple[str, str]]) -> None:
    """Each stands in one line, or is a request's own record or mark, which its chapter stands for."""
    shown = entries(lived(steps).ordered())
    chapters = story(shown)
    lines, requests = placed(chapters), [each.request for each in chapters if each.kind == REQUEST]
    assert len(lines) == len({id(each) for each in lines})
    assert len(requests) == len(set(requests))
    owned = [each for each in shown if each.request]
    assert sorted(map(id, (*lines, *owned))) == sorted(map(id, shown))
    assert {each.request for each in owned} == set(requests)


@given(STEPS)
def test_only_what_its_node_saw_while_it_ran_stands_beneath_a_request(steps: list[tuple[str, str]]) -> None:
    """Between the marks of its beginning and its end in the same node's journal, and of no other node."""
    shown = entries(lived(steps).ordered())
    for chapter in story(shown):
        marks = {each.before: each for each in shown if each.what == Kind.REQUEST and each.request == chapter.request}
        for line in chapter.lines if chapter.kind == REQUEST else ():
            for each in line.entries:
                assert each.source == marks[""].source
                assert marks[""].sequence < each.sequence < marks["begun"].sequence


@given(STEPS)
def test_chapters_stand_in_the_timelines_order(steps: list[tuple[str, str]]) -> None:
    """Each where its first entry stands, and lines of no request in their own order."""
    shown = list(entries(lived(steps).ordered()))
    place = {id(entry): at for at, entry in enumerate(shown)}
    apart = [place[id(each)] for chapter in story(shown) if chapter.kind != REQUEST
             for line in chapter.lines for each in line.entries]  # fmt: skip
    assert apart == sorted(apart)
    firsts = []
    for chapter in story(shown):
        own = [place[id(each)] for each in shown if chapter.request and each.request == chapter.request]
        firsts.append(min([*own, *(place[id(each)] for line in chapter.lines for each in line.entries)]))
    assert firsts == sorted(firsts)


def test_a_switchover_is_told() -> None:
    """What n2 saw while it was promoted stands beneath it; what n3 saw stands apart, as meanwhile, and uncertain."""
    shown = (
        record(4, "requested", "2030-01-01T00:00:01.000Z"), record(5, "confirmed"),
        event(Kind.REQUEST, "r", "", "begun", request="r"), event(Kind.ROLE, "", "standby", "primary"),
        replace(event(Kind.RECEIVER, "", "streaming", "down", source="n3", node="n3"), order="uncertain"),
        event(Kind.RECOVERY, "", "yes", "no"),
        event(Kind.REQUEST, "r", "begun", "ended: executed", request="r"),
        event(Kind.SENDER, "n3", "", "streaming", at="2030-01-01T00:01:02.000Z", clock="clock of n2"),
        replace(record(6, "outcome"), order="uncertain", after="executed"),
    )  # fmt: skip
    asked, meanwhile = story(shown)
    assert (asked.title, asked.state, asked.about) == ("promote n2", "executed", "ada, records 4 to 6")
    assert [line.said for line in asked.lines] == [
        "stands as a primary (before: standby); PostgreSQL is out of recovery"
    ]
    assert not asked.uncertain
    assert (meanwhile.title, meanwhile.uncertain) == ("Meanwhile on n3, n2", True)
    assert meanwhile.about == "between beginning and end of promote n2"
    assert [(line.node, line.said, line.uncertain) for line in meanwhile.lines] == [
        ("n3", "its receiver ended", False),
        ("n2", "sends to n3: streaming", False),
    ]
    when = meanwhile.lines[1].when
    assert (when.since, when.time, when.exact) == ("+1:01", "00:01:02", "2030-01-01T00:01:02.000Z, by the clock of n2")
    assert summary((asked, meanwhile)) == "1 request by 1 person: 1 executed."


def test_the_orders_of_lines_that_nothing_tells_are_marked() -> None:
    """Where two nodes' lines follow one another in a chapter, and nothing tells which came first."""
    shown = [event(Kind.RECEIVER, "", "x", "down", source=name, node=name) for name in ("n1", "n3")]
    (apart,) = story([shown[0], replace(shown[1], order="uncertain")])
    assert [line.uncertain for line in apart.lines] == [False, True]
    (sure,) = story(shown)
    assert [line.uncertain for line in sure.lines] == [False, False]


def test_a_gap_ends_what_can_be_said_of_a_request() -> None:
    """Nobody knows whether what a node saw after a gap belongs to the request that ran before it."""
    gap = Entry(source="n2", sequence=9, kind="gap", order="after", what="gap", node="n2", subject="not looked at",
                before="8", after="9")  # fmt: skip
    begun = event(Kind.REQUEST, "r", "", "begun", request="r")
    chapters = story([record(1, "confirmed"), begun, gap, event(Kind.STATE, "", "", "running")])
    assert [each.kind for each in chapters] == [REQUEST, GAP, EVENTS]
    assert chapters[0].state == "confirmed"
    assert chapters[1].title == "Gap in what is known of n2"
    assert chapters[1].lines[0].said == "nobody looked between its events 8 and 9"


@pytest.mark.parametrize(
    ("events", "state"),
    [
        (("requested",), "planned"), (("requested", "confirmed"), "confirmed"), (("rejected",), "rejected"),
        (("requested", "declined"), "declined"), (("requested", "lapsed"), "lapsed"),
    ],
)  # fmt: skip
def test_the_state_is_what_the_records_tell(events: tuple[str, ...], state: str) -> None:
    """As far as they go."""
    (chapter,) = story([record(at, each) for at, each in enumerate(events)])
    assert chapter.state == state


def test_a_request_whose_records_are_older_is_named_by_its_id() -> None:
    """Its node's marks alone tell of it, and of what became of it."""
    (chapter,) = story([event(Kind.REQUEST, "r", "begun", "ended: not executed", request="01234567-89")])
    assert (chapter.title, chapter.state, chapter.about) == ("request 01234567", "not executed", "")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (event(Kind.PLEDGED, "", "term 1, n1", "term 2, n3"), "pledged term 2 to n3 (before: term 1 to n1)"),
        (event(Kind.UPSTREAM, "", "n1", "n3"), "follows n3 (before: n1)"),
        (event(Kind.UPSTREAM, "", "n1", "none"), "follows nobody"),
        (event(Kind.SENDER, "n3", "streaming", "gone"), "sends to n3 no more"),
        (event(Kind.HALTED, "", "no", "stopped by a person"),
         "was stopped by a person, and stays down until a person starts it"),
        (event(Kind.SETTING, "[redacted]", "[redacted]", "[redacted]"), "a setting changed [redacted]"),
        (event(Kind.SETTING, "work_mem", "4MB", ""), "setting work_mem: empty (before: 4MB)"),
    ],
)  # fmt: skip
def test_events_are_said_in_plain_words(entry: Entry, said: str) -> None:
    """With what was before, where that helps."""
    assert told(entry) == said


@pytest.mark.parametrize("kind", [each for each in Kind if each not in {Kind.REQUEST, Kind.GAP}])
def test_every_kind_of_event_has_words(kind: Kind) -> None:
    """None is shown by its name in the format."""
    assert "->" not in told(event(kind, "n3", "yes", "no"))


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(0, "0:00"), (999, "0:00"), (1000, "+0:01"), (158_000, "+2:38"), (-3000, "-0:03"), (3_723_000, "+1:02:03")],
)
def test_a_stretch_of_time_is_said(milliseconds: int, text: str) -> None:
    """With its sign, also where the other source's clock is behind."""
    assert since_text(milliseconds) == text


@given(STEPS, st.integers(0, 12), st.integers(0, 12))
def test_a_zoom_is_a_stretch_of_the_timeline(steps: list[tuple[str, str]], first: int, last: int) -> None:
    """It holds the records that were asked for and no others, all that stands between, and what led to the first."""
    world: World = lived(steps)
    shown = entries(world.ordered())
    lags = tuple(Lag(source="n1", after=at, looks=1, missed=0, term=1, lsn=None, at="", standbys=())
                 for at in range(len(shown) + 1))  # fmt: skip
    whole = Timeline(cluster="c", cluster_name="c", entries=shown, missing={}, log_size=99, lags=lags)
    assert cut(whole, None, None).entries[1:] == shown[1:]
    part = cut(whole, first, last)
    kept = [each.sequence for each in part.entries if each.kind == "record"]
    assert kept == [each.sequence for each in shown if each.kind == "record" and first <= each.sequence <= last]
    names = [(each.source, each.sequence) for each in shown]
    if part.entries:
        assert part.entries[0].order == "start"
        begin = names.index((part.entries[0].source, part.entries[0].sequence))
        assert [(each.source, each.sequence) for each in part.entries] == names[begin : begin + len(part.entries)]
        assert begin == 0 or shown[begin - 1].kind == "record"
    assert all(0 <= lag.after <= len(part.entries) for lag in part.lags)
