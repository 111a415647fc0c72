"""A picture of the standbys' lag and the terms, in the timeline's order: for a page, a report, a terminal.

From left to right, samples stand in their order; no clock places anything, and an older sample stands for more looks.
A bar's height is the number of digits of the lag in bytes: what matters is whether a node is behind by nothing, by a
page, or by megabytes. The same samples give the same picture.

Pure: no I/O, no clock.
"""

import bisect
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from aerodb.protocol.timeline import Lag
from aerodb.views.bands import LABEL_WIDTH, STEP, Band, bands

COLUMNS_MAX = 60
ROW_HEIGHT, TERM_HEIGHT, MARGIN = 40, 22, 8
DIGIT_HEIGHT, BAR_HEIGHT, BASE = 2, 26, 33
NO_BAR = -1
NOTHING_SAMPLED = "No lag was sampled."
BARS = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"
DIGITS = str.maketrans(BARS, "12345678")
"""What the bars are where the terminal has no UTF-8."""
_FROM = ("1 kB", "8 kB", "64 kB", "1 MB", "16 MB", "256 MB", "4 GB")
_FROM_BYTES = (1 << 10, 8 << 10, 64 << 10, 1 << 20, 16 << 20, 256 << 20, 4 << 30)
LEGEND = (
    "WAL that each standby had not flushed and not replayed, as its primary sampled it",
    f"{BARS[0]} some, from {'  '.join(f'{size} {bar}' for size, bar in zip(_FROM, BARS[1:], strict=True))}",
    ". none  ? not told  (blank) not connected, or not sampled",
    "! looks before it saw nothing  | entries come before it",
)
TERM_LEGEND = "; of a term, the last digit"
"""How the lines are read. A page of PostgreSQL has 8 kB, a segment of its WAL 16 MB."""


@dataclass(frozen=True, kw_only=True)
class Behind:
    """The greatest lag of one standby, in bytes (None: it did not say)."""

    flush_bytes: int | None
    replay_bytes: int | None


@dataclass(frozen=True, kw_only=True)
class Column:
    """Some consecutive samples as one column: the term of the last, and each standby's greatest lag in any of them.

    `gap` says that looks before one of them saw nothing; `entries` that the timeline has entries between the previous
    column and the end of this one.
    """

    term: int | None
    gap: bool
    entries: bool
    looks: int
    behind: dict[str, Behind]


@dataclass(frozen=True, kw_only=True)
class LagRow:
    """One standby's row: the bars of unflushed and unreplayed WAL, as paths, and the greatest of both in words."""

    name: str
    y: int
    flush: str
    replay: str
    said: str


@dataclass(frozen=True, kw_only=True)
class LagPicture:
    """The whole picture, in CSS pixels; `gaps` and `entries` are the x of marked columns.

    `lines` are its text form, and `legend` says how they are read.
    """

    width: int
    height: int
    bands: tuple[Band, ...]
    rows: tuple[LagRow, ...]
    gaps: tuple[int, ...]
    entries: tuple[int, ...]
    lines: tuple[str, ...]
    legend: tuple[str, ...]


def _worst(values: Sequence[int | None]) -> int | None:
    known = [each for each in values if each is not None]
    return max(known, default=None)


def _column(samples: Sequence[Lag], before: int) -> Column:
    told: dict[str, tuple[list[int | None], list[int | None]]] = {}
    for each in samples:
        for standby in each.standbys:
            flush, replay = told.setdefault(standby.node, ([], []))
            flush.append(standby.flush_bytes)
            replay.append(standby.replay_bytes)
    return Column(
        term=samples[-1].term,
        gap=any(each.missed for each in samples),
        entries=samples[-1].after > before,
        looks=sum(each.looks for each in samples),
        behind={
            name: Behind(flush_bytes=_worst(flush), replay_bytes=_worst(replay))
            for name, (flush, replay) in sorted(told.items())
        },
    )


