"""The last of a plan before a name is typed: one screen, with nothing on it that the plan does not say."""

import pytest
from msgspec.structs import replace

from aerodb.actions import catalogue
from aerodb.protocol import canonical
from aerodb.protocol.plan import Plan, plan_digest
from aerodb.protocol.words import words_of
from aerodb.rules.explain import explain
from aerodb.views.brief import CUT, LEFT_OUT, NEXT, ROWS_MAX, SignedNext, brief_lines, prompt_of
from aerodb.views.render import Line, as_text, plan_lines
from aerodb.views.sheet import sheet
from tests.unit.rules.scenes import CLUSTER, healthy, possible, request_for, scenes, sequenced, snapshot_of

WIDTH = 80


def text_of(plan: Plan) -> str:
    """Return a plan's exact text."""
    return canonical.encode(plan).decode()


def rows_of(lines: list[Line], plan: Plan) -> int:
    """Return how many rows of a terminal the lines take, with the prompt and the name that is typed."""
    whole = [*(line.text for line in lines), f"{prompt_of(plan)}{plan.request.target}"]
    return sum(max(-(-len(each) // WIDTH), 1) for each in whole)


def planned(name: str, node: str, **arguments: str) -> Plan:
    """Return a plan on a healthy cluster."""
    action = catalogue()[name]
    return explain(CLUSTER, action, request_for(action, node, arguments), snapshot_of(healthy()))


@pytest.mark.parametrize("name", catalogue())
def test_what_weighs_the_words_and_the_prompt_are_on_one_screen(name: str) -> None:
    """Of each action in each state, also with what follows it; each of the three parts begins on that screen."""
    action = catalogue()[name]
    then = planned("promote", "n2")
    following = SignedNext(then, text_of(then))
    for scene in scenes().values():
        for request in (*possible(action), *sequenced(action)):
            plan = explain(CLUSTER, action, request, snapshot_of(scene))
            for after in (None, following):
                lines = brief_lines(plan, text_of(plan), after)
                assert rows_of(lines, plan) <= ROWS_MAX, as_text(lines)
                text = " ".join(as_text(lines).split())
                for weight in sheet(plan, plan_digest(text_of(plan))).weights:
                    assert f"{weight.label} {weight.headlines[0].split(' ')[0]}" in text
                assert words_of(plan_digest(text_of(plan))) in text
                assert (NEXT in text) is (after is not None)
                assert (words_of(plan_digest(following.text)) in text) is (after is not None)


def test_what_is_cut_says_so_and_stands_whole_above() -> None:
    """However long the parts are, the screen is not overrun, what is left out says so, and the plan has all of it."""
    plan = planned("demote", "n1", **{"for": "n2"})
    long = tuple(f"Sentence {at} on what can never be undone by anybody. " * 3 for at in range(9))
    loss = replace(plan.loss, statement="What can be lost is said at length. " * 60, claim="unknown")
    heavy = replace(plan, irreversible=long, loss=loss, notes=(*plan.notes[:1], *long))
    lines = brief_lines(heavy, text_of(heavy), SignedNext(plan, text_of(plan)), mine=False)
    assert rows_of(lines, heavy) <= ROWS_MAX
    assert sum(line.text.endswith(CUT) for line in lines) == 2
    assert LEFT_OUT in as_text(lines)
    whole = " ".join(as_text(plan_lines(heavy, text_of(heavy))).split())
    assert all(" ".join(each.split()) in whole for each in (*long, loss.statement))
    assert "You sign second" in as_text(lines)


def test_nothing_is_cut_of_a_plan_that_fits() -> None:
    """Each headline and each fact of a switchover's demotion stands on the screen, as in the plan."""
    plan = planned("demote", "n1", **{"for": "n2"})
    lines = brief_lines(plan, text_of(plan))
    assert LEFT_OUT not in as_text(lines)
    assert set(lines[1:-2]) <= set(plan_lines(plan, text_of(plan)))
    said = " ".join(as_text(lines).split())
    for weight in sheet(plan, plan_digest(text_of(plan))).weights:
        assert all(" ".join(each.split()) in said for each in (*weight.headlines, *weight.facts))


def test_the_longest_names_leave_room() -> None:
    """Names of the greatest length still leave the words and the prompt on the screen."""
    plan = planned("demote", "n1", **{"for": "n2"})
    name = "n" * 63
    named = replace(plan, title=f"Demote {name} for {name}", request=replace(plan.request, target=name))
    assert rows_of(brief_lines(named, text_of(named), SignedNext(named, text_of(named))), named) <= ROWS_MAX
