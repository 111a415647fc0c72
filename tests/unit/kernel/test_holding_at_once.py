"""A held order among others: sent twice, withdrawn and run at once, begun and not ended. It has one answer for ever."""

import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from aerodb.errors import AeroError
from aerodb.kernel.errors import Busy, OperationFailed, OrderNotHeld, RequestDuplicate
from aerodb.protocol.plan import Confirmation
from aerodb.protocol.signed import Signed
from tests.faults.waiting import wait_until
from tests.unit.kernel import test_holding
from tests.unit.kernel.test_holding import DROPPED, agent_of, answer, held_by, id_of, plain, stands
from tests.unit.neighbours.cluster import MemoryCluster
from tests.unit.neighbours.life import act
from tests.unit.neighbours.turns import Turn, after_demotion, order_of, sent
from tests.unit.neighbours.wire import Killed

room, turn = test_holding.room, test_holding.turn
ROUNDS = 8

# At once --------------------------------------------------------------------------------------------------------------


class Meanwhile(list[str]):
    """What was asked of PostgreSQL; something is done in the midst of one step, by others than who asks for it."""

    def __init__(self, step: str, does: Callable[[], None]) -> None:
        """Wait for the step."""
        super().__init__()
        self._step, self._does = step, does

    def append(self, step: str, /) -> None:
        """Note a step; the first of its kind is not taken alone."""
        super().append(step)
        if self.count(self._step) == 1 and step == self._step:
            self._does()


def _refuses(why: type[AeroError], call: Callable[[], Signed]) -> None:
    with pytest.raises(why) as refused:
        call()
    assert refused.value.executed == "unknown"


def test_while_it_is_checked(room: MemoryCluster) -> None:
    """The same order by either way is refused without a word on what becomes of it; so it has one answer: it is held.

    Another order is refused and used up, as while any action is under way.
    """
    order, other = order_of(room, after_demotion(room)), plain(room)
    agent, request, seen = agent_of(room), id_of(order), list[tuple[str, str]]()

    def meanwhile() -> None:
        room.servers["n2"].looked = lambda: None
        _refuses(RequestDuplicate, lambda: agent.hold(order))
        _refuses(RequestDuplicate, lambda: agent.run(order))
        _refuses(Busy, lambda: agent.withdraw(request))
        _refuses(Busy, lambda: agent.outcome(request, Confirmation(plan=order.plan, signature=order.signature)))
        seen.append(answer(agent.run(other)))

    room.servers["n2"].looked = meanwhile
    agent.hold(order)
    assert (seen, held_by(room)) == ([("not executed", "kernel.busy")], request)
    assert agent._answers.given(request) is None


def test_an_order_is_not_refused_as_one_to_be_held_while_it_is_run(room: MemoryCluster) -> None:
    """Sent by both ways at once, it has one answer."""
    order, agent = plain(room), agent_of(room)

    def meanwhile() -> None:
        room.servers["n2"].looked = lambda: None
        _refuses(RequestDuplicate, lambda: agent.hold(order))

    room.servers["n2"].looked = meanwhile
    first = agent.run(order)
    assert answer(first) == ("executed", "")
    stands(room, order, first)


def test_while_it_has_its_turn(turn: Turn) -> None:
    """Nobody is told that it is not executed: not who sends the same again, nor who withdraws it, nor who asks."""
    agent, order, made, other = turn.agent, order_of(turn.room, turn.later), sent(turn), plain(turn.room)
    seen = list[tuple[str, str]]()

    def meanwhile() -> None:
        _refuses(RequestDuplicate, lambda: agent.trigger(made))
        _refuses(RequestDuplicate, lambda: agent.hold(order))
        _refuses(RequestDuplicate, lambda: agent.run(order))
        _refuses(Busy, lambda: agent.withdraw(turn.request))
        _refuses(Busy, lambda: agent.outcome(turn.request, turn.shown))
        assert not agent.facts().held
        seen.append(answer(agent.run(other)))

    turn.room.servers["n2"].done = Meanwhile("promote", meanwhile)
    first = agent.trigger(made)
    assert answer(first) == ("executed", "")
    assert seen == [("not executed", "kernel.busy")]
    stands(turn.room, order, first)


