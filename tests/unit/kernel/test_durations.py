"""For how long the observer has seen what deviates: counted, never guessed, and read by no rule."""

import ast
from pathlib import Path

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from aerodb.actions import catalogue
from aerodb.kernel.events.durations import RECENT_SECONDS, Durations
from aerodb.protocol.events import JournalMark, Sighting
from aerodb.protocol.facts import Facts, SeenFor, State, Unfinished, facts_in_two, structural
from aerodb.protocol.keeping import Keeping, Slot
from aerodb.rules.explain import explain
from tests.unit.rules.scenes import CLUSTER, healthy, possible, snapshot_of, with_instance

FINE = healthy()["n2"]
DOWN = with_instance(healthy(), "n2", state=State.CRASHED, receiver=None)["n2"]
PAUSED = with_instance(healthy(), "n2", drift=("x",))["n2"]
SILENT = with_instance(healthy(), "n2", state=State.UNREACHABLE)["n2"]
SOURCE = Path(__file__).parents[3] / "src" / "aerodb"


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        """Begin at some count."""
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the count."""
        return self.now


class Observer:
    """Durations, and the looks that they see."""

    def __init__(self) -> None:
        """Begin with none."""
        self.clock = Clock()
        self.durations = Durations(self.clock)

    def looks(self, *seen: Facts | None, marks: tuple[JournalMark, ...] = ()) -> None:
        """Look, a second after another."""
        for facts in seen:
            self.clock.now += 1
            self.durations.saw(Sighting(facts=facts, failure="" if facts else "broke", trace=None, journal=marks))

    def told(self, facts: Facts, after: float = 0) -> dict[str, tuple[int, bool]]:
        """Return what a report says some seconds later."""
        self.clock.now += after
        return {each.what: (each.seconds, each.found) for each in self.durations.told(facts).seen_for or ()}


@pytest.fixture
def observer() -> Observer:
    """Return one that has seen nothing."""
    return Observer()


def test_what_was_seen_to_begin_is_counted_from_there(observer: Observer) -> None:
    """From the first look that saw it, however many follow; it ends with the first that does not."""
    observer.looks(FINE, DOWN, DOWN, DOWN)
    assert observer.told(DOWN, after=58) == {"state:crashed": (60, False)}
    observer.looks(FINE, DOWN)
    assert observer.told(DOWN) == {"state:crashed": (0, False)}


def test_what_was_found_so_has_been_so_for_at_least_as_long(observer: Observer) -> None:
    """By the first look, by the first after one that failed, and by the first after one that could not see."""
    observer.looks(PAUSED, PAUSED)
    assert observer.told(PAUSED, after=10) == {"drift": (11, True)}
    observer.looks(FINE, None, PAUSED)
    assert observer.told(PAUSED) == {"drift": (0, True)}
    observer.looks(FINE, SILENT, PAUSED)
    assert observer.told(PAUSED, after=3) == {"drift": (3, True)}


def test_nothing_is_said_of_what_nobody_saw_begin(observer: Observer) -> None:
    """Without a look, or long after the last one, since when is unknown; a healthy node says nothing at all."""
    assert observer.durations.told(DOWN).seen_for is UNSET
    observer.looks(FINE)
    assert observer.told(DOWN) == {"state:crashed": (0, False)}
    assert observer.told(DOWN, after=RECENT_SECONDS + 1) == {}
    assert observer.durations.told(FINE).seen_for is UNSET
    observer.looks(SILENT)
    assert "drift" not in observer.told(PAUSED)


def test_a_request_counts_from_its_begin_and_one_of_an_earlier_agent_not_at_all(observer: Observer) -> None:
    """Another request is another thing; what was begun before this agent began is of unknown age."""

    def works(request: str) -> Facts:
        told = Unfinished(request=request, action="stop", result="unknown", evidence="")
        return replace(FINE, unfinished=told)

    observer.looks(FINE)
    observer.looks(FINE, FINE, marks=(JournalMark(request="a", result=""),))
    assert observer.told(works("a"), after=5) == {"unfinished": (6, False)}
    assert observer.told(works("b")) == {}
    both = (JournalMark(request="a", result=""), JournalMark(request="a", result="executed"))
    observer.looks(FINE, marks=both)
    assert observer.told(works("a")) == {}


def test_a_slot_is_named_by_its_place_and_counted_by_its_name(observer: Observer) -> None:
    """Its name is sensitive, and goes into no report; another slot in its place begins anew."""

    def with_slots(*names: str) -> Facts:
        slots = tuple(Slot(name=each, kind="physical", active=False, lost=False, held_bytes=9) for each in names)
        return with_instance(healthy(), "n1", keeping=Keeping(slots=slots))["n1"]

    observer.looks(with_slots(), with_slots("b"))
    observer.looks(with_slots("b"))
    assert observer.told(with_slots("b")) == {"slot:0": (1, False)}
    observer.looks(with_slots("a", "b"))
    assert observer.told(with_slots("a", "b")) == {"slot:0": (0, False), "slot:1": (2, False)}


def test_it_is_in_no_earlier_report_and_no_other_state() -> None:
    """Neighbours of earlier releases are not told, and two reads that differ in it alone are of one state."""
    told = replace(DOWN, seen_for=(SeenFor(what="state:crashed", seconds=9),))
    assert not hasattr(facts_in_two(told, "aerodb-rules/2"), "seen_for")
    assert structural(told) == structural(DOWN) == structural(replace(told, seen_for=()))


@pytest.mark.parametrize("name", catalogue())
def test_no_plan_depends_on_it(name: str) -> None:
    """With any durations in the reports, every verdict, sentence and loss is the same."""
    for scene in (healthy(), with_instance(healthy(), "n1", state=State.CRASHED)):
        durations = (SeenFor(what="state:crashed", seconds=86400), SeenFor(what="drift", seconds=1, found=True))
        told = {node: replace(facts, seen_for=durations) for node, facts in scene.items()}
        for request in possible(catalogue()[name]):
            plans = [explain(CLUSTER, catalogue()[name], request, snapshot_of(each)) for each in (scene, told)]
            one, other = (replace(each, snapshot="", reports={}, digest="") for each in plans)
            assert one == other


def test_no_rule_reads_it() -> None:
    """Neither rules, nor actions, nor the kernel besides its observer, nor the control plane name the field."""
    folders = ("rules", "actions", "kernel", "control", "audit")
    named = [
        path.relative_to(SOURCE).as_posix()
        for folder in folders
        for path in (SOURCE / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Attribute) and node.attr == "seen_for")
        or (isinstance(node, ast.keyword) and node.arg == "seen_for")
    ]
    assert sorted(set(named)) == ["kernel/events/durations.py"]
