"""What a plan says of logical slots and of archiving: exactly what is so, of every slot, in every state."""

from collections.abc import Callable
from itertools import product

import msgspec
import pytest
from msgspec.structs import replace

from aerodb.actions import action_named
from aerodb.protocol import canonical
from aerodb.protocol.ahead import AFTER
from aerodb.protocol.carrying import Carrying, LogicalSlot
from aerodb.protocol.facts import Facts, State, structural
from aerodb.protocol.keeping import Keeping, Slot
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.plan import Plan
from aerodb.rules.carrying import GOES_ON, IS_LOST, LOST, MAY_BE_LOST, SLOT, WAS_LOST, Fate, fate
from aerodb.rules.explain import explain
from aerodb.views.outage import Weight
from aerodb.views.sheet import sheet
from tests.unit.rules.scenes import CLUSTER, Scene, demoted, healthy, request_for, snapshot_of, with_instance

DIGEST = f"sha256:{'0' * 64}"
ORIGINAL = LogicalSlot(
    name="cdc", database="shop", plugin="pgoutput", failover=True, synced=False, temporary=False, invalid="",
    confirmed=Lsn(4000),
)  # fmt: skip
COPY = replace(ORIGINAL, synced=True)
NOTHING = Carrying(copies=True, logical=(), slots_keep_bytes_max=None, archive_mode="off", archives_by="")
PHYSICAL = Slot(name="standby", kind="physical", active=False, lost=False, held_bytes=1 << 20)
HERE = replace(NOTHING, logical=(ORIGINAL,))
THERE = replace(NOTHING, logical=(COPY,))


def _scene(before: Carrying | None, after: Carrying | None, scene: Scene | None = None) -> Scene:
    """Return a scene in which n1, the primary, and n2 say what they carry (None: they do not say)."""
    found = scene or healthy()
    for name, each in {"n1": before, "n2": after}.items():
        found = with_instance(found, name, carrying=msgspec.UNSET if each is None else each)
    return found


def _plan(scene: Scene, action: str = "demote", node: str = "n1", **arguments: str) -> Plan:
    given = arguments or ({"for": "n2"} if action == "demote" else {})
    request = request_for(action_named(action), node, given)
    return explain(CLUSTER, action_named(action), request, snapshot_of(scene))


def _said(scene: Scene, action: str = "demote", node: str = "n1", **arguments: str) -> list[str]:
    return [each for each in _plan(scene, action, node, **arguments).notes if each.startswith(SLOT)]


def _archiving(scene: Scene, action: str = "demote", node: str = "n1") -> str:
    """Return the one sentence on archiving in a plan; empty where there is none."""
    found = [each for each in _plan(scene, action, node).notes if "archive" in each.lower()]
    assert len(found) <= 1, found
    return "".join(found)


def _oracle(here: LogicalSlot, there: LogicalSlot | None, *, copies: bool) -> Fate:
    """Return what becomes of a slot, as PostgreSQL's manual has it: one line a case, the first that is so."""
    cases = {
        Fate.USELESS: here.invalid != "",
        Fate.NO_VERSION: not copies,
        Fate.NO_COPY: there is None,
        Fate.ITS_OWN: there is not None and not there.synced,
        Fate.INVALID: there is not None and there.invalid != "",
        Fate.NOT_READY: there is not None and there.temporary,
    }
    return next((each for each, so in cases.items() if so), Fate.READY)


def test_a_slot_goes_on_only_where_the_successor_has_a_ready_copy() -> None:
    """Every state of a slot, of a copy and of the version: ready is `synced and not temporary and valid`, no more."""
    flags, reasons = (False, True), ("", "wal_removed")
    theirs = [None, *(
        replace(COPY, failover=failover, synced=synced, temporary=temporary, invalid=invalid)
        for failover, synced, temporary, invalid in product(flags, flags, flags, reasons)
    )]  # fmt: skip
    for failover, invalid, copies, copy in product(flags, reasons, flags, theirs):
        here = replace(ORIGINAL, failover=failover, invalid=invalid)
        there = replace(NOTHING, copies=copies, logical=(copy,) if copy else ())
        scene = _scene(replace(HERE, logical=(here,), copies=copies), there)
        expected = _oracle(here, copy, copies=copies)
        assert fate(here, "n1", "n2", scene["n2"]).fate is expected
        (said,) = _said(scene)
        assert (IS_LOST in said, GOES_ON in said) == (expected in LOST, expected is Fate.READY), said
        assert (WAS_LOST in said) == (expected is Fate.USELESS)


