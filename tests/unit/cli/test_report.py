"""The incident report: whole, proven, self-contained, the same bytes for the same log and span."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Literal

import pytest

from aerodb.cli.report import gathered, html, markdown
from aerodb.protocol.api import LogEntry
from aerodb.protocol.chain import founded
from aerodb.protocol.lags import StandbyLag
from aerodb.protocol.timeline import Entry, Lag, Timeline
from aerodb.views.incident import Moment, incident, lags_around, steps
from tests.unit.cli.stage import Stage, stage_in

SPAN = ("2001-01-01", "2999-01-01")
NASTY = "<script>alert(1)</script> | *bold* \u202e upgrade"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Return a control plane with an executed request, whose reason is nasty, and a rejected one."""
    with stage_in(tmp_path) as made:
        made.room.houses["n2"].observe()
        made.run("stop", "n2", "--reason", NASTY, typed="n2\n")
        made.room.houses["n2"].observe()
        made.run("start", "n3", "--reason", "too early")
        made.missing["n3"] = "it sleeps"
        yield made


class Tags(HTMLParser):
    """Collects the tags of a document, and what they refer to."""

    def __init__(self) -> None:
        """Begin with none."""
        super().__init__()
        self.found: set[str] = set()
        self.references: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one tag."""
        self.found.add(tag)
        self.references += [value or "" for name, value in attrs if name in {"src", "href", "style"}]


def written(stage: Stage, name: str) -> tuple[str, str]:
    """Return a report on everything, as HTML and as Markdown."""
    page, text = stage.folder / f"{name}.html", stage.folder / f"{name}.md"
    span = ("--from", SPAN[0], "--to", SPAN[1])
    shown = stage.run("report", *span, "--output", str(page), "--markdown", str(text))
    assert shown.code == 0, shown.err
    assert "2 decisions and 4 records; 0 not proven." in shown.plain
    return page.read_text(encoding="utf-8"), text.read_text(encoding="utf-8")


def test_a_report_tells_who_what_why_and_whether_it_is_proven(stage: Stage) -> None:
    """Each decision with its reason, plan, verdicts, signature, outcome and proofs, and each record of the span."""
    page, text = written(stage, "one")
    for part in ("alice", "too early", "alice signed the plan", "executed, signed by the agent of n2", "rejected",
                 "proven, checkpoint of 4 records", stage.executed[0]):  # fmt: skip
        assert part in page
        assert part.replace("-", "\\-") in text
    assert page.count("<article>") == 2


def test_a_report_tells_what_the_nodes_saw(stage: Stage) -> None:
    """Transitions stand in the timeline's order, and of a node that told nothing it is said why."""
    page, text = written(stage, "one")
    for part in ("state: running -&gt; stopped", "gave no events: transport.unreachable"):
        assert part in page
    assert "gave no events: transport\\.unreachable" in text


def test_a_report_is_the_same_bytes_each_time(stage: Stage) -> None:
    """The same log and the same span give the same files."""
    assert written(stage, "one") == written(stage, "two")


def test_a_report_stands_alone_and_nothing_in_it_is_active(stage: Stage) -> None:
    """No script, nothing from elsewhere; what a person typed is shown as text, bidirectional characters escaped."""
    page, text = written(stage, "one")
    tags = Tags()
    tags.feed(page)
    assert not tags.found & {"script", "link", "img", "iframe", "object", "form"}
    assert tags.references == []
    assert not re.search(r"url\(|@import|https?:", page)
    assert "&lt;script&gt;" in page
    assert "\u202e" not in page + text
    assert "\\<script\\>" in text


def test_a_record_that_is_not_proven_is_said_so(stage: Stage) -> None:
    """An altered record is shown as not proven, and the exit code is that of a failed verification."""
    stage.alter["GET /v1/requests/ID"] = lambda body: body.replace(b"too early", b"too late!")
    shown = stage.run("report", "--from", SPAN[0], "--to", SPAN[1], "--output", str(stage.folder / "x.html"))
    assert shown.code == 6


