"""The commands of a cluster that is only watched: each action is shown rejected, and nothing is claimed of a node."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from aerodb.actions import catalogue
from aerodb.audit.record import read_record
from aerodb.cli.failures import NO_WRITES, OK, REJECTED
from aerodb.protocol.api import Ask
from aerodb.rules.charge import UNFORESEEN
from aerodb.rules.specification import Action
from tests.unit.cli.stage import Stage, stage_in
from tests.unit.neighbours.others import MemoryLook, OthersCluster
from tests.unit.rules.scenes import possible


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Yield a control plane in front of a cluster that others made."""
    with stage_in(tmp_path, "bob", made=OthersCluster) as made:
        yield made


def words_of(stage: Stage, action: Action) -> list[str]:
    """Return what a person types to ask for an action."""
    if action.name == "configure":
        return ["configure", "n1", "--revoke", "bob"]
    request, words = next(possible(action, stage.cluster)), list[str]()
    for argument in action.needed:
        words += [argument.option, request.arguments[argument.name]]
    return [action.name, request.target, *words]


@pytest.mark.parametrize("action", catalogue().values(), ids=lambda action: action.name)
def test_every_action_is_shown_rejected(stage: Stage, action: Action) -> None:
    """With the invariant and why; a record says that it was asked for."""
    shown = stage.run(*words_of(stage, action), "--reason", "a test")
    assert shown.code == REJECTED, shown.plain + shown.err
    assert "in-charge" in shown.plain
    assert "is only watched: its agent has no hands" in shown.plain
    (record,) = [read_record(data) for _, data in stage.log.records() if read_record(data).action]
    assert (record.event, record.action, record.invariants[0]) == ("rejected", action.name, "in-charge")


def test_a_rejected_plan_tells_of_nothing_but_the_charge(stage: Stage) -> None:
    """No verdict rests on a term, a pledge or a standing that nobody has; and no loss, of what is not there."""
    for action in catalogue().values():
        request = replace(next(possible(action, stage.cluster)), operator="alice")
        ask = Ask(action=action.name, target=request.target, arguments=request.arguments, reason="a test")
        planned, plan, _ = stage.room.plane._parts.explainer.look(stage.person, ask)
        assert [each.invariant for each in plan.verdicts] == ["in-charge"]
        assert plan.loss == UNFORESEEN
        assert not any(word in note for note in plan.notes for word in ("stands as", "pledge", "grant", "term "))
        assert planned.accepted is False


def test_a_log_of_such_rejections_verifies(stage: Stage) -> None:
    """Each plan is computed again from what was recorded, and is the same."""
    for action in catalogue().values():
        assert stage.run(*words_of(stage, action), "--reason", "a test").code == REJECTED
    verified = stage.run("audit", "verify")
    assert verified.code == OK, verified.plain + verified.err


def looked(stage: Stage) -> None:
    """Have every agent's observer look."""
    for house in stage.room.houses.values():
        house.observe()


@pytest.mark.parametrize("words", [("timeline",), ("timeline", "--exact")])
def test_the_timeline_has_no_terms(stage: Stage, words: tuple[str, ...]) -> None:
    """Neither a row of them, nor a column, nor a word on how they are read; the lag is there."""
    looked(stage)
    shown = stage.run(*words).plain
    assert "n2 unflushed" in shown
    assert not re.search(r"^term|TERM|last digit|stands as", shown, re.MULTILINE)
    assert ("PostgreSQL runs as a primary" if len(words) == 1 else "role PostgreSQL: primary") in " ".join(
        shown.split()
    )


def test_a_report_has_no_terms(stage: Stage) -> None:
    """In both of its forms."""
    looked(stage)
    stage.run("checkpoint", "n1", "--reason", "a test")
    page, text = stage.folder / "report.html", stage.folder / "report.md"
    span = ("--from", "2020-01-01T00:00:00Z", "--to", "2100-01-01T00:00:00Z")
    assert stage.run("report", *span, "--output", str(page), "--markdown", str(text)).code == OK
    for shown in (page.read_text(), text.read_text()):
        assert "n2 unflushed" in shown
        assert "role PostgreSQL: primary" in shown
        assert not re.search(r"^term|term unknown|last digit|which term", shown, re.MULTILINE)


