"""What plans say of the writes: now by the rule that judges now, afterwards by the same rule on what is foreseen."""

import itertools

import pytest

from aerodb.actions import catalogue
from aerodb.protocol.authority import Candidacy
from aerodb.protocol.facts import Sender, State
from aerodb.rules.explain import explain
from aerodb.rules.writes import writes
from tests.unit.rules.scenes import (
    CLUSTER,
    Scene,
    demoted,
    healthy,
    pledged,
    possible,
    request_for,
    scenes,
    snapshot_of,
    switched,
    view_for,
    with_instance,
)

ONE, NONE = "survives the loss of 0 more nodes", "0 of 2 standbys stream, 1 is needed"


def said(scene: Scene, action: str, target: str, **arguments: str) -> tuple[str, ...]:
    """Return what a plan says of the writes."""
    named = {name.rstrip("_"): value for name, value in arguments.items()}
    found = catalogue()[action]
    return found.writes(view_for(request_for(found, target, named), scene))


def cascading(scene: Scene, node: str, upstream: str) -> Scene:
    """Return the scene in which a node streams from a standby."""
    sender = Sender(node=node, state="streaming", sync_state="async", sent=None, flushed=None, replayed=None)
    instance = scene["n1"].instance
    assert instance is not None
    scene = with_instance(scene, "n1", senders=tuple(each for each in instance.senders if each.node != node))
    return with_instance(with_instance(scene, upstream, senders=(sender,)), node, attached=upstream)


def test_a_switchovers_plans_say_when_writes_stop_and_come_back() -> None:
    """The third node beside the successor beforehand is what brings them back with the promotion."""
    beforehand = said(healthy(), "follow", "n3", upstream="n2")
    assert beforehand == (
        "Writes now: acknowledged by n1, survives the loss of 1 more node.",
        f"Writes afterwards: acknowledged by n1, {ONE}.",
    )
    ready = cascading(healthy(), "n3", "n2")
    assert said(ready, "demote", "n1", for_="n2")[-1] == (
        f"Writes afterwards: none until n2 is promoted; then acknowledged by n2, {ONE}."
    )
    assert said(healthy(), "demote", "n1", for_="n2")[-1] == (
        f"Writes afterwards: none until n2 is promoted; then waiting at n2; {NONE}."
    )
    assert said(demoted(), "promote", "n2") == (
        "Writes now: no primary; last known n1, term 1.",
        f"Writes afterwards: waiting at n2; {NONE}.",
    )
    assert said(switched(), "follow", "n1", upstream="n2")[-1] == f"Writes afterwards: acknowledged by n2, {ONE}."


def test_whoever_takes_a_standby_away_is_told_who_is_left() -> None:
    """Stopping or fencing one of two leaves no spare; the last one ends the writes."""
    for action, arguments in (("stop", {}), ("fence", {"for": "n2"})):
        assert said(healthy(), action, "n3", **arguments)[-1] == f"Writes afterwards: acknowledged by n1, {ONE}."
    alone = with_instance(healthy(), "n1", senders=())
    last = pledged(alone, "n2", Candidacy(term=2, node="n3"))
    assert said(last, "fence", "n3", for_="n3") == (f"Writes now and afterwards: waiting at n1; {NONE}.",)
    assert said(healthy(), "stop", "n1")[-1] == "Writes afterwards: no primary; last known n1, term 1."


def test_a_fence_that_ends_what_a_silent_primary_could_acknowledge_says_so() -> None:
    """Of a primary that gives no report, the last standby that could flush for it makes the difference."""
    silent = {name: facts for name, facts in healthy().items() if name != "n1"}
    first = said(silent, "fence", "n2", for_="n2")
    unseen = "unknown: n1, primary of term 1, is not observed"
    assert first == (
        f"Writes now: {unseen}; n2, n3 could flush for it.",
        f"Writes afterwards: {unseen}; n3 could flush for it.",
    )
    after = pledged(silent, "n2", Candidacy(term=2, node="n2"))
    assert writes(CLUSTER, after).acknowledged == "unknown"
    ends = "no primary; last known n1, term 1, which can acknowledge nothing"
    assert said(after, "fence", "n3", for_="n2")[-1] == f"Writes afterwards: {ends}."
    both = pledged(after, "n3", Candidacy(term=2, node="n2"))
    assert writes(CLUSTER, both).acknowledged == "no"
    assert said(both, "promote", "n2")[-1] == f"Writes afterwards: waiting at n2; {NONE}."


def test_a_primary_that_starts_finds_its_standbys_again() -> None:
    """Those that are attached to it and run are foreseen to stream."""
    down = with_instance(healthy(), "n1", state=State.CRASHED, senders=())
    assert said(down, "start", "n1")[-1] == "Writes afterwards: acknowledged by n1, survives the loss of 1 more node."
    fewer = with_instance(down, "n3", state=State.STOPPED, receiver=None)
    assert said(fewer, "start", "n1")[-1] == f"Writes afterwards: acknowledged by n1, {ONE}."


def test_a_reclone_says_what_waits_during_the_copy() -> None:
    """Where the node to be recloned is the one that acknowledges, nothing is acknowledged meanwhile."""
    instance = healthy()["n1"].instance
    assert instance is not None
    only = with_instance(healthy(), "n1", senders=instance.senders[:1])
    only = with_instance(only, "n3", state=State.STOPPED, receiver=None)
    assert said(only, "reclone", "n2", upstream="n1") == (
        f"Writes now: acknowledged by n1, {ONE}.",
        f"Writes meanwhile: waiting at n1; {NONE}.",
        f"Writes afterwards: acknowledged by n1, {ONE}.",
    )


@pytest.mark.parametrize("name", scenes())
def test_every_plan_begins_its_notes_with_the_writes(name: str) -> None:
    """Whatever is asked in whatever state: what is now, and afterwards, in at most three sentences, always the same."""
    scene = scenes()[name]
    for action in catalogue().values():
        for request in itertools.islice(possible(action), 6):
            plan = explain(CLUSTER, action, request, snapshot_of(scene))
            found = tuple(note for note in plan.notes if note.startswith("Writes "))
            assert plan.notes[: len(found)] == found
            assert 1 <= len(found) <= 3
            assert writes(CLUSTER, scene).headline in found[0]
            assert explain(CLUSTER, action, request, snapshot_of(scene)) == plan
