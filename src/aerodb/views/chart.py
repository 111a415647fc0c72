"""The standbys' lag as lines over time: a chart for a page, with axes, units, and what was not sampled said to be so.

- Across is time, as the sampling primary's own clock showed it. It never goes back: samples stand in the timeline's
  order, and where a clock contradicts that, time stands still in the chart.
- Up is bytes, on one scale for all standbys. Several samples that share a point are shown by the greatest.
- A line breaks where a standby was not connected, did not say, or was not looked at.

All numbers are whole: a thousandth of the width, a hundredth of the height. The same samples give the same chart.
Pure: no I/O, no clock.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from aerodb.protocol.calendar import milliseconds_of
from aerodb.protocol.timeline import Entry, Lag
from aerodb.rules.replaying import sized

WIDTH, HEIGHT = 1000, 100
TICKS = 4
VOID_MIN = 12
"""From how wide on a stretch without samples is hatched and named, in thousandths of the width."""
KEY = {"received": "received", "replayed": "replayed"}
AXES = "Bytes behind the primary, over time as the sampling primary's clock showed it, UTC."


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A mark on an axis, and what stands beside it."""

    at: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Void:
    """A stretch of a standby's row without samples, and why."""

    x: int
    width: int
    why: str


@dataclass(frozen=True, kw_only=True)
class ChartRow:
    """One standby's row: its two lines as paths, the stretches without samples, and its greatest lags in words."""

    name: str
    received: str
    replayed: str
    voids: tuple[Void, ...]
    said: str


