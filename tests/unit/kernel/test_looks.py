"""Looks that many ask for: each begins after it was asked for, one at a time, and nobody waits for ever."""

import asyncio
import threading
from contextlib import suppress

import pytest

from aerodb.kernel.errors import LooksTooMany, LookUnanswered
from aerodb.kernel.looks import Looks

LONG = 60.0


class Node:
    """What is looked at: each look waits until it is let go, and tells its number and how many are under way."""

    def __init__(self, failing: int = 0) -> None:
        """Hold every look; the one with that number then fails."""
        self.failing = failing
        self.begun, self.together, self.most = 0, 0, 0
        self.go = threading.Semaphore(0)
        self.threads: set[int] = set()

    def look(self) -> int:
        """Look."""
        self.begun += 1
        number = self.begun
        self.together += 1
        self.most = max(self.most, self.together)
        self.threads.add(threading.get_ident())
        self.go.acquire()
        self.together -= 1
        if number == self.failing:
            raise ValueError("this look fails")
        return number


async def begun(node: Node, number: int) -> None:
    """Wait until so many looks have begun."""
    while node.begun < number:  # noqa: ASYNC110 - another thread counts, which no coroutine can wait for
        await asyncio.sleep(0.001)


def test_who_asks_during_a_look_is_answered_by_the_next() -> None:
    """All who ask meanwhile by the same one, which begins after they asked; and never two at once."""

    async def play() -> None:
        node = Node()
        looks = Looks(node.look, LONG, 100)
        first = asyncio.create_task(looks.now())
        await begun(node, 1)
        meanwhile = [asyncio.create_task(looks.now()) for _ in range(20)]
        await asyncio.sleep(0)
        node.go.release()
        assert await first == 1
        await begun(node, 2)
        node.go.release()
        assert await asyncio.gather(*meanwhile) == [2] * 20
        assert (node.begun, node.most) == (2, 1)

    asyncio.run(play())


def test_a_failure_is_told_to_all_who_asked_and_to_nobody_later() -> None:
    """The look after it is a look like any other."""

    async def play() -> None:
        node = Node(failing=3)
        looks = Looks(node.look, LONG, 100)
        node.go.release(4)
        assert [await looks.now(), await looks.now()] == [1, 2]
        with pytest.raises(ValueError, match="this look fails"):
            await looks.now()
        assert await looks.now() == 4

    asyncio.run(play())


def test_a_look_that_hangs_is_waited_for_no_longer_than_so_and_by_no_more_than_so_many() -> None:
    """However often it is asked for, it holds one thread; once it ends, whoever asks is answered again."""

    async def play() -> None:
        node = Node()
        looks = Looks(node.look, 0.05, 3)
        for _ in range(5):
            asked = await asyncio.gather(*(looks.now() for _ in range(10)), return_exceptions=True)
            assert [type(each) for each in asked] == [LookUnanswered] * 3 + [LooksTooMany] * 7
        await begun(node, 1)
        assert (node.begun, len(node.threads)) == (1, 1)
        node.go.release(10_000)
        await begun(node, 2)
        seen = 0
        while not seen:
            with suppress(LookUnanswered):  # The machine may be slow.
                seen = await looks.now()
        assert seen > 1

    asyncio.run(play())


def test_who_goes_away_takes_the_look_from_nobody() -> None:
    """One of two askers is cancelled, as a caller who hangs up is; the other has the answer."""

    async def play() -> None:
        node = Node()
        looks = Looks(node.look, LONG, 3)
        before = asyncio.create_task(looks.now())
        await begun(node, 1)
        one, other = asyncio.create_task(looks.now()), asyncio.create_task(looks.now())
        await asyncio.sleep(0)
        one.cancel()
        with pytest.raises(asyncio.CancelledError):
            await one
        node.go.release(2)
        assert (await before, await other) == (1, 2)
        node.go.release()
        assert await looks.now() == 3

    asyncio.run(play())
