"""Each deviation says its cause, and since when it is so, as far as a node has signed it."""

from msgspec.structs import replace

from aerodb.protocol.facts import SeenFor, State
from aerodb.protocol.keeping import Keeping, Slot
from aerodb.protocol.writes import Writes
from aerodb.rules.writes import writes
from aerodb.views.observed import Observed, observe_snapshot
from aerodb.views.status import Deviations, deviations, silence_remarks, whole_text
from aerodb.views.unusual import UNKNOWN_SINCE, duration_text, node_remarks, stream_remarks
from tests.unit.rules.scenes import CLUSTER, Scene, healthy, snapshot_of, with_instance, with_standing


def seen(scene: Scene, name: str, *durations: SeenFor) -> Scene:
    """Return the scene in which a node says since when something is so."""
    return {**scene, name: replace(scene[name], seen_for=durations)}


def shown(scene: Scene, missing: tuple[str, ...] = ()) -> list[str]:
    """Return the deviations of a scene as lines, what follows indented."""
    return [f"{'  ' if each.follows else ''}{whole_text(each)}" for each in found(scene, missing).deviating]


def found(scene: Scene, missing: tuple[str, ...] = ()) -> Deviations:
    """Return the deviations of a scene of which some nodes give no report."""
    told = {name: facts for name, facts in scene.items() if name not in missing}
    observed = observe_snapshot(CLUSTER, snapshot_of(told), {})
    remarks = silence_remarks(observed)
    for name, facts in observed.facts.items():
        remarks += [each._replace(text=f"{name} {each.text}") for each in node_remarks(facts)]
    return deviations(answer(observed), [*remarks, *stream_remarks(observed)])


def answer(observed: Observed) -> Writes:
    """Return whether commits can be acknowledged."""
    return writes(CLUSTER, observed.facts)


def stopped_primary() -> Scene:
    """Return a cluster whose primary a person has stopped."""
    scene = with_standing(with_instance(healthy(), "n1", state=State.STOPPED, senders=()), "n1", halted=True)
    for name in ("n2", "n3"):
        scene = with_instance(scene, name, receiver=None)
    return seen(scene, "n1", SeenFor(what="halted", seconds=216))


def test_where_the_primary_is_stopped_no_standby_is_blamed() -> None:
    """The cause first, with since when; beneath it who receives nothing, and that it is since that one is stopped."""
    scene = seen(stopped_primary(), "n3", SeenFor(what="receives nothing", seconds=215, found=True))
    assert shown(scene) == [
        "n1 was stopped by a person, and stays down; for 3 min 36 s, as n1 has seen it",
        "  n2 receives no WAL: n1 is stopped; since when is unknown",
        "  n3 receives no WAL: n1 is stopped; for at least 3 min 35 s, as n3 has seen it",
    ]
    assert found(scene).heading == "Deviations: 1, and what follows"


def test_of_who_gives_no_report_others_say_since_when() -> None:
    """As they have seen it, if they have; else it is unknown. It is never the time at which somebody looked."""
    scene = healthy()
    for name in ("n2", "n3"):
        scene = with_instance(scene, name, receiver=None)
    gone = "n1 could not be observed: silent"
    assert shown(scene, ("n1",))[0] == f"{gone}; {UNKNOWN_SINCE}"
    scene = seen(scene, "n3", SeenFor(what="receives nothing", seconds=90))
    assert shown(scene, ("n1",)) == [
        f"{gone}; n3 has received nothing from it for 1 min 30 s, as n3 has seen it",
        "  n2 receives no WAL: n1 does not report; since when is unknown",
        "  n3 receives no WAL: n1 does not report; for 1 min 30 s, as n3 has seen it",
    ]


def test_what_follows_from_nothing_that_is_shown_is_a_cause() -> None:
    """A slot that nobody uses follows from its node's being down, and stands by itself where that is not so."""
    slots = (Slot(name="aerodb_n3", kind="physical", active=False, lost=False, held_bytes=41 << 20),)
    scene = seen(with_instance(healthy(), "n1", keeping=Keeping(slots=slots)), "n1", SeenFor(what="slot:0", seconds=1))
    alone = "n1: slot aerodb_n3 is used by nobody, and keeps 41 MB of WAL; for less than 2 s, as n1 has seen it"
    assert shown(scene) == [alone]
    scene = seen(with_instance(scene, "n3", state=State.CRASHED), "n3", SeenFor(what="state:crashed", seconds=7200))
    assert shown(scene) == [
        "n3 is down: it ended without a shutdown; for 2 h 0 min, as n3 has seen it",
        f"  {alone}",
    ]


def test_one_thing_is_not_told_for_another() -> None:
    """The duration of another condition, of another node, or of an earlier state is nobody's."""
    scene = with_instance(healthy(), "n2", drift=("x",), receiver=None)
    scene = seen(scene, "n2", SeenFor(what="state:crashed", seconds=5), SeenFor(what="paused", seconds=5))
    scene = seen(scene, "n3", SeenFor(what="drift", seconds=5))
    assert all(each.endswith(UNKNOWN_SINCE) for each in shown(scene))


def test_durations_are_told_in_two_units() -> None:
    """Seconds, minutes, hours, days."""
    told = [duration_text(each) for each in (0, 59, 60, 3599, 3600, 90000)]
    assert told == ["0 s", "59 s", "1 min 0 s", "59 min 59 s", "1 h 0 min", "1 d 1 h"]
