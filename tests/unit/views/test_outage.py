"""What is said of an outage is what the plan's own sentences say, in every scene and for every request."""

import pytest

from aerodb.actions import catalogue
from aerodb.protocol.api import Cell
from aerodb.protocol.authority import Candidacy
from aerodb.protocol.facts import Receiver, State
from aerodb.protocol.plan import Loss, Plan
from aerodb.rules.explain import explain
from aerodb.rules.foresight import scene_left
from aerodb.rules.writes import writes
from aerodb.views.outage import notes_stop, outage, stop_label, stops_writes
from tests.unit.rules.scenes import (
    CLUSTER,
    Scene,
    healthy,
    pledged,
    possible,
    request_for,
    scenes,
    snapshot_of,
    view_for,
    with_instance,
)

NO_LOSS = Loss(claim="none", statement="", arithmetic=())
SURVIVES_ONE = "acknowledged by n1, survives the loss of 1 more node"
SURVIVES_NONE = "acknowledged by n1, survives the loss of 0 more nodes"
WAITING = "waiting at n1; 0 of 2 standbys stream, 1 is needed"


def _one_standby_left() -> Scene:
    scene = healthy()
    instance = scene["n1"].instance
    assert instance is not None
    return with_instance(scene, "n1", senders=tuple(each for each in instance.senders if each.node != "n3"))


def _unseen(scene: Scene, *silent: str) -> Scene:
    return {name: facts for name, facts in scene.items() if name not in silent}


def _fenced(scene: Scene, *nodes: str) -> Scene:
    for name in nodes:
        scene = pledged(scene, name, Candidacy(term=2, node="n2"))
    return scene


def _elected_unseen() -> Scene:
    """Return n1 down, and n3 attached to n2, for which it has pledged, and which gives no report."""
    scene = _fenced(with_instance(healthy(), "n1", state=State.CRASHED, senders=()), "n3")
    receiver = Receiver(status="streaming", upstream="", flushed=None)
    return _unseen(with_instance(scene, "n3", attached="n2", receiver=receiver), "n2")


IN_DOUBT = {
    "primary unseen": _unseen(healthy(), "n1"),
    "primary unseen, one standby left": _unseen(_fenced(healthy(), "n2"), "n1"),
    "primary and a standby unseen": _unseen(healthy(), "n1", "n3"),
    "primary hung": with_instance(healthy(), "n1", state=State.UNREACHABLE, recovery=None, senders=()),
    "what a commit waits for unknown": with_instance(healthy(), "n1", quorum=None),
    "what a commit waits for changed": with_instance(healthy(), "n1", drift=("synchronous_commit",)),
    "elected unseen": _elected_unseen(),
}
"""Scenes in which commits may be acknowledged by a primary that nobody who reports can speak for."""
SCENES = {**scenes(), "one standby left": _one_standby_left(), **IN_DOUBT}


@pytest.mark.parametrize("name", SCENES)
def test_a_cell_stops_writes_if_and_only_if_its_plan_says_so(name: str) -> None:
    """Of every request that would be accepted: the word in the matrix and the plan's sentences are one judgement."""
    scene = SCENES[name]
    found = writes(CLUSTER, scene)
    for action in catalogue().values():
        for request in possible(action):
            if request.target not in scene:
                continue
            plan = explain(CLUSTER, action, request, snapshot_of(scene))
            if name in IN_DOUBT:
                _denies_no_outage(plan)
            if not plan.accepted:
                continue
            cell = Cell(
                action=action.name, node=request.target, arguments=request.arguments, accepted=True, failed=(),
                loss=NO_LOSS,
            )  # fmt: skip
            assert bool(stops_writes(found, cell)) is notes_stop(plan.notes), (request, plan.notes)
            after = writes(CLUSTER, scene_left(view_for(request, scene)))
            stopped = notes_stop(plan.notes) and "meanwhile" not in outage(plan.notes).headlines[0]
            assert bool(stop_label(found, after)) is stopped, (request, plan.notes)


def test_the_fence_that_ends_what_an_unseen_primary_could_acknowledge_stops_writes() -> None:
    """The primary's agent is dead, its PostgreSQL may live: the first fence may stop it, and the second one does."""
    first, last = IN_DOUBT["primary unseen"], IN_DOUBT["primary unseen, one standby left"]
    fence = catalogue()["fence"]
    headlines = [
        outage(explain(CLUSTER, fence, request_for(fence, node, {"for": "n2"}), snapshot_of(scene)).notes).headlines
        for node, scene in (("n2", first), ("n3", last))
    ]
    assert headlines == [("WRITES MAY STOP, if n1 still lives.",), ("WRITES STOP, if n1 still lives.",)]
    cell = Cell(action="fence", node="n3", arguments={"for": "n2"}, accepted=True, failed=(), loss=NO_LOSS)
    assert stops_writes(writes(CLUSTER, first), cell) == "may stop writes, if n1 still lives"
    assert stops_writes(writes(CLUSTER, last), cell) == "stops writes, if n1 still lives"