def columns(lags: Sequence[Lag], columns_max: int = COLUMNS_MAX) -> tuple[Column, ...]:
    """Return the samples in at most `columns_max` columns of about equal size."""
    count = min(len(lags), columns_max)
    cuts = [at * len(lags) // count for at in range(count + 1)] if count else [0]
    found, before = list[Column](), 0
    for begin, end in itertools.pairwise(cuts):
        found.append(_column(lags[begin:end], before))
        before = lags[end - 1].after
    return tuple(found)


def _height(lag: int | None) -> int:
    """Return the height of a lag's bar; no lag is a thin line."""
    return 1 if not lag else min(DIGIT_HEIGHT * len(str(lag)), BAR_HEIGHT)


def _path(lags: Sequence[int | None], shift: int) -> str:
    """Return the path of bars, each a stroke upwards from the row's base."""
    return "".join(
        f"M{LABEL_WIDTH + STEP * at + shift} {BASE}v-{_height(lag)}" for at, lag in enumerate(lags) if lag != NO_BAR
    )


def _row(name: str, y: int, found: Sequence[Column]) -> LagRow:
    behind = [column.behind.get(name) for column in found]
    flush = [each.flush_bytes if each else NO_BAR for each in behind]
    replay = [each.replay_bytes if each else NO_BAR for each in behind]
    looks = sum(column.looks for column in found if name in column.behind)
    told = [_worst([lag for lag in lags if lag != NO_BAR]) for lags in (flush, replay)]
    most = ["not told" if each is None else f"{each} bytes" for each in told]
    said = f"{name}, of {looks} looks at most: {most[0]} not flushed, {most[1]} not replayed"
    return LagRow(name=name, y=y, flush=_path(flush, 4), replay=_path(replay, 8), said=said)


def _bar(column: Column, name: str, *, flush: bool) -> str:
    """Return the character for one lag in a line of text."""
    behind = column.behind.get(name)
    if behind is None:
        return " "
    lag = behind.flush_bytes if flush else behind.replay_bytes
    if lag is None:
        return "?"
    return "." if lag == 0 else BARS[bisect.bisect_right(_FROM_BYTES, lag)]


def _lines(names: Sequence[str], found: Sequence[Column], *, terms: bool) -> tuple[str, ...]:
    wide = max([len("entries"), *(len(f"{name} unreplayed") for name in names)])
    told = [("entries", "".join("!" if each.gap else "|" if each.entries else " " for each in found))]
    if terms:
        told.append(("term", "".join("?" if each.term is None else str(each.term % 10) for each in found)))
    for name in names:
        told.append((f"{name} unflushed", "".join(_bar(each, name, flush=True) for each in found)))
        told.append((f"{name} unreplayed", "".join(_bar(each, name, flush=False) for each in found)))
    return tuple(f"{head:{wide}}  {line}".rstrip() for head, line in told)


def picture(lags: Sequence[Lag], names: Sequence[str], *, terms: bool = True) -> LagPicture | None:
    """Return the picture of those of the nodes `names` that have samples; None if nothing was sampled.

    Without `terms` it has no row of them: where nodes are only watched there are none.
    """
    found = columns(lags)
    if not found:
        return None
    seen = [name for name in names if any(name in column.behind for column in found)]
    rows = tuple(_row(name, MARGIN + TERM_HEIGHT + at * ROW_HEIGHT, found) for at, name in enumerate(seen))
    places = [(LABEL_WIDTH + STEP * at, column.term) for at, column in enumerate(found)]
    return LagPicture(
        width=LABEL_WIDTH + STEP * COLUMNS_MAX + MARGIN,
        height=2 * MARGIN + TERM_HEIGHT + len(rows) * ROW_HEIGHT,
        bands=tuple(bands(places, LABEL_WIDTH + STEP * len(found))) if terms else (),
        rows=rows,
        gaps=tuple(LABEL_WIDTH + STEP * at for at, column in enumerate(found) if column.gap),
        entries=tuple(LABEL_WIDTH + STEP * at for at, column in enumerate(found) if column.entries),
        lines=_lines(seen, found, terms=terms),
        legend=(*LEGEND[:-1], f"{LEGEND[-1]}{TERM_LEGEND}") if terms else LEGEND,
    )