SILENT: dict[str, Callable[[Scene], Scene]] = {
    "n2 did not report": lambda scene: {name: each for name, each in scene.items() if name != "n2"},
    "PostgreSQL on n2 is crashed": lambda scene: with_instance(scene, "n2", state=State.CRASHED),
    "n2 does not say": lambda scene: scene,
}


@pytest.mark.parametrize("why", SILENT)
def test_what_the_successor_does_not_say_is_unknown(why: str) -> None:
    """Neither lost nor carried on; and why it is not known."""
    (said,) = _said(SILENT[why](_scene(HERE, None)))
    assert MAY_BE_LOST in said
    assert why in said
    assert IS_LOST not in said
    assert GOES_ON not in said


def test_each_slot_is_named_and_none_of_another_name_stands_in_for_it() -> None:
    """Three slots, of which the successor has one; a copy of another name is none of them."""
    three = tuple(replace(ORIGINAL, name=name) for name in ("a", "b", "c"))
    theirs = (replace(COPY, name="b"), replace(COPY, name="other"))
    said = _said(_scene(replace(HERE, logical=three), replace(THERE, logical=theirs)))
    assert [GOES_ON in each for each in said] == [False, True, False]
    assert [each.split()[2] for each in said] == ["a", "b", "c"]
    assert all("shop" in each for each in said)


def test_why_a_slot_was_not_copied_is_said() -> None:
    """That it is no failover slot; which version cannot copy any."""
    unmarked = replace(ORIGINAL, failover=False)
    assert "no failover slot on n1" in _said(_scene(replace(HERE, logical=(unmarked,)), NOTHING))[0]
    assert "no failover slot" not in _said(_scene(HERE, NOTHING))[0]
    old = replace(HERE, copies=False)
    fifteen = with_instance(_scene(old, replace(NOTHING, copies=False)), "n2", version="15.18")
    assert "PostgreSQL 15 cannot copy it" in _said(fifteen)[0]


def test_slots_refuse_nothing() -> None:
    """The plan of a demotion that loses every slot, and the archive, is accepted as it is without."""
    lost = _scene(replace(HERE, archive_mode="on", archives_by="archive_command"), NOTHING)
    assert _plan(lost).verdicts == _plan(healthy()).verdicts


def test_a_cluster_without_slots_or_archiving_has_no_word_of_them() -> None:
    """Neither in the plan to demote nor in the one to promote that is signed ahead of it."""
    quiet = _scene(NOTHING, NOTHING)
    plans = [_plan(quiet), _plan(quiet, "promote", "n2", **{AFTER: _earlier()})]
    for word in ("ogical slot", "rchive"):
        assert not any(word in note for plan in plans for note in plan.notes), word


def _earlier() -> str:
    return "demote:n1:99999999-2222-4333-8444-555555555555"


def test_a_promotion_says_what_becomes_of_its_own_copies() -> None:
    """Signed ahead: as the demotion's plan says it. Once n1 is down: what n2 has, and that n1 may have had more."""
    ahead = _scene(HERE, THERE)
    assert _said(ahead, "promote", "n2", **{AFTER: _earlier()}) == _said(ahead)
    theirs = (COPY, replace(COPY, name="late", temporary=True), replace(ORIGINAL, name="mine"))
    down = _scene(None, replace(THERE, logical=theirs), demoted())
    said = _said(down, "promote", "n2")
    assert [(each.split()[2], GOES_ON in each) for each in said] == [("cdc", True), ("late", False)]
    assert any("so whether it has logical slots is not known" in each for each in _plan(down, "promote", "n2").notes)


def test_a_lost_slot_weighs() -> None:
    """It stands under LOSS, by name, in the style of a loss; one that goes on stands there too, as no loss."""
    loss = {each: _loss(_scene(HERE, after)) for each, after in {"lost": NOTHING, "kept": THERE, "?": None}.items()}
    assert [loss[each].style for each in ("lost", "kept", "?")] == ["bad", "good", "warn"]
    assert loss["lost"].headlines[1] == "LOGICAL SLOTS ARE LOST: cdc."
    assert loss["?"].headlines[1] == "Logical slots may be lost: cdc."
    assert len(loss["kept"].headlines) == 1
    assert all(SLOT in loss[each].facts[-1] for each in loss)
    assert not any(each.startswith(SLOT) for each in sheet(_plan(_scene(HERE, NOTHING)), DIGEST).to_know)


