"""What stands between watching and charge: each thing named where it is so, and nothing held that is not seen."""

import pytest
from msgspec.structs import replace

from aerodb.protocol.carrying import Carrying, LogicalSlot
from aerodb.protocol.facts import State
from aerodb.protocol.plan import Result
from aerodb.protocol.watched import OVERRIDES, SettingSet, Stranger, StreamName, Survey, Watched
from aerodb.rules.readiness import Readiness, readiness, stands_between
from aerodb.views.readiness import readiness_lines
from tests.unit.rules.scenes import CLUSTER, Scene, healthy, with_instance
from tests.unit.rules.watching import SURVEY, WATCHED, watched, watched_facts, watched_instance

READY = replace(
    SURVEY,
    wal_apart=False,
    archiving="on",
    archive_command=True,
    names=(StreamName(node="n2", application="n2"), StreamName(node="n3", application="n3")),
)
"""A node of which everything is seen, and all is as it has to be."""


def _scene(survey: Survey = READY, **changes: object) -> Scene:
    scene = {name: replace(facts, watched=replace(_told(facts), survey=READY)) for name, facts in watched().items()}
    return {**scene, "n1": replace(scene["n1"], watched=replace(_told(scene["n1"]), survey=survey, **changes))}


def _told(facts: object) -> Watched:
    found = facts.watched  # type: ignore[attr-defined]
    assert isinstance(found, Watched)
    return found


def _not_held(scene: Scene, node: str = "n1") -> dict[str, Readiness]:
    return {each.subject: each for each in readiness(WATCHED, scene)[node] if each.result is not Result.HOLDS}


def test_where_all_is_as_it_has_to_be_nothing_stands_in_between() -> None:
    """And it is said that charge cannot be taken yet."""
    found = readiness(WATCHED, _scene())
    assert stands_between(found) == 0, found
    assert "Nothing that is judged stands in between." in readiness_lines(found)[0].text


SURVEYS: dict[str, dict[str, object]] = {
    "synchronous": {"waits_for": 0},
    "tablespaces": {"tablespaces": ("fast",)},
    "pg_wal": {"wal_apart": True},
    "logical slots": {"logical_slots": ("cdc",)},
    "way back": {"rewindable": False},
    "archive": {"archiving": "off"},
    "sole manager": {"managers": ("patroni (process 712)",)},
    "names": {"names": (StreamName(node="n2", application="15/main"), StreamName(node="n3", application="15/main"))},
    "settings": {"settings": (SettingSet(name="fsync", value="off", place="/etc/x.conf:3"),)},
}
UNSEEN: dict[str, dict[str, object]] = {
    "synchronous": {"waits_for": None},
    "tablespaces": {"tablespaces": None},
    "pg_wal": {"wal_apart": None},
    "logical slots": {"logical_slots": None},
    "way back": {"rewindable": None},
    "archive": {"archive_command": None},
}


@pytest.mark.parametrize("subject", SURVEYS)
def test_each_thing_that_stands_in_between_is_named(subject: str) -> None:
    """That one, and no other, with what a person would have to do."""
    scene = with_instance(_scene(replace(READY, **SURVEYS[subject])), "n1", version="16.4")
    found = _not_held(scene)
    assert list(found) == [subject]
    assert (found[subject].result, bool(found[subject].do)) == (Result.VIOLATED, True)


@pytest.mark.parametrize("subject", UNSEEN)
def test_what_is_not_seen_is_never_held(subject: str) -> None:
    """Unknown counts as standing in between."""
    found = _not_held(_scene(replace(READY, **UNSEEN[subject])))
    assert [(each.subject, each.result) for each in found.values()] == [(subject, Result.UNKNOWN)]


def test_what_alter_system_sets_is_named_with_how_to_move_it() -> None:
    """It wins over every file, so no file of anybody's would be in force."""
    auto = SettingSet(name="synchronous_standby_names", value="*", place="/data/postgresql.auto.conf:3")
    found = _not_held(_scene(replace(READY, settings=(auto,))))
    assert found["settings"].do.endswith("alter system reset synchronous_standby_names")


def test_logical_slots_are_judged_by_the_version() -> None:
    """From 17 on a standby may have them; whether it does is not seen from here."""
    found = _not_held(with_instance(_scene(replace(READY, logical_slots=("cdc",))), "n1", version="17.10"))
    assert found["logical slots"].result is Result.UNKNOWN


@pytest.mark.parametrize("version", ["14.9", "19beta1", ""])
def test_versions_that_are_not_known_stand_in_between(version: str) -> None:
    """14 and older, later than this build, and none."""
    assert "version" in _not_held(with_instance(_scene(), "n1", version=version))


def test_who_is_no_member_is_named_and_so_is_another_database() -> None:
    """A receiver at another address; another system identifier; two primaries; a standby of somebody else."""
    stranger = Stranger(address="10.9.8.7", application="x", state="streaming", sync_state="async", flushed=None)
    assert "10.9.8.7" in _not_held(_scene(strangers=(stranger,)))["strangers"].said
    assert "n2" in _not_held(with_instance(_scene(), "n2", system="8"))["one database"].said
    other = {**_scene(), "n3": watched_facts("n3", watched_instance(primary=True), READY)}
    assert "n1 and n3" in _not_held(other)["one primary"].said
    assert "streams" in _not_held(with_instance(_scene(), "n2", attached="10.9.8.7:5432"), "n2")
    assert "streams" in _not_held(with_instance(_scene(), "n2", attached=None, receiver=None), "n2")


