"""A promotion signed ahead of a demotion, in the log: that its turn had come is proven, wherever it is verified."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from aerodb.audit.chain import judged_along
from aerodb.audit.contradictions import Whole
from aerodb.audit.evidence import examine
from aerodb.audit.findings import TURN as TURN_PART
from aerodb.audit.record import decode_record
from aerodb.audit.turns import UNTOLD
from aerodb.control.record import line_of, telling
from aerodb.errors import EvidenceInvalid
from aerodb.protocol import canonical
from tests.exhaustive.audit.test_audit_meaning import forged, names, three_ways
from tests.unit.audit.forging import Forged, Forgery
from tests.unit.audit.sequencing import (
    AHEAD_CONFIRMED,
    AHEAD_OUTCOME,
    BEFORE,
    BEFORE_OUTCOME,
    DEMOTION,
    DROPPED_OUTCOME,
    LAST_ONE,
    LATER_ONE,
    PROMOTION,
    TURN,
    TURN_FORGERIES,
    TURN_FORGERIES_OF_A_WHOLE,
)


def test_an_honest_sequence_is_intact_authentic_and_replayed(honest_turn: Forged, tmp_path: Path) -> None:
    """In folder, export and evidence alike; nobody is accused of what was dropped, or is held still."""
    by_folder, by_export, log = three_ways(honest_turn, tmp_path / "log")
    with log:
        assert by_folder.meaning == by_export.meaning
        assert by_folder.whole
        assert by_folder.meaning.held == {
            "its turn": 1, "the operator's signature": 4, "the outcome": 3, "the plan": 4, "the snapshot": 12,
            "what was said after the confirmation": 6,
        }  # fmt: skip
        assert by_folder.meaning.noted == ()
        for request in (PROMOTION, DEMOTION, LATER_ONE, LAST_ONE):
            examined = examine(honest_turn.evidence(log, request), honest_turn.trust)
            assert examined.meaning.whole
            gaps = [(each.first, each.why) for each in examined.meaning.noted if each.part == TURN_PART]
            assert gaps == ([(TURN, UNTOLD)] if request == PROMOTION else [])


def test_it_is_said_whose_word_its_turn_rests_on(honest_turn: Forged, tmp_path: Path) -> None:
    """By the served log, as by everybody: the sentences of the request say so, and of what the late reports are."""
    with three_ways(honest_turn, tmp_path / "log")[2] as log:
        entries = [each for each in honest_turn.entries() if each.record.request == PROMOTION]
        whole = Whole(log.size, log.root_at, log.records_of)
        said = [each.said for each in judged_along(honest_turn.trust, entries, log.blob, whole)]
    assert (
        f"Record {TURN}: its turn came: the agent of n1 signed that it executed demote n1 (request {DEMOTION})." in said
    )
    assert any(each.startswith("Made after its turn had come, and signed by its own node") for each in said)


@pytest.mark.parametrize("forgery", TURN_FORGERIES, ids=lambda each: each.name)
def test_a_forged_turn_is_named_in_folder_export_and_evidence_alike(
    honest_turn: Forged, tmp_path: Path, forgery: Forgery
) -> None:
    """Whoever holds the log's key makes no turn of what was not executed, was found out afterwards, or is another's."""
    with forged(honest_turn, forgery, tmp_path / "log") as (log, by_folder, opened):
        with pytest.raises(EvidenceInvalid) as refused:
            examine(log.evidence(opened, log.records[forgery.sequence].request), log.trust)
        assert refused.value.field in {each.part for each in by_folder.meaning.faults}


@pytest.mark.parametrize("forgery", TURN_FORGERIES_OF_A_WHOLE, ids=lambda each: each.name)
def test_a_turn_by_another_sequence_is_named_by_the_whole_log(
    honest_turn: Forged, tmp_path: Path, forgery: Forgery
) -> None:
    """What was executed must be the plan that names this one, logged before it, and made after this one was signed."""
    with forged(honest_turn, forgery, tmp_path / "log") as (_, by_folder, _opened):
        assert names(by_folder.meaning, forgery)


def test_evidence_says_that_it_cannot_tell_what_came_before(honest_turn: Forged, tmp_path: Path) -> None:
    """A demotion planned before the promotion was signed: the promotion's own file holds, and says what it lacks."""
    log = honest_turn.copy()
    log.records.insert(BEFORE, log.records.pop(AHEAD_CONFIRMED))
    by_folder, _, opened = three_ways(log, tmp_path / "log")
    with opened:
        assert not by_folder.whole
        examined = examine(log.evidence(opened, PROMOTION), log.trust)
    assert f"Record {TURN}: {UNTOLD}." in examined.sentences


def test_a_turn_under_an_unknown_configuration_is_unchecked(honest_turn: Forged, tmp_path: Path) -> None:
    """It is not called absent: the outcome after it is judged as that of a request whose turn came."""
    log = honest_turn.copy()
    other = log.store(canonical.encode(replace(log.cluster, quorum=0)))
    log.change(TURN, configuration=other)
    by_folder, _, opened = three_ways(log, tmp_path / "log")
    opened.close()
    assert [(each.part, each.first) for each in by_folder.meaning.unchecked] == [("the configuration", TURN)]
    assert {(each.part, each.sequence) for each in by_folder.meaning.faults} == {
        ("what was said after the confirmation", AHEAD_OUTCOME)
    }  # The reports were made for the record as it was.


def test_what_stands_in_a_turn_is_not_what_became_of_the_request(honest_turn: Forged) -> None:
    """A list tells of its own outcome, even of one that is not known: never of what another node has signed."""
    records = [each for each in honest_turn.records if each.request == PROMOTION]
    unknown = replace(records[-1], outcome=None, result="unknown")
    assert telling([*records[:-1], unknown]) is unknown
    assert line_of([*records[:-1], unknown], awaits=False).state == "unknown"
    assert line_of(records[:-1], awaits=False).state == "triggered"
    assert line_of(records, awaits=False).state == "executed"
    assert line_of(honest_turn.records[DROPPED_OUTCOME - 2 : DROPPED_OUTCOME + 1], awaits=False).state == "not executed"
    assert decode_record(honest_turn.text(TURN).encode()) == honest_turn.records[TURN]
    assert honest_turn.records[TURN].outcome == honest_turn.records[BEFORE_OUTCOME].outcome
