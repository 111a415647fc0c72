"""Signed ahead: how the two requests name each other, what the successor must hold, what the form of a plan can say."""

import msgspec
import pytest
from msgspec.structs import replace

from aerodb.protocol import canonical
from aerodb.protocol.ahead import AFTER, THEN, Later, SequenceMalformed, read_earlier, read_later
from aerodb.protocol.canonical import NotCanonical
from aerodb.protocol.formats import MadeLater
from aerodb.protocol.plan import Plan, Result, plan_in
from aerodb.rules.ahead import successor_holds
from aerodb.rules.explain import explain
from aerodb.rules.invariants import Invariant
from tests.unit.rules.scenes import CLUSTER, LATER, REQUEST, Scene, healthy, held_for, holding, snapshot_of, view_for
from tests.unit.rules.test_ahead import DEMOTE, EARLIER, ahead, first, results, said_of

# The successor holds --------------------------------------------------------------------------------------------------

HELD = held_for("n1")
NAMED = first(**{THEN: str(LATER)})
HOLDS: dict[str, tuple[Scene, str]] = {
    "it holds none": (healthy(), "n2 holds no order"),
    "another request": (
        holding(healthy(), "n2", replace(HELD, request=REQUEST)), f"n2 holds the order of request {REQUEST}, not of"
    ),
    "another plan": (
        holding(healthy(), "n2", replace(HELD, plan=f"sha256:{'6' * 64}")), "n2 holds the order of request"
    ),
    "after another primary": (
        holding(healthy(), "n2", held_for("n3")), f"the order that n2 holds comes after demote:n3:{REQUEST}"
    ),
    "after another request": (
        holding(healthy(), "n2", replace(HELD, after=f"demote:n1:{LATER.request}")), "the order that n2 holds comes"
    ),
    "after another action": (
        holding(healthy(), "n2", replace(HELD, after=f"stop:n1:{REQUEST}")), "the order that n2 holds comes after stop"
    ),
    "for another term": (
        holding(healthy(), "n2", held_for("n1", term=3)), "is for term 3; this would pledge term 2"
    ),
    "another node holds it": (holding(healthy(), "n3", HELD), "n2 holds no order"),
    "the primary itself holds it": (holding(healthy(), "n1", HELD), "n2 holds no order"),
    "it is silent": ({n: f for n, f in holding(healthy(), "n2", HELD).items() if n != "n2"}, "n2 did not report"),
}  # fmt: skip


@pytest.mark.parametrize("how", HOLDS)
def test_the_successor_must_hold_this_very_order(how: str) -> None:
    """One word apart, and the primary does not stop: the verdict fails by itself, and says what is held instead."""
    scene, said = HOLDS[how]
    plan = explain(CLUSTER, DEMOTE, NAMED, snapshot_of(scene))
    result = Result.UNKNOWN if how == "it is silent" else Result.VIOLATED
    assert (plan.accepted, results(plan)[Invariant.SUCCESSOR_HOLDS]) == (False, result)
    assert said in said_of(plan, Invariant.SUCCESSOR_HOLDS)


def test_the_successor_that_holds_it_is_named_with_what_follows() -> None:
    """Held as it must be: accepted, and the plan says who runs what afterwards, by which plan, and that nobody asks."""
    plan = explain(CLUSTER, DEMOTE, NAMED, snapshot_of(holding(healthy(), "n2", HELD)))
    assert (plan.accepted, type(plan)) == (True, Plan)
    assert said_of(plan, Invariant.SUCCESSOR_HOLDS) == "n2 holds the order to promote, for term 2 and this request"
    note = next(each for each in plan.notes if each.startswith("THEN"))
    for word in ("n2 runs the order that it holds", "promote n2", LATER.request, LATER.plan, "Nobody is asked again"):
        assert word in note


def test_a_demotion_that_names_nothing_is_judged_as_ever() -> None:
    """Whether or not the successor holds something, a demotion without `then` is accepted, and nothing follows it."""
    for scene in (healthy(), holding(healthy(), "n2", HELD)):
        plan = explain(CLUSTER, DEMOTE, first(), snapshot_of(scene))
        assert plan.accepted
        assert not [each for each in plan.notes if each.startswith("THEN")]


def test_a_demotion_that_runs_nothing_says_which_held_order_it_does_not_run() -> None:
    """Where the successor holds one for a demotion of this node: its request, and how both are run; else nothing."""
    said = f"aerodb demote n1 --for n2 --then {LATER.request}."

    def notes(scene: Scene, **more: str) -> list[str]:
        plan = explain(CLUSTER, DEMOTE, first(**more), snapshot_of(scene))
        return [each for each in plan.notes if "HOLDS AN ORDER THAT THIS DOES NOT RUN" in each]

    (note,) = notes(holding(healthy(), "n2", HELD))
    assert note.startswith("n2 HOLDS")
    assert note.endswith(said)
    assert f"request {LATER.request}" in note
    assert notes(holding(healthy(), "n2", HELD), **{THEN: str(LATER)}) == []
    for scene in (
        healthy(), holding(healthy(), "n3", HELD), holding(healthy(), "n2", held_for("n3")),
        holding(healthy(), "n2", replace(HELD, after="n1")),
    ):  # fmt: skip
        assert notes(scene) == []


