"""The version of the rules moves with every change that reaches a plan: a build in which it did not fails here."""

from pathlib import Path

import pytest

from aerodb.actions import catalogue
from aerodb.rules.invariants import RULES
from tests.builds import Build, Mended, later, moved
from tests.unit.rules.plans import forms, lines, noted

SAMPLED = 40
"""Every so manieth plan is also made by a frozen copy."""

WORD = Mended("actions/stop.py", "PostgreSQL on {node} shuts down", "PostgreSQL on {node} is shut down")
"""A word in a sentence of every plan to stop a node."""

UNRELEASED = {
    "a word in a sentence": ("stop", WORD),
    "a word in a verdict's evidence": (
        "stop",
        Mended(
            "rules/condition.py", "stands as a {role}; the action is for a", "stands as {role}; the action is for a"
        ),
    ),
    "a word in what is said of writes": (
        "checkpoint",
        Mended(
            "rules/writes.py",
            'no primary; last known {granted.node}, term {granted.term}"',
            'no primary; last was {granted.node}, term {granted.term}"',
        ),
    ),
    "a judgement": (
        "promote",
        Mended("rules/election.py", "if granted.term >= view.term:", "if granted.term > view.term:"),
    ),
    "an invariant that is no more": (
        "checkpoint",
        Mended(
            "rules/condition.py",
            "        configuration_agrees(view, elects=elects),\n        journal_settled",
            "        journal_settled",
        ),
    ),
    "an invariant's identifier": ("start", Mended("rules/invariants.py", '"journal-settled"', '"journal-closed"')),
}


_IN_BOTH = f"""
from aerodb.actions import action_named
from aerodb.past import held
from aerodb.past.entry import Judged
from aerodb.past.speaking import late_in, view_in
from aerodb.protocol import canonical
from aerodb.rules.explain import opened_view, peers_of
from aerodb.rules.invariants import RULES
from aerodb.rules.late import judged_late
from tests.unit.rules.plans import plans

other, versions, count = [], set(), 0
for made in plans(every={SAMPLED}):
    if made.text.startswith("{{"):
        texts = [canonical.encode(each).decode() for each in (made.cluster, made.request, made.snapshot)]
        count, versions = count + 1, versions | {{made.cluster.version}}
        if held.explained(RULES, *texts) != made.text:
            other.append(made.state)
        everyone, action = peers_of(made.cluster, made.snapshot.reports, made.snapshot.nonce), action_named(made.action)
        view = opened_view(made.cluster, action, made.request, everyone, made.snapshot)
        said = canonical.encode(Judged(verdicts=judged_late(action.judge, {{}})(view))).decode()
        if view.own.facts.rules == RULES and held.judged(RULES, view_in(RULES, view), late_in(RULES, {{}})) != said:
            other.append(made.state + ", judged")
print(RULES in held.frozen(), count, len(versions), other)
"""
"""What is asked of a build that holds the rules of now twice: living, and frozen."""


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Return another build, as yet the same as this one."""
    return Build(tmp_path)


def _say(*what: str) -> str:
    return f"from tests.unit.rules.plans import lines; print(chr(10).join(lines(*{what})))"


def test_no_plan_changes_under_one_version_of_the_rules() -> None:
    """What the rules make of every state on file is what was noted of their version.

    Where it is not: a change of a judgement or of one word is a change of the rules. If the version is released, or was
    moved already, move RULES in rules/invariants.py first; then `python -m tests.unit.rules.plans`.
    """
    assert lines() == noted(RULES)


@pytest.mark.parametrize("what", UNRELEASED)
def test_a_build_with_an_unreleased_change_fails(what: str, build: Build) -> None:
    """One changed word, or one changed judgement, and the plans are no more those that were noted of their version."""
    action, change = UNRELEASED[what]
    found = build.mended(change).says(_say(action)).splitlines()
    before = [line for line in noted(RULES) if line.split()[1] in ("forms", action)]
    assert found[0] == before[0]
    assert [line.split()[:2] for line in found] == [line.split()[:2] for line in before]
    assert found[1] != before[1]


def test_a_new_field_of_what_plans_are_made_from_fails(build: Build) -> None:
    """A field that no state on file fills in changes no plan; it is noticed by the documents' forms."""
    field = Mended(
        "protocol/facts.py",
        "    gave_up: tuple[str, ...] = ()\n",
        "    gave_up: tuple[str, ...] = ()\n    mood: str = ''\n",
    )
    classed = Mended("protocol/classification.py", "checkpoint gave_up", "checkpoint gave_up mood")
    assert build.mended(field, classed).says("from tests.unit.rules.plans import forms; print(forms())") != forms()


def test_what_a_moved_version_makes_has_to_be_noted(build: Build) -> None:
    """The version alone moves nothing: what the rules of the new one make is noted beside the old one's lines."""
    found = build.mended(WORD, moved(98)).says(_say("stop")).splitlines()
    assert {line.split()[0] for line in found} == {later(98)}
    assert noted(later(98)) == []


def test_the_states_are_wide() -> None:
    """Every action is accepted and rejected in them, each in many plans."""
    for line in noted(RULES)[1:]:
        _, _, made, _, accepted, *_ = line.split()
        assert int(made) > int(accepted) > 0, line
    assert {line.split()[1] for line in noted(RULES)[1:]} == set(catalogue())


def test_the_frozen_rules_make_the_plans_of_now(tmp_path: Path) -> None:
    """The rules of now, frozen by their release or as it would freeze them, make the same plans and verdicts.

    In every state on file, also under later versions of the configuration, and whatever was noted.
    """
    build = Build(tmp_path, released=True).frozen("the next one")
    frozen, made, versions, other = build.says(_IN_BOTH).split(" ", 3)
    assert (frozen, other) == ("True", "[]")
    assert (int(made) > 1000, int(versions) > 2) == (True, True)
