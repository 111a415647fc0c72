"""Mutants of the judgement: each drops one decision, and the matrix's own checks must notice every one.

`test_matrix.py` shows that the rules reject; this shows that its checks could fail.
"""

from collections.abc import Callable
from dataclasses import replace as changed

import pytest
from msgspec.structs import replace

from aerodb.actions import catalogue
from aerodb.protocol.plan import Result, Verdict
from aerodb.rules.explain import explain, failed, verdict_changes
from aerodb.rules.invariants import Invariant
from aerodb.rules.specification import Action
from aerodb.rules.view import View
from tests.unit.rules.scenes import CLUSTER, scenes, snapshot_of, view_for
from tests.unit.rules.test_matrix import BREAKERS, accepted

PAIRS = [(name, invariant) for name, action in catalogue().items() for invariant in action.invariants]


def _always_holds(action: Action, invariant: Invariant) -> Action:
    """Return the action with one verdict forced to hold: the mutant that has lost this rule."""

    def judge(view: View) -> tuple[Verdict, ...]:
        return tuple(
            replace(verdict, result=Result.HOLDS) if verdict.invariant == invariant else verdict
            for verdict in action.judge(view)
        )

    return changed(action, judge=judge)


def _left_out(action: Action, invariant: Invariant) -> Action:
    """Return the action that does not judge one invariant at all."""

    def judge(view: View) -> tuple[Verdict, ...]:
        return tuple(verdict for verdict in action.judge(view) if verdict.invariant != invariant)

    return changed(action, judge=judge)


def can_reject(action: Action, invariant: Invariant) -> bool:
    """Tell whether the invariant's own verdict fails somewhere, from a state in which everything held (the matrix)."""
    for request, scene_name in accepted(action.name):
        planned = view_for(request, scenes()[scene_name])
        for broken in BREAKERS[invariant](scenes()[scene_name], request):
            view = view_for(request, broken)
            if any(invariant in failed(action.judge(replace(view, term=term))) for term in {view.term, planned.term}):
                return True
    return False


def judges_what_it_says(action: Action) -> bool:
    """Tell whether the action judges exactly its declared invariants (the matrix)."""
    request, scene_name = accepted(action.name)[0]
    judged = action.judge(view_for(request, scenes()[scene_name]))
    return tuple(verdict.invariant for verdict in judged) == action.invariants


@pytest.mark.parametrize(("name", "invariant"), PAIRS)
@pytest.mark.parametrize("mutate", [_always_holds, _left_out])
def test_every_dropped_rule_is_noticed(
    name: str, invariant: Invariant, mutate: Callable[[Action, Invariant], Action]
) -> None:
    """The rules pass both checks; a mutant that lost one rule of one action fails one of them."""
    action = catalogue()[name]
    assert can_reject(action, invariant)
    assert judges_what_it_says(action)
    mutant = mutate(action, invariant)
    assert not (can_reject(mutant, invariant) and judges_what_it_says(mutant))


@pytest.mark.parametrize("name", catalogue())
def test_unknown_counts_as_no(name: str) -> None:
    """One verdict that is unknown makes a rejection, and makes a node refuse what a plan said would hold."""
    action = catalogue()[name]
    request, scene_name = accepted(name)[0]
    planned = action.judge(view_for(request, scenes()[scene_name]))
    for at in range(len(planned)):
        now = tuple(
            replace(verdict, result=Result.UNKNOWN) if index == at else verdict for index, verdict in enumerate(planned)
        )
        assert verdict_changes(planned, now) == (now[at],)
        mutant = changed(action, judge=_says(now))
        assert not explain(CLUSTER, mutant, request, snapshot_of(scenes()[scene_name])).accepted


def _says(verdicts: tuple[Verdict, ...]) -> Callable[[View], tuple[Verdict, ...]]:
    """Return a judge that says these verdicts of everything."""
    return lambda _: verdicts