def test_that_nobody_flushes_is_not_said_where_what_a_commit_waits_for_is_not_known() -> None:
    """It may wait for nobody: then what takes nobody away stops nothing, and that is not said to be known either."""
    alone = with_instance(IN_DOUBT["what a commit waits for changed"], "n1", senders=())
    found = writes(CLUSTER, alone)
    assert found.headline == "unknown: n1 takes writes, and what a commit waits for was changed by hand"
    plan = explain(CLUSTER, catalogue()["stop"], request_for(catalogue()["stop"], "n2", {}), snapshot_of(alone))
    assert outage(plan.notes).headlines[0].startswith("Not known: ")
    plan = explain(CLUSTER, catalogue()["stop"], request_for(catalogue()["stop"], "n1", {}), snapshot_of(alone))
    assert outage(plan.notes).headlines == ("WRITES STOP, if they are acknowledged now, which is not known.",)


def test_earlier_rules_leave_who_could_flush_open_and_so_does_the_headline() -> None:
    """Their plans say the same before and after the first fence: that this is no outage does not follow."""
    same = "no primary is observed; last known n1, term 1."
    assert outage((f"Writes now and afterwards: {same}",)).headlines == ("WRITES MAY STOP, if n1 still lives.",)
    ends = "Writes afterwards: no primary; last known n1, term 1, which can acknowledge nothing."
    assert outage((f"Writes now: {same}", ends)).headlines == ("WRITES STOP, if n1 still lives.",)


def _denies_no_outage(plan: Plan) -> None:
    """Check that where a writer may be acknowledged unseen, that there is no outage is said of nothing."""
    (headline,) = outage(plan.notes).headlines
    goes_on = any(each.startswith("Writes afterwards: acknowledged by") for each in plan.notes)
    assert goes_on or not headline.startswith("None"), plan.request


def test_each_scene_in_doubt_is_one() -> None:
    """Whether commits are acknowledged is unknown in each of them."""
    assert {writes(CLUSTER, scene).acknowledged for scene in IN_DOUBT.values()} == {"unknown"}


def test_the_scenes_hold_stops_of_each_kind() -> None:
    """The test above judges a stop of the primary, and one by a standby that is the last one."""
    found = set()
    for scene in (*scenes().values(), SCENES["one standby left"]):
        for action in catalogue().values():
            for request in possible(action):
                plan = explain(CLUSTER, action, request, snapshot_of(scene))
                if plan.accepted and notes_stop(plan.notes):
                    found.add((action.name, request.target))
    assert found >= {("demote", "n1"), ("stop", "n1"), ("stop", "n2"), ("fence", "n2"), ("reclone", "n2")}


@pytest.mark.parametrize(
    ("notes", "style", "headline"),
    [
        ((), "warn", "The plan does not say what becomes of writes."),
        ((f"Writes now and afterwards: {SURVIVES_ONE}.",), "good", "None: writes go on as they are."),
        ((f"Writes now: {SURVIVES_ONE}.", f"Writes afterwards: {WAITING}."), "bad", "WRITES STOP."),
        (
            (f"Writes now: {SURVIVES_ONE}.", f"Writes meanwhile: {WAITING}.", f"Writes afterwards: {SURVIVES_ONE}."),
            "bad",
            "WRITES STOP meanwhile, and go on afterwards.",
        ),
        (
            (f"Writes now: {WAITING}.", f"Writes afterwards: {SURVIVES_NONE}."),
            "good",
            "None by this: writes go on again afterwards.",
        ),
        (
            (f"Writes now: {SURVIVES_ONE}.", f"Writes afterwards: {SURVIVES_NONE}."),
            "warn",
            "None, but writes survive fewer losses afterwards.",
        ),
        (
            (
                f"Writes now: {SURVIVES_ONE}.",
                f"Writes meanwhile: {SURVIVES_NONE}.",
                f"Writes afterwards: {SURVIVES_ONE}.",
            ),
            "warn",
            "None, but writes survive fewer losses meanwhile.",
        ),
        (
            (f"Writes now: {SURVIVES_NONE}.", "Writes afterwards: unknown: no node gave a report."),
            "bad",
            "It is not known that writes go on.",
        ),
    ],
)
def test_the_headline_is_of_the_sentences(notes: tuple[str, ...], style: str, headline: str) -> None:
    """Each course of writes has its headline and its style; the plan's sentences stand beneath it, whole."""
    found = outage((*notes, "Another note."))
    assert (found.style, found.headlines, found.facts) == (style, (headline,), notes)