@pytest.mark.parametrize(
    ("told", "lie", "said"),
    [
        (b"BEGIN SSH SIGNATURE", b"BEGIN SSH SIGNATUR3", "signature: NOT VERIFIED: "),
        (b"was shut down cleanly", b"was shut down quickly", "outcome: NOT VERIFIED: "),
    ],
)  # fmt: skip
def test_what_nobody_signed_is_not_told_as_signed(
    stage: Stage, tmp_path: Path, told: bytes, lie: bytes, said: str
) -> None:
    """A control plane that tells of signatures which are none is told so in the report, with exit code 6."""
    stage.alter["GET /v1/requests/ID"] = lambda body: body.replace(told, lie)
    file = tmp_path / "report.md"
    shown = stage.run("report", "--from", SPAN[0], "--to", SPAN[1], "--markdown", str(file))
    assert (shown.code, "signatures not verified" in shown.plain) == (6, True), shown.plain + shown.err
    assert said in file.read_text(encoding="utf-8").replace("\\", "")


def test_a_span_without_anything_is_a_report_too(stage: Stage) -> None:
    """Nothing happened, and the report says so; a time that is none is refused by name."""
    page = stage.folder / "none.html"
    assert stage.run("report", "--from", "2020-01-01", "--to", "2020-01-02", "--output", str(page)).code == 0
    assert "There is none in this span." in page.read_text(encoding="utf-8")
    refused = stage.run("report", "--from", "then", "--to", "2020-01-02", "--output", str(page))
    assert "input.instant-malformed" in refused.err


def test_transitions_are_told_where_they_are_given(stage: Stage) -> None:
    """A timeline's moments appear in its order, in both forms."""
    entries, decisions = gathered(stage, *SPAN)
    moments = [Moment(place="term 2, 0/3000000", node="n2", text="became primary <b>")]
    found = incident(founded(stage.cluster), SPAN, entries, decisions, {}, moments)
    assert "became primary &lt;b&gt;" in html(found)
    assert "became primary \\<b\\>" in markdown(found)


def _lag(after: int, size: int) -> Lag:
    standby = StandbyLag(node="n2", flush_bytes=size, replay_bytes=None)
    return Lag(source="n1", after=after, looks=1, missed=0, term=7, lsn=None, at="", standbys=(standby,))


def test_lag_is_drawn_where_it_was_sampled(stage: Stage) -> None:
    """As bars and as text, in both forms; and where nothing was sampled, that is said, in place of an empty picture."""
    entries, decisions = gathered(stage, *SPAN)
    span = SPAN
    found = incident(founded(stage.cluster), span, entries, decisions, {}, (), [_lag(1, 4_096), _lag(2, 0)])
    assert "term           77" in html(found)
    assert "n2 unflushed   ▂." in markdown(found)
    assert "n2, of 2 looks at most: 4096 bytes not flushed, not told not replayed" in html(found)
    assert html(found) == html(found)
    silent = incident(founded(stage.cluster), span, entries, decisions, {})
    assert "<p>No lag was sampled.</p>" in html(silent)
    assert "No lag was sampled" in markdown(silent)


def test_only_the_lag_around_the_records_is_drawn() -> None:
    """From the last record before them to the next one after them; without any of them there is none."""
    kinds: list[Literal["record", "event", "gap"]] = ["record", "event", "record", "event", "record", "event"]
    told = tuple(
        Entry(source="log", sequence=at, kind=kind, order="after", what="", node="") for at, kind in enumerate(kinds)
    )
    found = Timeline(
        cluster="", cluster_name="", entries=told, missing={}, log_size=3,
        lags=tuple(_lag(after, 0) for after in range(7)),
    )  # fmt: skip
    assert [each.after for each in lags_around(found, [LogEntry(sequence=2, record="")])] == [1, 2, 3, 4]
    assert [each.after for each in lags_around(found, [LogEntry(sequence=4, record="")])] == [3, 4, 5, 6]
    assert lags_around(found, []) == ()


def test_the_picture_of_terms_is_a_staircase_in_the_log_s_order() -> None:
    """Terms rise with the log from left to right; one point alone is a picture, and so is none."""
    path, points = steps([(10, 1), (20, 2), (40, 5)])
    assert [x for x, _, _ in points] == sorted(x for x, _, _ in points)
    assert [y for _, y, _ in points] == sorted((y for _, y, _ in points), reverse=True)
    assert path.startswith("M") and path.count("H") == 2  # noqa: PT018 - one staircase.
    assert len(steps([(7, 3)])[1]) == 1
    assert steps([]) == ("", [])