def test_status_offers_nothing(stage: Stage) -> None:
    """It says that every action is rejected, and does not say how to ask; who asks all the same sees why."""
    shown = stage.run("status").plain
    assert "Only watched: every action is rejected." in shown
    assert "What may be asked now" not in shown
    assert "in-charge" in stage.run("status", "--actions").plain


def test_no_procedure_is_laid_out(stage: Stage) -> None:
    """Each is refused, and says why."""
    shown = stage.run("procedure", "failover", "n2")
    assert shown.code not in (OK, REJECTED)
    assert "orders is only watched: every request of a procedure would be rejected" in shown.err


# What is not seen -----------------------------------------------------------------------------------------------------


def look_of(stage: Stage, name: str) -> MemoryLook:
    """Return what an agent sees of its PostgreSQL."""
    assert isinstance(stage.room, OthersCluster)
    return stage.room.looks[name]


def rows(stage: Stage) -> dict[str, list[str]]:
    """Return the table of nodes that status shows, by node."""
    lines = stage.run("status").plain.splitlines()
    found = [re.split(r" {2,}", line) for line in lines if re.match(r"n[123] ", line)]
    return {line[0]: line[1:] for line in found}


def test_of_a_postgresql_that_is_down_nothing_but_that_is_said(stage: Stage) -> None:
    """Not its role, not that it would be detached; its standbys say what they see themselves."""
    looked(stage)
    look_of(stage, "n1").down()
    looked(stage)
    shown = stage.run("status")
    assert shown.code == NO_WRITES
    said = " ".join(shown.plain.split())
    assert "Writes: unknown: no node that reports takes writes; n1 is not observed" in said
    assert "n1 is not seen, so what it does is unknown: nobody answers at the socket" in said
    assert "n2 streams from n1, as it sees itself; whether that counts is unknown, since n1 does not say" in said
    assert rows(stage)["n1"] == ["unknown", "unreachable", *["unknown"] * 5]
    assert "PostgreSQL is unreachable (before: running)" in " ".join(stage.run("timeline").plain.split())


def test_of_a_standby_that_is_down_it_is_not_said_that_it_receives_from_nobody(stage: Stage) -> None:
    """From whom it would receive is not seen."""
    look_of(stage, "n3").down()
    assert rows(stage)["n3"] == ["unknown", "unreachable", *["unknown"] * 5]
    assert "n3 is not observed: whether another node takes writes as well is not known." in stage.run("status").plain


def test_an_agent_that_is_not_reached_says_nothing_of_its_postgresql(stage: Stage) -> None:
    """That PostgreSQL may be well: its standby says that it streams, and nobody says that nothing takes writes."""
    stage.room.silent["n1"] = "no route"
    shown = " ".join(stage.run("status").plain.split())
    assert "Writes: unknown: no node that reports takes writes; n1 is not observed" in shown
    assert "n1 could not be observed: transport.unreachable: no route" in shown
    assert "n2 streams from n1, as it sees itself" in shown
    assert rows(stage)["n1"] == ["not observed", *["unknown"] * 4]
    assert "n1 gave no events" in stage.run("timeline").plain


def test_a_role_without_rights_is_not_said_to_receive_from_nobody(stage: Stage) -> None:
    """An agent whose role lacks pg_monitor sees that it is a standby, and not whose."""
    look = look_of(stage, "n2")
    look.instance = replace(look.instance, attached=None, receiver=None, damage=("rights: it lacks pg_monitor",))
    look.beside = replace(look.beside, survey=None)
    shown = stage.run("status").plain
    assert "receives WAL from nobody" not in shown
    assert (rows(stage)["n2"][0], rows(stage)["n2"][-1]) == ("standby", "unknown")
