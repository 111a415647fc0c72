"""The chart of the lag: no peak is hidden, no line is drawn where nothing was seen, no clock turns anything round."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodb.protocol.lags import StandbyLag
from aerodb.protocol.timeline import Entry, Lag
from aerodb.views.chart import HEIGHT, WIDTH, Chart, chart, scale_bytes


def lag(second: int, source: str = "n1", missed: int = 0, after: int = 0, **bytes_: int | None) -> Lag:
    """Return a sample in which each standby is behind by so much."""
    standbys = tuple(StandbyLag(node=name, flush_bytes=size, replay_bytes=size) for name, size in bytes_.items())
    at = f"2030-01-01T00:{second // 60:02}:{second % 60:02}.000Z"
    return Lag(source=source, after=after, looks=1, missed=missed, term=1, lsn=None, at=at, standbys=standbys)


def drawn(*lags: Lag, entries: tuple[Entry, ...] = ()) -> Chart:
    """Return the chart of samples, which there must be."""
    made = chart(lags, entries, ["n1", "n2", "n3"])
    assert made is not None
    return made


def points(path: str) -> list[tuple[str, int, int]]:
    """Return a path's strokes."""
    return [(kind, int(x), int(y)) for kind, x, y in re.findall(r"([ML])(\d+) (\d+)", path)]


def test_axes_have_units() -> None:
    """Up in bytes from nothing to the next power of two, across by the primary's clock."""
    made = drawn(lag(0, n2=0), lag(10, n2=3 << 20), lag(20, n2=0))
    assert [(tick.at, tick.text) for tick in made.up] == [(100, "0"), (50, "2 MB"), (0, "4 MB")]
    assert [(tick.at, tick.text) for tick in made.across] == [(0, "00:00:00"), (500, "00:00:10"), (1000, "00:00:20")]
    assert points(made.rows[0].received) == [("M", 0, 100), ("L", 500, 25), ("L", 1000, 100)]
    assert made.rows[0].said == "at most 3072 kB not received, 3072 kB not replayed"


def test_no_line_where_nothing_was_seen() -> None:
    """Looks that saw nothing, another primary, a standby that is gone or silent: each a break, and said why."""
    made = drawn(
        lag(0, n2=0, n3=0), lag(10, n2=0), lag(20, n2=None, n3=0), lag(30, n2=0, n3=0, missed=4), lag(40, n2=0, n3=0),
        lag(50, "n2", n3=0), lag(60, "n2", n3=0),
    )  # fmt: skip
    rows = {row.name: row for row in made.rows}
    assert [(void.x, void.width, void.why) for void in rows["n2"].voids] == [
        (166, 334, "did not say"), (666, 334, "is the primary"),
    ]  # fmt: skip
    assert [(void.x, void.width, void.why) for void in rows["n3"].voids] == [
        (0, 333, "not connected"), (333, 167, "nothing sampled"), (666, 167, "nothing sampled"),
    ]  # fmt: skip
    assert [kind for kind, _, _ in points(rows["n3"].received)] == ["M", "M", "M", "L", "M", "L"]


def test_a_redacted_lag_is_not_told() -> None:
    """What stands in the place of a number is no number."""
    row = drawn(lag(0, n2=-1), lag(10, n2=-1)).rows[0]
    assert (row.received, row.said) == ("", "at most not told not received, not told not replayed")
    assert [void.why for void in row.voids] == ["did not say"]


def test_requests_stand_where_they_stand_in_the_order() -> None:
    """At the first sample after them, by the timeline's order and no clock."""
    asked = Entry(source="log", sequence=1, kind="record", order="after", what="requested", node="n2", request="r",
                  action="stop", at="2001-01-01T00:00:00.000Z")  # fmt: skip
    made = drawn(lag(0, n2=0), lag(10, n2=0, after=1), lag(20, n2=0, after=1), entries=(asked,))
    assert [(tick.at, tick.text) for tick in made.asked] == [(500, "stop n2")]


def test_nothing_sampled_is_no_chart() -> None:
    """An empty one would look like no lag."""
    assert chart([], [], ["n1", "n2"]) is None
    assert chart([lag(0)], [], ["n1", "n2"]) is None


@pytest.mark.parametrize(("most", "top"), [(0, 1024), (1, 1024), (1024, 1024), (1025, 2048), (3 << 20, 4 << 20)])
def test_the_scale_holds_what_is_in_it(most: int, top: int) -> None:
    """And is at most twice as high."""
    assert scale_bytes(most) == top


@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 10**9)), min_size=1, max_size=200))
def test_no_peak_is_hidden_and_no_clock_turns_samples_round(samples: list[tuple[int, int]]) -> None:
    """The greatest lag is drawn at its height, and x never goes back, whatever the clock says."""
    found = points(drawn(*(lag(second, n2=size) for second, size in samples)).rows[0].received)
    most = max(size for _, size in samples)
    assert min(y for _, _, y in found) == HEIGHT - most * HEIGHT // scale_bytes(most)
    across = [x for _, x, _ in found]
    assert across == sorted(across)
    assert all(0 <= x <= WIDTH for x in across)
