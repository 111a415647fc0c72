"""What is said of an outage is what the plan's own sentences say, in every scene and for every request."""

import pytest

from aerodb.actions import catalogue
from aerodb.protocol.api import Cell
from aerodb.protocol.plan import Loss
from aerodb.rules.explain import explain
from aerodb.rules.writes import writes
from aerodb.views.outage import notes_stop, outage, stops_writes
from tests.unit.rules.scenes import CLUSTER, Scene, healthy, possible, scenes, snapshot_of, with_instance

NO_LOSS = Loss(claim="none", statement="", arithmetic=())
SURVIVES_ONE = "acknowledged by n1, survives the loss of 1 more node"
SURVIVES_NONE = "acknowledged by n1, survives the loss of 0 more nodes"
WAITING = "waiting at n1; 0 of 2 standbys stream, 1 is needed"


def _one_standby_left() -> Scene:
    scene = healthy()
    instance = scene["n1"].instance
    assert instance is not None
    return with_instance(scene, "n1", senders=tuple(each for each in instance.senders if each.node != "n3"))


SCENES = {**scenes(), "one standby left": _one_standby_left()}


@pytest.mark.parametrize("name", SCENES)
def test_a_cell_stops_writes_if_and_only_if_its_plan_says_so(name: str) -> None:
    """Of every request that would be accepted: the word in the matrix and the plan's sentences are one judgement."""
    scene = SCENES[name]
    found = writes(CLUSTER, scene)
    for action in catalogue().values():
        for request in possible(action):
            plan = explain(CLUSTER, action, request, snapshot_of(scene))
            if not plan.accepted:
                continue
            cell = Cell(
                action=action.name, node=request.target, arguments=request.arguments, accepted=True, failed=(),
                loss=NO_LOSS,
            )  # fmt: skip
            assert stops_writes(found, cell) is notes_stop(plan.notes), (request, plan.notes)


def test_the_scenes_hold_stops_of_each_kind() -> None:
    """The test above judges a stop of the primary, and one by a standby that is the last one."""
    found = set()
    for scene in SCENES.values():
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
