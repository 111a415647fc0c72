"""Reads that many ask for: each begins after it was asked for, one at a time, and all who wait share it."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from aerodb.control.sharing import SharedReads
from aerodb.control.snapshot import SharedLooks
from aerodb.past.speaking import SPOKEN
from tests.unit.neighbours.cluster import MemoryCluster

PATIENCE_SECONDS = 60


class Held:
    """What is read: each read waits until it is let go, tells its number, and counts how many are under way."""

    def __init__(self, failing: int = 0) -> None:
        """Hold every read; the one with that number then fails."""
        self.failing, self.together, self.most = failing, 0, 0
        self.begun = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        self.count = 0

    def read(self) -> int:
        """Read."""
        self.count += 1
        number = self.count
        self.together += 1
        self.most = max(self.most, self.together)
        self.begun.release()
        assert self.go.acquire(timeout=PATIENCE_SECONDS)
        self.together -= 1
        if number == self.failing:
            raise ValueError("this read fails")
        return number


def _waiting(shared: SharedReads[int], count: int) -> None:
    """Wait until so many wait for a read that has not begun."""
    end = time.monotonic() + PATIENCE_SECONDS
    while shared.waiting < count:
        assert time.monotonic() < end
        time.sleep(0.001)


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_who_asks_during_a_read_is_answered_by_the_next(failing: int) -> None:
    """Nobody gets the read that was under way when they asked; all who come meanwhile share one, a failed one too."""
    held, shared = Held(failing), SharedReads[int]()
    with ThreadPoolExecutor(30) as pool:
        first = pool.submit(shared.now, held.read)
        assert held.begun.acquire(timeout=PATIENCE_SECONDS)
        meanwhile = [pool.submit(shared.now, held.read) for _ in range(20)]
        _waiting(shared, 20)
        assert held.count == 1
        held.go.release()
        assert held.begun.acquire(timeout=PATIENCE_SECONDS)
        late = pool.submit(shared.now, held.read)
        _waiting(shared, 1)
        held.go.release(2)
        for number, asked in ((1, [first]), (2, meanwhile), (3, [late])):
            for each in asked:
                error = each.exception(PATIENCE_SECONDS)
                assert isinstance(error, ValueError) if number == failing else each.result() == number
    assert (held.count, held.most) == (3, 1)


def test_statuses_asked_for_one_after_the_other_are_of_different_looks(room: MemoryCluster) -> None:
    """A status never shows what was seen for an earlier one: each is of reads that began after it was asked for."""
    looks = SharedLooks(room.plane._agents, lambda: room.plane.cluster)
    one, other = looks.now(SPOKEN), looks.now(SPOKEN)
    assert one is not other
    assert one.everyone.keys() == other.everyone.keys()
