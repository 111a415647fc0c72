"""The topology as a drawing: which node streams from which, laid out as a tree from left to right.

A node is the child of the upstream that its own settings name; if that is unknown, it stands alone. Coordinates are
whole numbers, and depend only on the names and the upstreams. Pure: no I/O, no clock.
"""

from dataclasses import dataclass

from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import Facts, State
from aerodb.views.observed import Observed, lag_bytes, sync_state

BOX_WIDTH, BOX_HEIGHT = 232, 84
LINE_LETTERS_MAX = 33
"""So many letters of a line fit into a box, at 6.4 each; 14 stay free on the left."""
GAP_ACROSS, GAP_DOWN = 184, 20
MARGIN = 2
ELBOW = 22


@dataclass(frozen=True, kw_only=True)
class Box:
    """One node as it is drawn; `lines` stand below its name and role."""

    name: str
    role: str
    style: str
    lines: tuple[str, ...]
    x: int
    y: int


@dataclass(frozen=True, kw_only=True)
class Edge:
    """A stream of WAL as it is drawn: its path and tip, and its two texts, the first of them at (`x`, `y`)."""

    upstream: str
    node: str
    style: str
    sync: str
    lag: str
    path: str
    x: int
    y: int
    tip_x: int
    tip_y: int


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """The whole drawing, in CSS pixels."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]


def _upstream(facts: Facts | None) -> str | None:
    """Return the upstream that a node's own settings name; a primary has none, whatever they say."""
    if facts is None or facts.instance is None or facts.standing.role == "primary":
        return None
    return facts.instance.attached


def _order(cluster: Cluster, observed: Observed) -> list[tuple[str, int]]:
    """Return every node with its depth, each below its upstream, in the configuration's order."""
    names = [member.name for member in cluster.members]
    upstreams = {name: _upstream(observed.facts.get(name)) for name in names}
    found: dict[str, int] = {}

    def walk(name: str, depth: int) -> None:
        if name in found:
            return  # Nodes that stream from one another in a ring are drawn once each.
        found[name] = depth
        for each in names:
            if upstreams[each] == name:
                walk(each, depth + 1)

    roots = [name for name in names if upstreams[name] is None]
    for name in (*roots, *names):
        walk(name, 0)
    return list(found.items())


def _rows(order: list[tuple[str, int]]) -> dict[str, int]:
    """Return the row of each node: a first child is in its upstream's row, every other begins a new one."""
    rows: dict[str, int] = {}
    row, before = -1, -1
    for name, depth in order:
        if depth <= before or before < 0:
            row += 1
        rows[name], before = row, depth
    return rows


def node_lines(facts: Facts | None) -> tuple[str, ...]:
    """Return what a box says of its node, besides its name and role."""
    if facts is None:
        return ("not observed",)
    instance = facts.instance
    if instance is None:
        return ("holds no data", f"pledged term {facts.standing.pledged.term}")
    position = instance.position
    if position is None:
        return (str(instance.state), "position unknown")
    term = f"term {'unknown' if position.term is None else position.term}"
    whole = f"{instance.state} · {term} · timeline {position.timeline}"
    if len(whole) > LINE_LETTERS_MAX:
        return (f"{instance.state} · timeline {position.timeline}", f"{position.lsn}, {term}")
    return (whole, str(position.lsn))


def _style(facts: Facts | None) -> str:
    if facts is None:
        return "absent"
    if facts.instance is not None and facts.instance.state is not State.RUNNING:
        return "down"
    return facts.standing.role


def draw(cluster: Cluster, observed: Observed) -> Drawing:
    """Return the drawing of a snapshot."""
    order = _order(cluster, observed)
    rows = _rows(order)
    depths = dict(order)
    boxes = tuple(
        Box(
            name=name,
            role=observed.facts[name].standing.role if name in observed.facts else "",
            style=_style(observed.facts.get(name)),
            lines=node_lines(observed.facts.get(name)),
            x=MARGIN + depths[name] * (BOX_WIDTH + GAP_ACROSS),
            y=MARGIN + rows[name] * (BOX_HEIGHT + GAP_DOWN),
        )
        for name, _ in order
    )
    by_name = {box.name: box for box in boxes}
    edges = (_edge(by_name, box.name, observed) for box in boxes)
    return Drawing(
        width=2 * MARGIN + BOX_WIDTH + max(depths.values()) * (BOX_WIDTH + GAP_ACROSS),
        height=2 * MARGIN + BOX_HEIGHT + max(rows.values()) * (BOX_HEIGHT + GAP_DOWN),
        boxes=boxes,
        edges=tuple(edge for edge in edges if edge is not None),
    )


def _edge(boxes: dict[str, Box], name: str, observed: Observed) -> Edge | None:
    facts = observed.facts.get(name)
    upstream = _upstream(facts)
    if facts is None or upstream is None or upstream not in boxes:
        return None
    style, sync = sync_state(name, upstream, observed) or ("warn", "not known")
    lag = lag_bytes(facts, observed)
    start, end = boxes[upstream], boxes[name]
    begin_x, begin_y = start.x + BOX_WIDTH, start.y + BOX_HEIGHT // 2
    middle, y = begin_x + ELBOW, end.y + BOX_HEIGHT // 2
    return Edge(
        upstream=upstream,
        node=name,
        style=style,
        sync=sync,
        lag="lag unknown" if lag is None else f"{lag} bytes behind",
        path=f"M{begin_x} {begin_y}H{middle}V{y}H{end.x - 7}",
        x=middle + 10,
        y=y - 8,
        tip_x=end.x - 1,
        tip_y=y,
    )