@dataclass(frozen=True, kw_only=True)
class Chart:
    """The whole chart; `asked` are the requests at the places where their entries stand among the samples."""

    rows: tuple[ChartRow, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    asked: tuple[Tick, ...]


def _times(lags: Sequence[Lag]) -> list[int]:
    """Return the samples' times in milliseconds from the first; none is before the one that it follows."""
    found, before = list[int](), None
    for lag in lags:
        now = milliseconds_of(lag.at)
        step = max(now - before, 0) if now is not None and before is not None else 0
        found.append((found[-1] if found else 0) + step)
        before = before if now is None else now
    return found


def _places(times: Sequence[int]) -> list[int]:
    """Return where each sample stands across."""
    whole = max(times[-1], 1)
    return [time * WIDTH // whole for time in times]


def scale_bytes(most: int) -> int:
    """Return the top of an axis for values up to `most`: the next power of two, and at least 1 kB."""
    return max(1 << (most - 1).bit_length() if most else 1, 1 << 10)


def _label(value: int) -> str:
    """Return a value of the axis in the largest unit that it is a whole number of."""
    units = ["B", "kB", "MB", "GB", "TB"]
    while value and value % 1024 == 0 and len(units) > 1:
        value, _ = value >> 10, units.pop(0)
    return f"{value} {units[0]}" if value else "0"


def _height(value: int, top: int) -> int:
    return HEIGHT - value * HEIGHT // top


def _path(points: Sequence[tuple[int, int | None]], top: int) -> str:
    """Return the path of a line through points; it breaks where a value is None. One point alone is a short stroke."""
    found, drawing = list[str](), False
    for at, (x, value) in enumerate(points):
        if value is None:
            drawing = False
            continue
        follows = at + 1 < len(points) and points[at + 1][1] is not None
        found.append(f"{'L' if drawing else 'M'}{x} {_height(value, top)}")
        if not drawing and not follows:
            found.append("h1")
        drawing = True
    return "".join(found)


def _known(value: int | None) -> int | None:
    """Return a lag that was told; a redacted one was not."""
    return None if value is None or value < 0 else value


def _points(lags: Sequence[Lag], places: Sequence[int], name: str, *, replay: bool) -> list[tuple[int, int | None]]:
    """Return a standby's values by their places, the greatest of those that share one; None where the line breaks."""
    found, source = list[tuple[int, int | None]](), ""
    for lag, x in zip(lags, places, strict=True):
        standby = next((each for each in lag.standbys if each.node == name), None)
        value = None if standby is None else _known(standby.replay_bytes if replay else standby.flush_bytes)
        if (lag.missed or (source and lag.source != source)) and found:
            found.append((x, None))
        source = lag.source
        if found and found[-1][0] == x and found[-1][1] is not None and value is not None:
            found[-1] = (x, max(found[-1][1], value))
        else:
            found.append((x, value))
    return found


def _why_not(lag: Lag, name: str) -> str:
    """Return why a sample says nothing of a standby; empty where it does."""
    told = next((each for each in lag.standbys if each.node == name), None)
    if told is not None:
        return "" if _known(told.flush_bytes) is not None else "did not say"
    return "is the primary" if lag.source == name else "not connected"


def _voids(lags: Sequence[Lag], places: Sequence[int], name: str) -> list[Void]:
    """Return the stretches between samples in which a row has no line, each with why; neighbours alike are one."""
    found = list[Void]()
    for (first, begin), (second, end) in itertools.pairwise(zip(lags, places, strict=True)):
        before, after = _why_not(first, name), _why_not(second, name)
        apart = second.missed or first.source != second.source
        why = before or after or ("nothing sampled" if apart else "")
        if not why or begin == end:
            continue
        joins = bool(found) and found[-1].why == why and found[-1].x + found[-1].width == begin
        x = found.pop().x if joins else begin
        found.append(Void(x=x, width=end - x, why=why))
    return [each for each in found if each.width >= VOID_MIN]


def _most(points: Sequence[tuple[int, int | None]]) -> str:
    known = [value for _, value in points if value is not None]
    return sized(max(known)) if known else "not told"


def _row(lags: Sequence[Lag], places: Sequence[int], name: str, top: int) -> ChartRow:
    received, replayed = (_points(lags, places, name, replay=each) for each in (False, True))
    return ChartRow(
        name=name,
        received=_path(received, top),
        replayed=_path(replayed, top),
        voids=tuple(_voids(lags, places, name)),
        said=f"at most {_most(received)} not received, {_most(replayed)} not replayed",
    )


def _across(lags: Sequence[Lag], places: Sequence[int]) -> tuple[Tick, ...]:
    """Return at most TICKS + 1 times along the axis, each where the first sample from there on stands."""
    found = list[Tick]()
    for at in range(TICKS + 1):
        target = at * WIDTH // TICKS
        near = min(range(len(places)), key=lambda each: (abs(places[each] - target), each))
        tick = Tick(at=places[near], text=lags[near].at[11:19] or "?")
        if not found or tick.at - found[-1].at >= WIDTH // (2 * TICKS):
            found.append(tick)
    return tuple(found)


def _asked(entries: Sequence[Entry], lags: Sequence[Lag], places: Sequence[int]) -> tuple[Tick, ...]:
    """Return the requests where they stand in the timeline's order: at the first sample after each."""
    found = dict[str, Tick]()
    for at, entry in enumerate(entries):
        if entry.kind == "record" and entry.request and entry.request not in found:
            x = next((x for lag, x in zip(lags, places, strict=True) if lag.after > at), WIDTH)
            found[entry.request] = Tick(at=x, text=f"{entry.action} {entry.node}".strip())
    return tuple(found.values())


def chart(lags: Sequence[Lag], entries: Sequence[Entry], names: Sequence[str]) -> Chart | None:
    """Return the chart of those of the nodes `names` that were sampled; None if nothing was."""
    seen = [name for name in names if any(each.node == name for lag in lags for each in lag.standbys)]
    if not seen:
        return None
    places = _places(_times(lags))
    values = [value for lag in lags for each in lag.standbys for value in (each.flush_bytes, each.replay_bytes)]
    top = scale_bytes(max((value for value in map(_known, values) if value is not None), default=0))
    return Chart(
        rows=tuple(_row(lags, places, name, top) for name in seen),
        across=_across(lags, places),
        up=tuple(Tick(at=_height(value, top), text=_label(value)) for value in (0, top // 2, top)),
        asked=_asked(entries, lags, places),
    )
