"""What a node remembers of the log: the newest, ever fewer of those before, and what it gave up."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodb.audit.note import stated_size
from aerodb.kernel.errors import LogNotShown
from aerodb.kernel.seen import EARLIER_ALL, EARLIER_MAX, LogSeen
from aerodb.kernel.store import Store
from aerodb.protocol.marks import Gap, MarkMalformed, mark_of, read_mark, stated_mark
from aerodb.rules.standing import genesis

NOTHING = LogSeen(size=0, checkpoint="")


def at(size: int) -> str:
    """Return what looks like a checkpoint of so many records; nobody verifies it here."""
    return f"a log\n{size}\n{mark_of(size, hashlib.sha256(bytes(size)).digest()).root}\n\n\u2014 a log AAAA\n"


def shown(sizes: list[int]) -> LogSeen:
    """Return what a node remembers that was shown these, rising."""
    seen = NOTHING
    for size in sizes:
        seen = seen.extended(size, at(size))
    return seen


RISING = st.lists(st.integers(1, 9), min_size=1, max_size=300).map(
    lambda steps: [sum(steps[: number + 1]) for number in range(len(steps))]
)


@given(RISING)
def test_the_last_are_all_remembered_and_the_oldest_stays(sizes: list[int]) -> None:
    """However many there were: the newest, each of the last ones, the first of all, and no more than so many."""
    seen = shown(sizes)
    kept = [stated_size(text) for text in seen.checkpoints]
    assert kept == sorted(kept, reverse=True)
    assert kept[: EARLIER_ALL + 1] == sizes[::-1][: EARLIER_ALL + 1]
    assert kept[-1] == sizes[0]
    assert len(seen.earlier) <= EARLIER_MAX


@given(RISING, st.integers(0, 3000))
def test_what_was_seen_within_a_size_is_the_newest_that_is_remembered(sizes: list[int], within: int) -> None:
    """A log that went back to that size is held to it; where nothing so old was seen there is nothing."""
    seen = shown(sizes)
    fitting = [stated_size(text) for text in seen.checkpoints if stated_size(text) <= within]
    assert stated_size(seen.within(within)) == max(fitting, default=0)


def test_the_same_again_is_remembered_once() -> None:
    """A checkpoint of the same size takes no other's place."""
    assert shown([3, 5]).extended(5, at(5)) == shown([3, 5])


def test_what_is_given_up_is_kept_with_what_named_it() -> None:
    """Beyond the restored beginning nothing is remembered of the log that is given up, but that it was."""
    seen = shown([2, 5, 8, 11])
    gap = Gap(seen=stated_mark(at(11)) or read_mark(""), restored=mark_of(6, bytes(32)))
    after = seen.accepting("a request", gap, 9, at(9))
    assert [stated_size(text) for text in after.checkpoints] == [9, 5, 2]
    assert [(each.request, stated_size(each.checkpoint)) for each in after.given_up] == [("a request", 11)]
    assert after.extended(12, at(12)).given_up == after.given_up


def test_only_the_request_that_it_was_shown_for_accepts_a_log(tmp_path: Path) -> None:
    """What was shown is at hand until then, and nothing of it is remembered; a restart forgets it."""
    folder = tmp_path / "state"
    store = Store.create(folder, genesis("n1", "n1", witness=False, folder="f"))
    store.write_seen(store.seen.extended(8, at(8)))
    gap = Gap(seen=mark_of(8, bytes(32)), restored=mark_of(6, bytes(32)))
    offered = store.seen.accepting("one", gap, 7, at(7))
    store.write_seen(offered)
    for held in (store, Store(folder)):
        assert held.seen.size == 8
        with pytest.raises(LogNotShown):
            held.accept_log("another")
        assert Store(folder).seen.size == 8
    with pytest.raises(LogNotShown):
        Store(folder).accept_log("one")
    assert store.accept_log("one") == offered == Store(folder).seen
    store.write_seen(offered.extended(9, at(9)))
    with pytest.raises(LogNotShown):
        store.accept_log("another")


@pytest.mark.parametrize(
    "text",
    ["", "7", ":", "7:", f"07:{'A' * 43}=", f"-1:{'A' * 43}=", f"7:{'A' * 42}B=", f"7:{'A' * 44}", "7:" + "é" * 44],
)
def test_a_mark_has_one_form(text: str) -> None:
    """A number without leading zeroes, and 32 bytes in base64 without spare bits; else it is none."""
    with pytest.raises(MarkMalformed):
        read_mark(text)
    whole = mark_of(7, bytes(range(32)))
    assert read_mark(str(whole)) == whole
