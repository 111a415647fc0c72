"""The catalogue at the terminal: what can be asked, as it is typed, in lines that fit."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from aerodb.actions import catalogue
from aerodb.rules.invariants import STATEMENTS
from tests.unit.cli.stage import Stage, stage_in


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Yield a control plane, and alice at her terminal."""
    with stage_in(tmp_path) as made:
        yield made


def test_the_list_fits_and_leads_to_actions_and_invariants(stage: Stage) -> None:
    """Every action and every invariant stands in it, no line is wider than a terminal, and each can be explained."""
    text = stage.run("catalogue").plain
    assert max(len(line) for line in text.splitlines()) <= 80
    words = text.replace(",", " ").split()
    assert {*catalogue(), *(each.value for each in STATEMENTS)} <= set(words)
    assert "aerodb catalogue INVARIANT" in text
    assert "aerodb catalogue ACTION" in text


def test_an_argument_stands_as_it_is_typed(stage: Stage) -> None:
    """The command completes ids and digests: what its usage shows is what it takes."""
    for action, option in (("demote", "--then REQUEST"), ("promote", "--after ACTION:NODE")):
        said = " ".join(stage.run("catalogue", action).plain.split())
        assert option in said
        assert "DIGEST" not in said
        assert "NODE:ID" not in said