def test_what_was_answered_before_drops_nothing_when_it_comes_again(room: MemoryCluster) -> None:
    """Whoever replays an old order or an old withdrawal cannot end what is held."""
    old, agent = plain(room), agent_of(room)
    agent.run(old)
    gone = order_of(room, after_demotion(room))
    agent.hold(gone)
    agent.withdraw(id_of(gone))
    order = order_of(room, after_demotion(room))
    agent.hold(order)
    for again in (agent.run, agent.hold):
        for sent_before in (old, gone):
            with pytest.raises(RequestDuplicate):
                again(sent_before)
    agent.withdraw(id_of(gone))
    assert held_by(room) == id_of(order)


def at_once(*calls: Callable[[], object]) -> None:
    """Call all of them at once, each in a thread; what they are refused for is theirs."""
    begin = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> None:
        begin.wait()
        with suppress(AeroError):
            call()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("attempt", range(ROUNDS))
def test_however_all_meet_there_is_one_answer(turn: Turn, attempt: int) -> None:
    """Its turn, its withdrawal, another order, the agent's end: it runs once or never, and one answer says so."""
    del attempt
    agent, made, other, order = turn.agent, sent(turn), plain(turn.room), order_of(turn.room, turn.later)
    at_once(
        lambda: agent.trigger(made), lambda: agent.withdraw(turn.request), lambda: agent.trigger(made),
        lambda: agent.run(other), lambda: agent.hold(order), agent.end,
    )  # fmt: skip
    first = agent.withdraw(turn.request)
    done = turn.room.servers["n2"].done
    assert done.count("promote") == (answer(first)[0] == "executed")
    stands(turn.room, order, first)


def test_an_agent_that_ends_while_it_is_checked_drops_it(room: MemoryCluster) -> None:
    """What came to be held meanwhile does not outlive that: it is said to be dropped before the process has ended."""
    order, agent = order_of(room, after_demotion(room)), agent_of(room)
    ending = threading.Thread(target=agent.end)

    def meanwhile() -> None:
        room.servers["n2"].looked = lambda: None
        ending.start()
        wait_until(lambda: agent._turns.ending)

    room.servers["n2"].looked = meanwhile
    agent.hold(order)
    ending.join()
    assert held_by(room) == ""
    assert answer(agent.withdraw(id_of(order))) == DROPPED


# Dying in its turn ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["promote", "write term 2"])
def test_what_was_begun_cannot_be_withdrawn(turn: Turn, step: str) -> None:
    """Whether it was executed is found out from PostgreSQL; nobody is told that a held order was dropped."""

    def dies() -> None:
        raise Killed

    turn.room.servers["n2"].done = Meanwhile(step, dies)
    with pytest.raises(Killed):
        turn.agent.trigger(sent(turn))
    turn.room.houses["n2"].again()
    with pytest.raises(AeroError) as refused:
        turn.agent.withdraw(turn.request)
    assert (refused.value.code, refused.value.executed) == ("kernel.order-not-held", "unknown")
    found = turn.agent.outcome(turn.request, turn.shown)
    assert answer(found)[0] == ("executed" if step == "write term 2" else "unknown")
    with pytest.raises(RequestDuplicate):
        turn.agent.trigger(sent(turn))
    if answer(found)[0] == "unknown":
        act(turn.room, "stop", "n2")
        found = turn.agent.outcome(turn.request, turn.shown)
        assert answer(found)[0] == "not executed"
    stands(turn.room, order_of(turn.room, turn.later), found)


def test_what_failed_without_an_answer_cannot_be_withdrawn(turn: Turn) -> None:
    """In the same process, too: it was begun, and what became of it is asked for."""
    instance = turn.room.servers["n2"]

    def fails() -> None:
        raise OperationFailed("nobody can tell")

    instance.done = Meanwhile("promote", fails)
    assert answer(turn.agent.trigger(sent(turn)))[0] == "unknown"
    with pytest.raises(OrderNotHeld) as refused:
        turn.agent.withdraw(turn.request)
    assert refused.value.executed == "unknown"