def test_what_is_held_is_judged_in_the_term_of_the_plan() -> None:
    """A node that judges again, in its plan's term, is not misled by what a new plan would name."""
    view = view_for(NAMED, holding(healthy(), "n2", HELD))
    assert successor_holds(view, "n2").result is Result.HOLDS
    assert successor_holds(replace(view, term=3), "n2").result is Result.VIOLATED


# Notes ----------------------------------------------------------------------------------------------------------------


def test_a_later_plan_says_what_it_waits_for_and_what_to_do_where_nothing_comes() -> None:
    """What it comes after, that it never runs otherwise, how to be sure of that; and the writes in both states."""
    plan = ahead(healthy())
    text = " ".join(plan.notes)
    for word in (f"IT COMES AFTER demote n1 (request {LATER.request})", "n2 holds the order in memory",
                 "every invariant is judged again then", "this one never is", "fence n2 first: that drops the order",
                 "is of the state that demote n1 is foreseen to leave"):  # fmt: skip
        assert word in text
    writes = [each for each in plan.notes if each.startswith("Writes")]
    assert [each.partition(":")[0] for each in writes] == [
        "Writes now", "Writes once demote n1 is executed", "Writes afterwards"
    ]  # fmt: skip
    assert writes[0] == next(
        each
        for each in explain(CLUSTER, DEMOTE, first(), snapshot_of(healthy())).notes
        if each.startswith("Writes now")
    )


# The plan's form ------------------------------------------------------------------------------------------------------

AHEAD = ahead(healthy())
PLAIN = explain(CLUSTER, DEMOTE, first(), snapshot_of(healthy()))
FORESEES = next(each for each in AHEAD.verdicts if each.result is Result.FORESEEN)


def changed(plan: Plan, **changes: object) -> dict[str, object]:
    """Return a plan as plain values, changed; None takes a field out."""
    said = {**msgspec.to_builtins(plan), **changes}
    return {name: value for name, value in said.items() if value is not None}


WITHOUT_AFTER = {**msgspec.to_builtins(AHEAD.request), "arguments": {}}
WITH_AFTER = {**msgspec.to_builtins(PLAIN.request), "arguments": {"for": "n2", AFTER: str(EARLIER)}}
LOOSE = {
    "a later plan that comes after nothing": changed(AHEAD, request=WITHOUT_AFTER),
    "a later plan that comes after nothing and foresees nothing": changed(
        AHEAD, request=WITHOUT_AFTER, verdicts=msgspec.to_builtins(PLAIN.verdicts)
    ),
    "a plan of version 1 that comes after another": changed(AHEAD, format=None),
    "a plan of version 1 that comes after another and foresees nothing": changed(PLAIN, request=WITH_AFTER),
    "foreseen in a plan that comes after nothing": changed(PLAIN, verdicts=[msgspec.to_builtins(FORESEES)]),
    "version 1, named": changed(PLAIN, format=1),
    "a result that there is not": changed(AHEAD, verdicts=[{**msgspec.to_builtins(FORESEES), "result": "hoped"}]),
}


@pytest.mark.parametrize("how", LOOSE)
def test_a_plan_says_only_what_its_version_can(how: str) -> None:
    """Nothing is foreseen but in the form for it, and that form is for nothing else."""
    with pytest.raises(NotCanonical):
        plan_in(canonical.encode(LOOSE[how]).decode())


def test_both_forms_are_read_back_as_they_were_made() -> None:
    """Each by its own type, byte for byte; a third one is called a later version's."""
    for plan in (AHEAD, PLAIN):
        text = canonical.encode(plan).decode()
        read = plan_in(text)
        assert (read, type(read), canonical.encode(read).decode()) == (plan, type(plan), text)
        assert read.intact()
    with pytest.raises(MadeLater):
        plan_in(canonical.encode(changed(AHEAD, format=3)).decode())


def test_each_of_the_two_has_one_name_for_the_other() -> None:
    """What is read is what was written, in one form; anything else is refused."""
    assert read_earlier(str(EARLIER)) == EARLIER
    assert read_later(str(LATER)) == LATER
    assert (str(EARLIER), EARLIER.words) == (f"demote:n1:{LATER.request}", "demote n1")
    assert Later(request=LATER.request, plan=LATER.plan) == LATER
    for read in (read_earlier, read_later):
        for text in ("", "demote", "demote:n1", f"{LATER}x", f"{EARLIER} ", f"{LATER.request}:{'5' * 64}"):
            with pytest.raises(SequenceMalformed):
                read(text)
