"""Drawings and pages as functions: every node is drawn once, whoever it streams from; equal input is equal bytes."""

import pytest

from aerodb.protocol import canonical
from aerodb.protocol.api import Status
from aerodb.protocol.authority import Position
from aerodb.protocol.cluster import Operator, Role
from aerodb.protocol.facts import State
from aerodb.protocol.lsn import Lsn
from aerodb.rules.writes import writes
from aerodb.views import topology
from aerodb.views.observed import observe_snapshot
from aerodb.web.pages.cluster import cluster_page
from aerodb.web.rendering import render
from tests.unit.rules.scenes import CLUSTER, Scene, healthy, scenes, snapshot_of, with_instance


def _drawn(scene: Scene) -> topology.Drawing:
    return topology.draw(CLUSTER, observe_snapshot(CLUSTER, snapshot_of(scene), {}))


@pytest.mark.parametrize("name", scenes())
def test_every_node_is_drawn_once_and_apart(name: str) -> None:
    """Whatever state a cluster is in, each member has one box, and no two boxes lie upon one another."""
    drawing = _drawn(scenes()[name])
    assert sorted(box.name for box in drawing.boxes) == sorted(member.name for member in CLUSTER.members)
    assert len({(box.x, box.y) for box in drawing.boxes}) == len(drawing.boxes)
    assert all(box.x + topology.BOX_WIDTH <= drawing.width for box in drawing.boxes)
    assert all(box.y + topology.BOX_HEIGHT <= drawing.height for box in drawing.boxes)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("term", [None, 12])
def test_each_line_fits_into_its_box(state: State, term: int | None) -> None:
    """Whatever state a node is in, and also where its term is not known: nothing is cut off at the box's edge."""
    position = Position(term=term, bound=12, timeline=12, lsn=Lsn(0xFF_FFFF_FFFF))
    drawing = _drawn(with_instance(healthy(), "n3", state=state, position=position))
    assert all(len(line) <= 33 for box in drawing.boxes for line in box.lines), drawing.boxes


def test_nodes_that_stream_in_a_circle_are_drawn() -> None:
    """A circle of upstreams, which the settings can name however wrong it is, ends the drawing all the same."""
    scene = with_instance(with_instance(healthy(), "n2", attached="n3"), "n3", attached="n2")
    drawing = _drawn(scene)
    assert {box.name for box in drawing.boxes} == {"n1", "n2", "n3"}
    assert {(edge.upstream, edge.node) for edge in drawing.edges} == {("n2", "n3"), ("n3", "n2")}


def test_a_silent_node_is_drawn_as_not_observed() -> None:
    """What could not be observed has its place, and says so; who streams from it still does."""
    scene = {name: facts for name, facts in healthy().items() if name != "n1"}
    drawing = _drawn(scene)
    silent = next(box for box in drawing.boxes if box.name == "n1")
    assert (silent.style, silent.lines) == ("absent", ("not observed",))
    assert {edge.node: edge.lag for edge in drawing.edges} == {"n2": "lag unknown", "n3": "lag unknown"}


def _page(person: Operator) -> bytes:
    snapshot = snapshot_of(healthy())
    status = Status(
        cluster=CLUSTER.id, cluster_name=CLUSTER.name, configuration=CLUSTER.digest, consistent=True,
        writes=writes(CLUSTER, healthy()),
        snapshot_digest=canonical.digest(canonical.encode(snapshot)), snapshot=snapshot, matrix=(), log_size=1,
        log_writable=True,
    )  # fmt: skip
    page = cluster_page(CLUSTER, status)
    common = {"cluster_name": CLUSTER.name, "navigation": (), "here": page.here, "token": "", "person": person}
    return render(page.template, {**page.values, **common})


def test_equal_input_is_equal_bytes() -> None:
    """The same snapshot, role and input give the same page, whoever computes it and when."""
    person = Operator(name="ada", role=Role.OPERATOR)
    assert _page(person) == _page(person)
    assert _page(person) != _page(Operator(name="ada", role=Role.AUDITOR))


def test_what_a_page_shows_is_escaped() -> None:
    """Markup stays text, and control and bidirectional characters are shown as what they are."""
    page = _page(Operator(name="<b>\u202egnome\x07", role=Role.OPERATOR)).decode()
    assert "&lt;b&gt;\\u202egnome\\u0007" in page
    assert "\u202e" not in page