def test_of_who_does_not_answer_all_is_unknown() -> None:
    """No report; a PostgreSQL that does not answer, with why."""
    scene = _scene()
    silent = {name: facts for name, facts in scene.items() if name != "n2"}
    assert [each.result for each in readiness(WATCHED, silent)["n2"]] == [Result.UNKNOWN]
    down = with_instance(scene, "n1", state=State.UNREACHABLE, damage=("process: no such role",))
    assert [(each.result, each.said) for each in readiness(WATCHED, down)["n1"]] == [(Result.UNKNOWN, "no such role")]


def test_what_the_agent_may_not_see_is_said() -> None:
    """As it says it itself."""
    found = _not_held(_scene(unseen=("the settings files cannot be read",)))
    assert found["not seen"].said == "the settings files cannot be read"


def test_where_charge_was_taken_there_is_nothing_to_judge() -> None:
    """Each node is in charge."""
    assert stands_between(readiness(CLUSTER, healthy())) == 0


def test_what_is_equal_on_all_that_are_seen_is_said_once() -> None:
    """Each thing apart stands under its own node; a node of which nothing is seen changes nothing of that."""
    unseen = replace(READY, wal_apart=None)
    scene = {name: replace(facts, watched=replace(_told(facts), survey=unseen)) for name, facts in _scene().items()}
    scene = with_instance(scene, "n2", version="14.1")
    for found in (scene, {name: facts for name, facts in scene.items() if name != "n3"}):
        texts = [each.text for each in readiness_lines(readiness(WATCHED, found))]
        assert sum("pg_wal" in text for text in texts) == 2  # What is not seen, and in "To do".
        heads = [text for text in texts if text in {"n1", "n2", "n3", "Every node that is seen"}]
        assert heads == ["n1", "n2", "n3", "Every node that is seen"]
        said = texts[texts.index("n2") : texts.index("n3")]
        assert any("PostgreSQL 14.1" in text for text in said)
        assert all(len(text) <= 80 for text in texts)


def test_roles_that_wait_for_nothing_stand_in_between() -> None:
    """And then the settings are not said to hold."""
    lower = SettingSet(name=OVERRIDES, value="2", place="pg_db_role_setting")
    found = [each for each in readiness(WATCHED, _scene(replace(READY, settings=(lower,))))["n1"]
             if each.subject == "settings"]  # fmt: skip
    assert [each.result for each in found] == [Result.VIOLATED]
    assert "for 2 role(s) or database(s)" in found[0].said


COPIED = LogicalSlot(
    name="cdc", database="shop", plugin="pgoutput", failover=True, synced=False, temporary=False, invalid="",
    confirmed=None,
)  # fmt: skip
CARRYING = Carrying(copies=True, logical=(), slots_keep_bytes_max=None, archive_mode="off", archives_by="")
COPIES: dict[str, tuple[tuple[LogicalSlot, ...] | None, Result]] = {
    "ready": ((replace(COPIED, synced=True),), Result.HOLDS),
    "not ready": ((replace(COPIED, synced=True, temporary=True),), Result.VIOLATED),
    "its own": ((COPIED,), Result.VIOLATED),
    "none": ((), Result.VIOLATED),
    "not told": (None, Result.UNKNOWN),
}


@pytest.mark.parametrize("state", COPIES)
def test_logical_slots_are_judged_by_what_every_other_node_has(state: str) -> None:
    """Ready on all of them holds; one that lacks it is named, and so is one that does not say."""
    theirs, expected = COPIES[state]
    scene = _scene(replace(READY, logical_slots=("cdc",)))
    scene = with_instance(scene, "n1", carrying=replace(CARRYING, logical=(COPIED,)))
    scene = with_instance(scene, "n3", carrying=replace(CARRYING, logical=(replace(COPIED, synced=True),)))
    if theirs is not None:
        scene = with_instance(scene, "n2", carrying=replace(CARRYING, logical=theirs))
    found = next(each for each in readiness(WATCHED, scene)["n1"] if each.subject == "logical slots")
    assert found.result is expected
    assert ("n2" in found.said) == (expected is not Result.HOLDS)
    assert "n3" not in found.said


def test_the_copies_of_a_standby_are_named_with_what_they_are_worth() -> None:
    """They are judged where their originals are."""
    survey = {"n2": replace(READY, logical_slots=("cdc",))}
    scene = {**_scene(), "n2": watched_facts("n2", watched_instance(primary=False, upstream="n1"), survey["n2"])}
    scene = with_instance(scene, "n2", carrying=replace(CARRYING, logical=(replace(COPIED, synced=True),)))
    found = next(each for each in readiness(WATCHED, scene)["n2"] if each.subject == "logical slots")
    assert (found.result, found.said) == (Result.HOLDS, "cdc (a ready copy)")
