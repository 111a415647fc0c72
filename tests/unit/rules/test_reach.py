"""A data folder that was put back is another folder, by what its node noted of its WAL; a crash makes none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from aerodb.actions import catalogue
from aerodb.protocol.facts import Instance, Receiver, Sender, State
from aerodb.protocol.keeping import Keeping, Replay
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.plan import Result
from aerodb.rules.invariants import Invariant
from aerodb.rules.position import reaches
from aerodb.rules.reach import PUT_BACK, Reach, held_to, is_put_back, reached
from aerodb.views.unusual import node_remarks
from tests.unit.rules.scenes import healthy, request_for, view_for, with_instance

END = 5000
SCENE = healthy()
PRIMARY, STANDBY = (SCENE[name].instance for name in ("n1", "n2"))
"""Both end at END."""


def at(instance: Instance | None, lsn: int, **changes: object) -> Instance:
    """Return facts of a node whose WAL ends at `lsn`."""
    assert instance is not None
    assert instance.position is not None
    position = replace(instance.position, lsn=Lsn(lsn))
    return replace(instance, **{"checkpoint": None, "position": position, **changes})


def down(lsn: int) -> Instance:
    """Return a standby that is down, whose WAL ends at `lsn`."""
    return at(STANDBY, lsn, state=State.STOPPED, receiver=None)


def noted(instance: Instance, lsn: int) -> Reach:
    """Return what was noted of the very folder of an instance."""
    assert instance.identity is not None
    return Reach(folder=instance.identity, lsn=Lsn(lsn))


# What is noted --------------------------------------------------------------------------------------------------------


@given(st.integers(1, 9000), st.integers(1, 9000))
def test_what_is_noted_only_rises_for_one_folder(before: int, end: int) -> None:
    """And is of the folder in use: another one's is not compared."""
    folder = down(end)
    assert reached(noted(folder, before), folder) == (noted(folder, end) if end > before else None)
    assert reached(Reach(folder="another", lsn=Lsn(before)), folder) == noted(folder, end)
    assert reached(None, folder) == noted(folder, end)


def test_only_whole_and_durable_records_are_noted() -> None:
    """Of a standby what it replayed, of a primary what others replayed, of either what a checkpoint made durable."""

    def standby(unreplayed: int, **changes: object) -> Instance:
        replay = Replay(paused=False, unreplayed_bytes=unreplayed, conflicts=0)
        return at(STANDBY, END, keeping=Keeping(replay=replay), **changes)

    def sender(replayed: int | None, *, ahead: bool = False) -> Sender:
        end = None if replayed is None else Lsn(replayed)
        return Sender(
            node="n2", state="streaming", sync_state="quorum", sent=end, flushed=end, replayed=end, ahead=ahead
        )

    assert reached(None, standby(300)) == noted(standby(0), END - 300)
    assert reached(None, standby(300, checkpoint=Lsn(4900))) == noted(standby(0), 4900)
    assert reached(None, at(STANDBY, END, keeping=Keeping())) is None
    assert PRIMARY is not None
    assert reached(None, at(PRIMARY, END, senders=())) is None
    assert reached(None, at(PRIMARY, END, senders=(), checkpoint=Lsn(4000))) == noted(PRIMARY, 4000)
    assert reached(None, at(PRIMARY, END, senders=(sender(4500), sender(4700)))) == noted(PRIMARY, 4700)
    assert reached(None, at(PRIMARY, END, senders=(sender(None),))) is None
    for told in (sender(END + 1), sender(4500, ahead=True)):
        assert reached(None, at(PRIMARY, END, senders=(told,))) is None


@pytest.mark.parametrize("identity", [None, "", PUT_BACK])
def test_of_a_folder_without_an_identity_nothing_is_noted(identity: str | None) -> None:
    """Above all not of one that was put back: its lower end would be believed at the next look."""
    assert reached(None, replace(down(END), identity=identity)) is None
    assert reached(None, None) is None
    assert reached(None, replace(down(END), position=None)) is None


# What it is held to ---------------------------------------------------------------------------------------------------


@given(st.integers(1, 9000), st.integers(1, 9000))
def test_a_folder_that_ends_before_what_was_noted_is_another(end: int, mark: int) -> None:
    """So its node votes with a term that is not known, which no candidate reaches; else nothing changes."""
    standing = SCENE["n2"].standing
    found = held_to(down(end), standing, noted(down(end), mark))
    if end >= mark:
        assert found == down(end)
        return
    assert (found.identity, found.quorum) == (PUT_BACK, None)
    assert found.position is not None
    assert (found.position.term, found.position.bound, found.position.lsn) == (None, None, Lsn(end))
    assert PRIMARY is not None
    assert PRIMARY.position is not None
    assert reaches(PRIMARY.position, found.position) is None


def test_it_is_judged_wherever_the_position_is_final_and_nowhere_else() -> None:
    """A standby that has just started replays what it has: it is behind what was noted, and nothing is wrong."""
    standing, mark = SCENE["n2"].standing, noted(down(END), END)
    gone = dict.fromkeys(("attached", "receiver"))
    receiver = Receiver(status="streaming", upstream="127.0.0.1:1", flushed=None)
    assert held_to(at(STANDBY, 4000), standing, mark).identity != PUT_BACK
    assert held_to(at(STANDBY, 4000, receiver=None), standing, mark).identity != PUT_BACK
    assert held_to(at(STANDBY, 4000, **{**gone, "receiver": receiver}), standing, mark).identity != PUT_BACK
    assert held_to(at(STANDBY, 4000, **gone), standing, mark).identity == PUT_BACK
    assert held_to(at(PRIMARY, 4000), SCENE["n1"].standing, noted(at(PRIMARY, 1), END)).identity == PUT_BACK
    strayed = at(PRIMARY, 4000, attached="n2")  # Out of recovery, whatever its settings name.
    assert held_to(strayed, SCENE["n1"].standing, noted(strayed, END)).identity == PUT_BACK
    assert held_to(replace(down(4000), position=None), standing, mark).identity != PUT_BACK


def test_what_is_not_known_is_not_called_put_back() -> None:
    """No note, another folder, no end."""
    assert not is_put_back(None, "a", Lsn(1))
    assert not is_put_back(Reach(folder="a", lsn=Lsn(2)), "b", Lsn(1))
    assert not is_put_back(Reach(folder="a", lsn=Lsn(2)), None, Lsn(1))
    assert not is_put_back(Reach(folder="a", lsn=Lsn(2)), "a", None)
    assert is_put_back(Reach(folder="a", lsn=Lsn(2)), "a", Lsn(1))


# What is said of it ---------------------------------------------------------------------------------------------------


def test_every_action_that_rests_on_its_wal_says_why_not() -> None:
    """Fencing, following, promoting and, of a primary, starting."""
    own = held_to(down(4000), SCENE["n2"].standing, noted(down(1), END))
    scene = with_instance(SCENE, "n2", **{name: getattr(own, name) for name in ("identity", "quorum", "position")})
    for action, arguments in (("fence", {"for": "n3"}), ("promote", {}), ("follow", {"upstream": "n1"})):
        action_of = catalogue()[action]
        view = view_for(request_for(action_of, "n2", arguments), scene)
        failing = {each.invariant: each for each in action_of.judge(view) if each.result is not Result.HOLDS}
        assert failing, action
        if action == "fence":
            assert "an earlier state of its data folder" in failing[Invariant.POSITION_KNOWN].evidence
    assert "an earlier state of its data folder" in " ".join(each.text for each in node_remarks(scene["n2"]))
