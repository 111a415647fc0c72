"""How far a node's WAL has been is durable, and a damaged note is an error, never none."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from aerodb.kernel.errors import StandingUnreadable
from aerodb.kernel.store import Store
from aerodb.protocol.facts import Instance, State
from aerodb.protocol.lsn import Lsn
from aerodb.rules.reach import Reach
from aerodb.rules.standing import genesis
from tests.unit.rules.scenes import healthy

INSTANCE = healthy()["n1"].instance


def down(lsn: int) -> Instance:
    """Return facts of a node that is down, whose WAL ends at `lsn`, in the folder "a"."""
    assert INSTANCE is not None
    assert INSTANCE.position is not None
    position = replace(INSTANCE.position, lsn=Lsn(lsn))
    return replace(INSTANCE, state=State.STOPPED, identity="a", position=position)


STANDING = genesis("n1", "n1", witness=False, folder="a")


def test_what_was_noted_is_there_for_the_next_agent(tmp_path: Path) -> None:
    """None at first; then the last that was written, whatever became of the process."""
    store = Store.create(tmp_path / "state", STANDING)
    assert store.reach is None
    for lsn in (5, 9):
        store.note_reach(down(lsn))
    assert Store(tmp_path / "state").reach == store.reach == Reach(folder="a", lsn=Lsn(9))


def test_what_was_seen_earlier_and_noted_later_takes_nothing_back(tmp_path: Path) -> None:
    """The agent's own look and an order note what each saw, and whoever is late has seen less."""
    store = Store.create(tmp_path / "state", STANDING)
    store.note_reach(down(9))
    for late in (down(5), down(9), replace(down(20), position=None), None):
        store.note_reach(late)
        assert Store(tmp_path / "state").reach == store.reach == Reach(folder="a", lsn=Lsn(9))


@pytest.mark.parametrize("data", [b"", b"{", b'{"folder":"a"}', b'{"folder":"a","lsn":"x"}'])
def test_a_damaged_note_is_an_error(tmp_path: Path, data: bytes) -> None:
    """Taken for none, it would let a folder be put back unseen."""
    Store.create(tmp_path / "state", STANDING)
    (tmp_path / "state" / "reach.json").write_bytes(data)
    with pytest.raises(StandingUnreadable):
        Store(tmp_path / "state")
