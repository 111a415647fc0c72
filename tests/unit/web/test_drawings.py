"""Drawings and pages as functions: every node is drawn once, whoever it streams from; equal input is equal bytes."""

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from aerodb.protocol import canonical
from aerodb.protocol.api import Status
from aerodb.protocol.cluster import Operator, Role
from aerodb.protocol.keeping import NOTHING_SEEN, Slot
from aerodb.rules.writes import writes
from aerodb.views import topology
from aerodb.views.observed import observe_snapshot
from aerodb.web.pages.cluster import cluster_page
from aerodb.web.rendering import render
from tests.unit.rules.scenes import CLUSTER, Scene, healthy, scenes, snapshot_of, with_instance


def _drawn(scene: Scene) -> tuple[topology.MapNode, ...]:
    return topology.draw(CLUSTER, observe_snapshot(CLUSTER, snapshot_of(scene), {}))


def _all(nodes: tuple[topology.MapNode, ...]) -> Iterator[topology.MapNode]:
    for node in nodes:
        yield node
        yield from _all(node.below)


@pytest.mark.parametrize("name", scenes())
def test_every_node_has_one_place_on_the_map(name: str) -> None:
    """Whatever state a cluster is in, each member stands on the map once, with where it is reached."""
    found = list(_all(_drawn(scenes()[name])))
    assert sorted(node.name for node in found) == sorted(member.name for member in CLUSTER.members)
    assert all(node.lines[0][1].startswith(("127.0.0.1:2", "agent 127.0.0.1:1")) for node in found)


def test_a_standby_stands_below_what_it_streams_from() -> None:
    """The tree is who streams from whom, however deep."""
    assert [(node.name, [each.name for each in node.below]) for node in _drawn(healthy())] == [("n1", ["n2", "n3"])]
    (root,) = _drawn(with_instance(healthy(), "n3", attached="n2"))
    assert [each.name for each in _all((root,))] == ["n1", "n2", "n3"]
    assert root.below[0].below[0].name == "n3"


def test_nodes_that_stream_in_a_circle_have_their_place() -> None:
    """A circle of upstreams, which the settings can name however wrong it is, ends the map all the same."""
    scene = with_instance(with_instance(healthy(), "n2", attached="n3"), "n3", attached="n2")
    drawn = _drawn(scene)
    assert [node.name for node in _all(drawn)] == ["n1", "n2", "n3"]
    assert [each.name for each in drawn[1].below] == ["n3"]


def test_a_silent_node_is_drawn_as_not_observed() -> None:
    """What could not be observed has its place, and says so; who streams from it still does."""
    (silent,) = _drawn({name: facts for name, facts in healthy().items() if name != "n1"})
    assert (silent.name, silent.style, silent.lines[-1]) == ("n1", "absent", ("bad", "not observed"))
    assert {each.name: each.stream.received for each in silent.below if each.stream} == dict.fromkeys(
        ("n2", "n3"), "unknown"
    )


def test_a_silent_standby_stands_below_who_says_that_it_sends_to_it() -> None:
    """Its agent is gone and its PostgreSQL streams: its upstream says so, so its place is known, and its lag is not."""
    (root,) = _drawn({name: facts for name, facts in healthy().items() if name != "n2"})
    absent = root.below[0]
    assert (absent.name, absent.style) == ("n2", "absent")
    assert absent.stream is not None
    assert (absent.stream.sync, absent.stream.received) == ("counts for a commit", "unknown")


def test_a_slot_stands_on_the_stream_that_it_is_for() -> None:
    """What the upstream keeps for a node is said beside the stream to it; of an upstream that does not say, unknown."""
    slots = (
        Slot(name="aerodb_n2", kind="physical", active=True, lost=False, held_bytes=416),
        Slot(name="other", kind="physical", active=False, lost=False, held_bytes=1 << 40),
    )
    scene = with_instance(healthy(), "n1", keeping=replace(NOTHING_SEEN, slots=slots))
    (root,) = _drawn(scene)
    assert [each.stream.slot for each in root.below if each.stream] == ["aerodb_n2, holds 416 B", "none"]
    assert [each.stream.slot for each in _drawn(healthy())[0].below if each.stream] == ["unknown", "unknown"]


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
