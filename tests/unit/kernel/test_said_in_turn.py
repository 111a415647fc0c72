"""What a node has just said of itself, asked for its order's turn: it need not look twice before it begins.

It counts for that turn alone, for a moment, and for nothing that the operation does: that looks at what is so then.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from aerodb.kernel import holding
from aerodb.protocol.authority import Candidacy
from aerodb.protocol.plan import Outcome, Trigger, late_nonce
from aerodb.protocol.signed import Signed, open_signed
from tests.unit.neighbours.cluster import MemoryCluster
from tests.unit.neighbours.turns import Turn, come, electing_n2, report, sent

EXECUTED, CHANGED, DIFFER = ("executed", ""), ("not executed", "kernel.state-changed"), "kernel.verdicts-differ"


@pytest.fixture
def turn(tmp_path: Path) -> Iterator[Turn]:
    """Yield a turn that has come, and that n2 was not told of."""
    made: MemoryCluster = electing_n2(tmp_path)
    yield come(made)
    made.close()


def answer(turn: Turn, signed: Signed) -> tuple[str, str]:
    """Return the result and the code that n2 has signed of the promotion."""
    outcome = open_signed(signed, Outcome, turn.room.cluster.member("n2").public_key)
    return outcome.result, outcome.code


def says(turn: Turn, trigger: Trigger) -> None:
    """Have n2 report for this turn, as the control plane has it do."""
    report(turn.room, "n2", late_nonce(trigger.record))


def looks_at(turn: Turn) -> list[str]:
    """Return a list to which each look at n2 adds what n2 was told before."""
    server, looks = turn.room.servers["n2"], list[str]()
    server.looked = lambda: looks.append(" ".join(server.done))
    return looks


def test_what_it_has_just_said_is_not_looked_at_again(turn: Turn) -> None:
    """One look fewer, before it begins; the one after its receiver is gone stays."""
    server, trigger = turn.room.servers["n2"], sent(turn)
    says(turn, trigger)
    before, looks = " ".join(server.done), looks_at(turn)
    assert answer(turn, turn.agent.trigger(trigger)) == EXECUTED
    assert before not in looks
    assert any("detach" in each and "promote" not in each for each in looks)


def _for_another(turn: Turn, trigger: Trigger) -> None:
    del trigger
    report(turn.room, "n2", "0" * 64)


def _and_then_for_another(turn: Turn, trigger: Trigger) -> None:
    says(turn, trigger)
    _for_another(turn, trigger)


def _long_ago(turn: Turn, trigger: Trigger) -> None:
    says(turn, trigger)
    said = turn.agent._holding._said
    assert said
    turn.agent._holding._said = said._replace(until=said.until - holding.SAID_SECONDS_MAX)


def _before_it_promised_more(turn: Turn, trigger: Trigger) -> None:
    says(turn, trigger)
    standing, more = turn.agent.standing, Candidacy(term=5, node="n3")
    turn.agent._store.write_standing(replace(standing, pledged=more, pledge=None, since=(*standing.since, more)))


ANEW: dict[str, Callable[[Turn, Trigger], None]] = {
    "nothing": lambda _turn, _trigger: None,
    "for another asking": _for_another,
    "for this one, and then for another": _and_then_for_another,
    "long ago": _long_ago,
    "before it promised more": _before_it_promised_more,
}


@pytest.mark.parametrize("name", ANEW)
def test_anything_else_that_it_said_has_it_look_anew(turn: Turn, name: str) -> None:
    """So what should not be begun is not begun: its receiver stays."""
    trigger = sent(turn)
    ANEW[name](turn, trigger)
    turn.room.servers["n2"].change(drift=("primary_conninfo",))
    assert answer(turn, turn.agent.trigger(trigger)) == ("not executed", DIFFER)
    assert "detach" not in turn.room.servers["n2"].done


AFTERWARDS: dict[str, dict[str, object]] = {
    "its settings were changed": {"drift": ("primary_conninfo",)},
    "it was promoted by hand": {"recovery": False},
    "it was started anew": {"started": "2031-01-01T00:00:00Z"},
}


@pytest.mark.parametrize("name", AFTERWARDS)
def test_what_changes_after_it_spoke_is_found_before_it_votes(turn: Turn, name: str) -> None:
    """By its own word it would begin; by what is so once its position is final it stops, and has pledged nothing."""
    trigger, standing = sent(turn), turn.agent.standing
    says(turn, trigger)
    turn.room.servers["n2"].change(**AFTERWARDS[name])
    assert answer(turn, turn.agent.trigger(trigger)) == CHANGED
    assert "promote" not in turn.room.servers["n2"].done
    assert turn.agent.standing.pledged == standing.pledged


def test_another_order_uses_up_what_was_said(turn: Turn) -> None:
    """What it said while it held one order is not what another one is judged by."""
    trigger = sent(turn)
    says(turn, trigger)
    turn.agent.withdraw(turn.request)
    assert turn.agent._holding.said_in_turn(trigger) is None
