"""The timeline as a picture: a lane for the log and one for each node, terms as bands.

The step from left to right is the timeline's own order, one step an entry; no clock places anything. The lag is a
picture of its own, `aerodb.audit.lags`: there are more samples than entries.
Pure: no I/O, no clock.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from aerodb.protocol.cluster import Cluster
from aerodb.protocol.timeline import Entry

LOG = "log"
LABEL_WIDTH, STEP, STEPS_MIN = 76, 12, 60
LANE_HEIGHT, MARGIN = 40, 8


@dataclass(frozen=True, kw_only=True)
class Tick:
    """One entry in its lane."""

    x: int
    style: str
    said: str


@dataclass(frozen=True, kw_only=True)
class Band:
    """A stretch of a lane that lies in one term (None: unknown)."""

    x: int
    width: int
    term: int | None
    even: bool


@dataclass(frozen=True, kw_only=True)
class Lane:
    """One source's lane."""

    name: str
    y: int
    ticks: tuple[Tick, ...]
    bands: tuple[Band, ...]


@dataclass(frozen=True, kw_only=True)
class Lanes:
    """The whole picture, in CSS pixels; `breaks` are where the order of two neighbours is uncertain."""

    width: int
    height: int
    lanes: tuple[Lane, ...]
    breaks: tuple[int, ...]


def _bands(places: list[tuple[int, int | None]], end: int) -> Iterator[Band]:
    """Yield the stretches of one term, each up to where the next begins."""
    begins = [place for at, place in enumerate(places) if at == 0 or place[1] != places[at - 1][1]]
    for at, (x, term) in enumerate(begins):
        until = begins[at + 1][0] if at + 1 < len(begins) else end
        yield Band(x=x, width=until - x, term=term, even=(term or 0) % 2 == 0)


def draw(cluster: Cluster, entries: tuple[Entry, ...]) -> Lanes:
    """Return the picture of a timeline."""
    names = [LOG, *(member.name for member in cluster.members)]
    width = LABEL_WIDTH + STEP * max(len(entries) + 1, STEPS_MIN)
    lanes = []
    for number, name in enumerate(names):
        mine = [(LABEL_WIDTH + STEP * at, entry) for at, entry in enumerate(entries) if entry.source == name]
        ticks = (
            Tick(
                x=x + STEP // 2,
                style=entry.kind,
                said=f"{entry.what} {entry.subject}".strip(),
            )
            for x, entry in mine
        )
        bands = _bands([(x, entry.term) for x, entry in mine], width - STEP)
        y = MARGIN + number * LANE_HEIGHT
        lanes.append(Lane(name=name, y=y, ticks=tuple(ticks), bands=tuple(bands)))
    breaks = tuple(LABEL_WIDTH + STEP * at for at, entry in enumerate(entries) if entry.order == "uncertain")
    return Lanes(width=width, height=2 * MARGIN + len(names) * LANE_HEIGHT, lanes=tuple(lanes), breaks=breaks)
