"""The picture of the lag: nothing that was seen is hidden, and nothing is shown that was not."""

from hypothesis import given
from hypothesis import strategies as st

from aerodb.protocol.lags import StandbyLag
from aerodb.protocol.timeline import Lag
from aerodb.views.lags import BARS, DIGITS, LEGEND, columns, picture


def lag(after: int, term: int | None = 1, missed: int = 0, **bytes_: int | None) -> Lag:
    """Return a sample in which each standby is behind by so much."""
    standbys = tuple(StandbyLag(node=name, flush_bytes=size, replay_bytes=size) for name, size in bytes_.items())
    return Lag(source="n1", after=after, looks=1, missed=missed, term=term, lsn=None, at="", standbys=standbys)


def test_the_picture_as_text() -> None:
    """Terms, bars, none, not told, not connected, gaps, and where entries are."""
    lags = [
        lag(1, n2=0, n3=12), lag(1, n2=None), lag(3, n2=123_456, missed=2), lag(4, 2, n3=0), lag(4, None, n3=10**12),
    ]  # fmt: skip
    drawn = picture(lags, ["n1", "n2", "n3"])
    assert drawn is not None
    assert drawn.lines == (
        "entries        | !|",
        "term           1112?",
        "n2 unflushed   .?▄",
        "n2 unreplayed  .?▄",
        "n3 unflushed   ▁  .█",
        "n3 unreplayed  ▁  .█",
    )
    assert [(band.term, band.width) for band in drawn.bands] == [(1, 36), (2, 12), (None, 12)]
    assert [row.name for row in drawn.rows] == ["n2", "n3"]
    assert [row.flush.count("M") for row in drawn.rows] == [3, 3]
    assert drawn.rows[0].said == "n2, of 3 looks at most: 123456 bytes not flushed, 123456 bytes not replayed"
    assert len(drawn.gaps) == 1


def test_a_bar_is_as_the_legend_says() -> None:
    """Each begins with the size that the legend names before it, and no sooner."""
    sizes = [1, 1 << 10, 8 << 10, 64 << 10, 1 << 20, 16 << 20, 256 << 20, 4 << 30]
    drawn = [picture([lag(1, n2=size - 1), lag(1, n2=size)], ["n2"]) for size in sizes]
    lines = [each.lines[2] if each else "" for each in drawn]
    assert lines == [f"n2 unflushed   {before}{bar}" for before, bar in zip(f".{BARS}", BARS, strict=False)]
    assert lines[-1].translate(DIGITS).endswith("78")
    assert LEGEND[1] == "▁ some, from 1 kB ▂  8 kB ▃  64 kB ▄  1 MB ▅  16 MB ▆  256 MB ▇  4 GB █"
    assert all(len(line) <= 82 for line in LEGEND)


def test_nothing_sampled_is_no_picture() -> None:
    """An empty one would look like no lag."""
    assert picture([], ["n1", "n2"]) is None


SAMPLES = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 10**7), st.integers(0, 1)), max_size=300)


@given(SAMPLES, st.integers(1, 70))
def test_columns_hide_no_peak_and_no_gap(samples: list[tuple[int, int, int]], columns_max: int) -> None:
    """However many samples share a column, the worst of them and every gap can be seen, and all looks are counted."""
    after, lags = 0, list[Lag]()
    for step, size, missed in samples:
        after += step
        lags.append(lag(after, n2=size, missed=missed))
    found = columns(lags, columns_max)
    assert len(found) == min(len(lags), columns_max)
    assert sum(each.looks for each in found) == len(lags)
    assert any(each.gap for each in found) is any(each.missed for each in lags)
    worst = [each.behind["n2"].flush_bytes or 0 for each in found]
    assert max(worst, default=0) == max((size for _, size, _ in samples), default=0)
    assert any(each.entries for each in found) is (after > 0)
