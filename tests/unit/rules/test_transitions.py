"""What changed between two looks: a pure difference that never claims more than was seen."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from aerodb.protocol.events import JournalMark, Kind, Sighting, Trace, Transition
from aerodb.protocol.facts import Facts, State
from aerodb.rules.transitions import Seen, see, transitions
from tests.unit.rules.scenes import demoted, healthy, switched, with_instance, with_standing

TRACE = Trace(started="then", engine="then", settings={"fsync": "on"}, slots={"s": ""})


def looked(facts: Facts | None, trace: Trace | None = TRACE, journal: tuple[JournalMark, ...] = ()) -> Sighting:
    """Return a look."""
    if facts is None:
        return Sighting(facts=None, failure="kernel.silent", trace=None, journal=journal)
    return Sighting(facts=facts, failure="", trace=trace, journal=journal)


def between(*sightings: Sighting) -> tuple[Transition, ...]:
    """Return what changed at the last of several looks in a row."""
    seen: Seen | None = None
    found: tuple[Transition, ...] = ()
    for each in sightings:
        now = see(seen, each)
        found, seen = transitions(seen, now), now
    return found


def short(found: tuple[Transition, ...]) -> list[tuple[str, str, str, str]]:
    """Return transitions as tuples."""
    return [(each.kind.value, each.subject, each.before, each.after) for each in found]


SIGHTINGS = st.sampled_from(
    [
        looked(None),
        *(looked(scene[node], trace) for scene in (healthy(), demoted(), switched()) for node in scene
          for trace in (TRACE, None)),
        looked(with_instance(healthy(), "n1", state=State.UNREACHABLE, recovery=None, position=None)["n1"], None),
    ]
)  # fmt: skip


@given(st.lists(SIGHTINGS, max_size=5), SIGHTINGS)
def test_the_same_look_twice_changes_nothing(earlier: list[Sighting], sighting: Sighting) -> None:
    """Whatever was seen before, a look that sees the same again is no transition."""
    assert between(*earlier, sighting, sighting) == ()


@given(st.lists(SIGHTINGS, min_size=1, max_size=6))
def test_a_failed_look_hides_nothing(sightings: list[Sighting]) -> None:
    """What differs before and after a failed look is said at the next look that sees it, with the value before."""
    without = between(sightings[0], sightings[-1])
    with_gap = between(sightings[0], looked(None), sightings[-1])
    kinds = {Kind.STATE, Kind.CRASH_RECOVERY}
    assert [each for each in with_gap if each.kind not in kinds] == [each for each in without if each.kind not in kinds]


def test_a_failed_look_is_a_transition_and_says_nothing_else() -> None:
    """The state is then unreachable; nothing that was not seen is said to have changed."""
    assert short(between(looked(healthy()["n1"]), looked(None))) == [
        ("state", "", "running", "unreachable (kernel.silent)")
    ]


def test_role_term_receiver_and_sender() -> None:
    """A standby that loses its receiver, and its upstream that loses the sender, each say so."""
    gone = with_instance(healthy(), "n2", receiver=None)["n2"]
    assert short(between(looked(healthy()["n2"]), looked(gone)))[0][0] == "receiver"
    alone = with_instance(healthy(), "n1", senders=())["n1"]
    assert ("sender", "n2", "streaming quorum", "gone") in short(between(looked(healthy()["n1"]), looked(alone)))
    promoted = short(between(looked(healthy()["n2"]), looked(switched()["n2"])))
    assert ("role", "", "standby", "primary") in promoted
    assert ("granted", "", "term 1, n1", "term 2, n2") in promoted
    assert ("recovery", "", "yes", "no") in promoted


def test_crash_recovery_is_seen_both_ways() -> None:
    """After a crash of PostgreSQL, and after a crash of one of its processes, its recovery is said."""
    up, facts = looked(healthy()["n1"]), healthy()["n1"]
    down = looked(with_instance(healthy(), "n1", state=State.CRASHED, senders=())["n1"], None)
    assert Kind.CRASH_RECOVERY in {each.kind for each in between(up, down, up)}
    starting = looked(with_instance(healthy(), "n1", state=State.UNREACHABLE, senders=())["n1"], None)
    assert Kind.CRASH_RECOVERY in {each.kind for each in between(up, down, starting, looked(None), up)}
    assert Kind.CRASH_RECOVERY not in {each.kind for each in between(up, starting, up)}
    inside = looked(facts, replace(TRACE, engine="later"))
    assert [each.kind for each in between(up, inside)] == [Kind.CRASH_RECOVERY]
    restarted = looked(facts, replace(TRACE, started="later", engine="later"))
    assert [each.kind for each in between(up, restarted)] == [Kind.RESTART]


def test_settings_and_slots() -> None:
    """A watched setting that changes and a slot that is invalidated are transitions."""
    facts = healthy()["n1"]
    changed = replace(TRACE, settings={"fsync": "off"}, slots={"s": "wal_removed"})
    assert short(between(looked(facts), looked(facts, changed))) == [
        ("setting", "fsync", "on", "off"),
        ("slot", "s", "valid", "wal_removed"),
    ]


def test_settings_that_are_seen_for_the_first_time_have_not_changed() -> None:
    """A first look at a node that is still starting sees none of them; the next one tells no change of each."""
    found = short(between(looked(healthy()["n2"], None), looked(healthy()["n2"])))
    assert [each for each in found if each[0] in {"setting", "restart"}] == []


def test_requests_stand_around_what_they_changed() -> None:
    """A request begun and ended between two looks is said to begin before the changes and to end after them."""
    before, after = healthy()["n2"], with_standing(healthy(), "n2", upstream="n3")["n2"]
    journal = (JournalMark(request="r1", result=""), JournalMark(request="r1", result="executed"))
    found = short(between(looked(before), looked(after, journal=journal)))
    assert [each[0] for each in found] == ["request", "upstream", "request"]
    assert found[-1] == ("request", "r1", "begun", "ended: executed")
