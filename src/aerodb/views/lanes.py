"""The timeline as a picture: a lane for the log and one for each node, terms as bands.

From left to right, entries stand in the timeline's order, one step each; no clock places anything. The lag has a
picture of its own, `aerodb.views.lags`, because there are more samples than entries.
Pure: no I/O, no clock.
"""

from dataclasses import dataclass

from aerodb.protocol.cluster import Cluster
from aerodb.protocol.timeline import Entry
from aerodb.views.bands import LABEL_WIDTH, STEP, Band, bands
from aerodb.views.timeline import sentence

LOG = "log"
STEPS_MIN = 60
LANE_HEIGHT, MARGIN = 40, 8


@dataclass(frozen=True, kw_only=True)
class Tick:
    """One entry in its lane."""

    x: int
    style: str
    said: str


@dataclass(frozen=True, kw_only=True)
class Lane:
    """One source's lane."""

    name: str
    y: int
    ticks: tuple[Tick, ...]
    bands: tuple[Band, ...]


@dataclass(frozen=True, kw_only=True)
class Lanes:
    """The whole picture, in CSS pixels; `breaks` are the x at which the order of two neighbours is uncertain."""

    width: int
    height: int
    lanes: tuple[Lane, ...]
    breaks: tuple[int, ...]


def draw(cluster: Cluster, entries: tuple[Entry, ...]) -> Lanes:
    """Return the picture of a timeline."""
    names = [LOG, *(member.name for member in cluster.members)]
    width = LABEL_WIDTH + STEP * max(len(entries) + 1, STEPS_MIN)
    lanes = []
    for number, name in enumerate(names):
        mine = [(LABEL_WIDTH + STEP * at, entry) for at, entry in enumerate(entries) if entry.source == name]
        ticks = (Tick(x=x + STEP // 2, style=entry.kind, said=sentence(entry)) for x, entry in mine)
        terms = bands([(x, entry.term) for x, entry in mine], width - STEP)
        y = MARGIN + number * LANE_HEIGHT
        lanes.append(Lane(name=name, y=y, ticks=tuple(ticks), bands=tuple(terms)))
    breaks = tuple(LABEL_WIDTH + STEP * at for at, entry in enumerate(entries) if entry.order == "uncertain")
    return Lanes(width=width, height=2 * MARGIN + len(names) * LANE_HEIGHT, lanes=tuple(lanes), breaks=breaks)
