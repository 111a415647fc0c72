"""The timeline as a story: nothing is left out, nothing is claimed of a request that its node did not see in it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from aerodb.protocol.events import Kind
from aerodb.protocol.timeline import Entry, Lag, Timeline
from aerodb.views.placing import span_of, within
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
    said = {"node": "n2", "request": "r", "action": "promote", **more}
    return Entry(
        source="log", sequence=sequence, kind="record", order="after", what=what, operator="ada", at=at, **said
    )


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
    asked, apart = story(shown)
    assert (asked.title, asked.state, asked.about) == ("promote n2", "executed", "ada, records 4 to 6")
    assert [line.said for line in asked.lines] == [
        "stands as a primary (before: standby); PostgreSQL is out of recovery"
    ]
    assert not asked.uncertain
    assert (apart.title, apart.uncertain, apart.about) == ("On n3, n2", True, "")
    assert [(line.node, line.said, line.uncertain) for line in apart.lines] == [
        ("n3", "its receiver ended", False),
        ("n2", "sends to n3: streaming", False),
    ]
    when = apart.lines[1].when
    assert (when.since, when.time, when.exact) == ("+1:01", "00:01:02", "2030-01-01T00:01:02.000Z, by the clock of n2")
    assert summary((asked, apart)) == "1 request by 1 person: 1 executed."
    certain = (*shown[:4], *(replace(each, order="after") for each in shown[4:]))
    asked, meanwhile, afterwards = story(certain)
    assert (meanwhile.title, meanwhile.about) == ("Meanwhile on n3", "between beginning and end of promote n2")
    assert (afterwards.title, afterwards.about) == ("On n2", "")


@given(STEPS)
def test_what_is_said_to_be_within_a_request_was(steps: list[tuple[str, str]]) -> None:
    """Whatever really happened: between its first record, and its node's end of it, or in the log its last record."""
    world = lived(steps)
    shown = entries(world.ordered())
    places = {name: [at for at, each in enumerate(shown) if each.request == name] for name in world.snapshots}
    spans = [span_of(shown, each, name) for name, each in places.items() if each]
    times = [world.times.get((each.source, each.sequence), 0) for each in shown]
    for at, titles in enumerate(within(shown, spans)):
        for name in titles:
            ends = [each for each in places[name] if shown[each].before] or places[name][-1:]
            last = places[name][-1] if shown[at].source == "log" else ends[0]
            assert times[places[name][0]] < times[at] < max(times[last], *(times[each] for each in ends))


def test_what_the_log_holds_after_an_outcome_is_not_within_the_request() -> None:
    """By the records' numbers; and a refusal long after the outcome does not stretch the request."""
    signed_in = record(7, "signed-in")
    shown = (
        record(4, "requested"), record(5, "confirmed"), record(6, "outcome", after="executed"),
        replace(signed_in, request="", node=""), record(8, "refused", code="control.confirmation-replayed"),
    )  # fmt: skip
    asked, apart = story(shown)
    assert (apart.title, apart.meanwhile) == ("On the log", ())
    assert asked.state == "executed"
    inside = (*shown[:2], replace(signed_in, request="", node="", sequence=6), replace(shown[2], sequence=7))
    assert story(inside)[1].meanwhile == ("promote n2",)


def _sequence() -> tuple[Entry, ...]:
    """Return what is seen of n2's promotion, signed ahead, and of the demotion of n1 that it came after."""
    later, first, named = "0aaaaaaa-1", "0bbbbbbb-2", "--for n2 --then 0aaaaaaa"
    ahead, demote = (
        {"request": later, "subject": "--after demote n1"},
        {"request": first, "node": "n1", "action": "demote"},
    )
    return (
        record(1, "requested", "2030-01-01T00:00:01.000Z", **ahead), record(2, "confirmed", **ahead),
        record(3, "requested", "2030-01-01T00:00:13.000Z", subject=named, **demote),
        record(4, "confirmed", subject=named, **demote),
        event(Kind.REQUEST, first, "", "begun", request=first, source="n1", node="n1"),
        event(Kind.STATE, "", "running", "stopped", source="n1", node="n1"),
        event(Kind.REQUEST, first, "begun", "ended: executed", request=first, source="n1", node="n1"),
        record(5, "outcome", after="executed", **demote),
        record(6, "triggered", "2030-01-01T00:00:20.000Z", **ahead),
        event(Kind.REQUEST, later, "", "begun", request=later), event(Kind.ROLE, "", "standby", "primary"),
        event(Kind.REQUEST, later, "begun", "ended: executed", request=later),
        record(7, "outcome", after="executed", **ahead),
    )  # fmt: skip


def test_a_request_that_was_signed_ahead_stands_after_the_one_that_it_came_after() -> None:
    """At its turn, with that one's time: what it did stands beneath it, and not before what made it run."""
    demoted, promoted = story(_sequence())
    assert (demoted.title, demoted.when.since) == ("demote n1 --for n2 --then 0aaaaaaa", "+0:12")
    assert (promoted.title, promoted.when.since) == ("promote n2 --after demote n1", "+0:19")
    assert (promoted.state, promoted.uncertain, promoted.records) == ("executed", False, (1, 7))
    assert promoted.lines[0].said == "stands as a primary (before: standby)"


def test_what_its_node_signed_of_one_in_its_turn_tells_what_became_of_it() -> None:
    """Its answer was lost, and the log says unknown: the node's own event says more."""
    lost = [*_sequence()[:-1], record(7, "outcome", after="unknown", request="0aaaaaaa-1", subject="--after demote n1")]
    assert story(lost)[-1].state.startswith("executed")


def test_one_whose_turn_never_came_stands_where_it_was_asked_for() -> None:
    """The demotion that names it was never confirmed: it is declined, and the order is dropped."""
    asked = [each for each in _sequence() if each.what == "requested" or each.request == "0aaaaaaa-1"]
    assert [each.title.split()[0] for each in story(asked)] == ["promote", "demote"]


def test_times_are_counted_from_the_logs_first_record_that_is_shown() -> None:
    """The first entry that is shown may be a later one: then no record of the log stands before the beginning."""
    early = record(1, "requested", "2030-01-01T00:00:00.000Z")
    late = event(Kind.STATE, "", "", "running", at="2030-01-01T00:00:12.000Z")
    assert [each.when.since for each in story((late, early))] == ["+0:12", "0:00"]


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
        (("requested", "confirmed", "outcome", "refused"), "executed"),
        (("requested", "declined", "refused"), "declined"),
        (("requested", "refused"), "planned"), (("refused",), "refused"), (("refused", "requested"), "planned"),
        (("requested", "confirmed", "outcome", "established"), "executed"),
    ],
)  # fmt: skip
def test_the_state_is_what_the_records_tell(events: tuple[str, ...], state: str) -> None:
    """As far as they go."""
    after = {"outcome": "executed", "established": "unknown"}
    (chapter,) = story([record(at, each, after=after.get(each, "")) for at, each in enumerate(events)])
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