def _loss(scene: Scene) -> Weight:
    return sheet(_plan(scene), DIGEST).weights[1]


# Archiving ------------------------------------------------------------------------------------------------------------

MODES = [
    replace(NOTHING, archive_mode=mode, archives_by=by)
    for mode, by in product(("on", "always"), ("archive_command", "archive_library", ""))
] + [NOTHING]


@pytest.mark.parametrize("action", ["demote", "promote"])
def test_whether_archiving_goes_on_is_said_in_every_state(action: str) -> None:
    """By the successor's own settings; what ends is in capitals; nothing is said where neither node archives."""
    node = "n1" if action == "demote" else "n2"
    for before, after in product([*MODES, None], [*MODES, None]):
        said = _archiving(_scene(before, after), action, node)
        archived = before is not None and before.archives_by != ""
        if after is None:
            assert ("is not known" in said) == (before is None or archived), said
        elif after.archives_by:
            assert f"WAL will be archived at n2{'' if archived or before is None else ', as it was not at n1'}:" in said
            assert after.archives_by in said
        elif after.archive_mode != "off":
            assert "grows without end" in said
            assert "NOT BE ARCHIVED at n2" in said
        else:
            never = before is not None and not archived
            assert ("NOT BE ARCHIVED at n2" in said) == (not never), said


# What plans are made from ---------------------------------------------------------------------------------------------


def test_what_is_carried_makes_no_two_states_of_one() -> None:
    """No verdict rests on it: a reader that confirms between two reads refuses nothing."""
    facts = _scene(HERE, THERE)["n1"]
    moved = replace(HERE, logical=(replace(ORIGINAL, confirmed=Lsn(9000)),), archive_mode="on")
    assert structural(facts) == structural(_scene(moved, THERE)["n1"])


def test_the_same_state_gives_the_same_bytes() -> None:
    """Whatever the reader has confirmed meanwhile: a plan names what becomes of a slot, and no position."""
    one, other = (
        _plan(_scene(replace(HERE, logical=(replace(ORIGINAL, confirmed=at),)), THERE)) for at in (Lsn(1), Lsn(2))
    )
    assert one.notes == other.notes
    assert canonical.decode(canonical.encode(_scene(HERE, THERE)["n1"]), Facts) == _scene(HERE, THERE)["n1"]


def test_a_slot_that_the_upstream_lacks_is_named() -> None:
    """A standby that asks for one receives nothing without it; a slot of that name must be physical."""
    asking = _scene(None, replace(NOTHING, asks_slot="standby"))
    wanted = "n3 has no slot standby, which n2 asks for"
    for slots, missing in ({(): True, (PHYSICAL,): False, (replace(PHYSICAL, kind="logical"),): True}).items():
        scene = with_instance(asking, "n3", keeping=Keeping(slots=slots))
        notes = _plan(scene, "follow", "n2", upstream="n3").notes
        assert any(wanted in each for each in notes) == missing
        quiet = with_instance(scene, "n2", carrying=NOTHING)
        assert not any(wanted in each for each in _plan(quiet, "follow", "n2", upstream="n3").notes)
    assert not any(wanted in each for each in _plan(asking, "follow", "n2", upstream="n3").notes)


def test_the_bound_of_what_slots_keep_is_said() -> None:
    """With the setting's name; where a node does not say, nothing is said of it."""
    physical = _plan(with_slot(_scene(replace(NOTHING, slots_keep_bytes_max=20 << 30), NOTHING)))
    assert any("up to 20 GB each (max_slot_wal_keep_size)" in each for each in physical.notes)
    assert any("without a bound" in each for each in _plan(with_slot(_scene(NOTHING, NOTHING))).notes)
    assert not any("max_slot_wal_keep_size" in each for each in _plan(with_slot(_scene(None, None))).notes)


def with_slot(scene: Scene) -> Scene:
    """Return the scene with a physical slot on n1."""
    return with_instance(scene, "n1", keeping=Keeping(slots=(PHYSICAL,)))
