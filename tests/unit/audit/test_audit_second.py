"""A second person in the log: what was due from two people and is there from one is found, wherever it is verified."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest
from msgspec.structs import replace

from aerodb.audit.chain import EnvelopeInvalid, along, open_envelope, verified_chain
from aerodb.audit.evidence import examine
from aerodb.audit.findings import CONFIRMATION, SECOND, Finding
from aerodb.audit.meaning import judged
from aerodb.audit.record import decode_record, encode_record
from aerodb.audit.store import judge_folder
from aerodb.audit.trust import Trust
from aerodb.errors import EvidenceInvalid
from aerodb.protocol import canonical
from aerodb.protocol.cluster import Role
from aerodb.protocol.envelope import Configurations
from aerodb.protocol.plan import Second
from tests.unit.audit.forging import Forgery
from tests.unit.audit.seconding import (
    BOTH,
    DROPPING,
    FIRST,
    RULE,
    SECOND_FORGERIES,
    STOPPING,
    Seconded,
    as_one,
    lived,
)
from tests.unit.neighbours.cluster import MemoryCluster
from tests.unit.neighbours.life import PEOPLE


def findings(log: Seconded) -> list[Finding]:
    """Return what the judge finds of all the requests of a log."""
    entries = sorted(log.entries(), key=lambda entry: entry.record.request)
    return [
        finding
        for _, of_one in groupby(entries, key=lambda entry: entry.record.request)
        for finding in judged(log.trust, of_one, log.blobs.get, log.whole)
    ]


def test_both_signatures_hold_and_are_told(honest_second: Seconded) -> None:
    """By whom, and with what; nothing fails, and nothing is unchecked."""
    found = findings(honest_second)
    assert {each.state for each in found} <= {"holds", "noted"}
    by_two = [each for each in found if each.part == SECOND]
    assert sorted(each.sequence for each in by_two) == [BOTH, DROPPING + 2]
    assert by_two[0].said.endswith("bob signed exactly this plan, with their enrolled SSH key.")
    assert FIRST in [each.sequence for each in found if each.part == CONFIRMATION]


@pytest.mark.parametrize("forgery", SECOND_FORGERIES, ids=[each.name for each in SECOND_FORGERIES])
def test_a_log_that_lies_of_a_second_person_is_found_out(honest_second: Seconded, forgery: Forgery) -> None:
    """Whoever holds the log's key, and one operator's, makes no confirmation that two were due for."""
    log = honest_second.copy()
    forgery.make(log)
    found = {(each.state, each.sequence, each.part) for each in findings(log)}
    assert (forgery.state, forgery.sequence, forgery.part) in found


def test_a_folder_without_the_second_signature_fails(honest_second: Seconded, tmp_path: Path) -> None:
    """As `audit verify` verifies it, from version 1 alone; with both, everything holds."""
    founding = Trust(clusters=(honest_second.versions[0],))
    assert judge_folder(honest_second.folder(tmp_path / "whole"), founding).meaning.held[SECOND] == 2
    log = honest_second.copy()
    log.records[BOTH] = as_one(log.records[BOTH])
    verdict = judge_folder(log.folder(tmp_path / "alone"), founding)
    assert SECOND in verdict.meaning.failed


# Along the chain ------------------------------------------------------------------------------------------------------


def bodies(log: Seconded) -> list[tuple[int, bytes]]:
    """Return a log's records as they stand in it."""
    return list(enumerate(encode_record(each) for each in log.records))


def test_the_rule_is_dropped_by_nobody_alone(honest_second: Seconded) -> None:
    """A change under a version that asks is trusted by both signatures, and else it is no version at all."""
    founding = Trust(clusters=(honest_second.versions[0],))
    whole = along(founding, bodies(honest_second), honest_second.blobs.get)
    assert whole.derived == honest_second.versions[1:]
    for dropped in (True, False):
        log = honest_second.copy()
        record = log.records[DROPPING + 2]
        log.records[DROPPING + 2] = as_one(record) if dropped else replace(record, second=log.by("alice", at=DROPPING))
        assert along(founding, bodies(log), log.blobs.get).derived == honest_second.versions[1:3]


def test_who_signed_second_and_was_revoked_there_is_found(honest_second: Seconded) -> None:
    """Logged after its target took the revocation, the second person's word counts no more than a requester's."""
    then, now = honest_second.versions[2], honest_second.versions[1]
    people = tuple(replace(each, revoked=each.name == "bob") for each in now.operators)
    later = replace(honest_second.versions[3], operators=people)
    target = honest_second.records[BOTH].target
    trust = Trust(clusters=(later, then), takes={target: ((RULE, later.digest),)})
    (found,) = trust.outlived(BOTH, honest_second.records[BOTH])
    assert (found.part, "bob could not confirm it so any more" in found.said) == (CONFIRMATION, True)
    assert not list(trust.outlived(STOPPING, honest_second.records[STOPPING]))


@pytest.fixture
def room(tmp_path: Path) -> Iterator[MemoryCluster]:
    """Yield a cluster in which two people dropped the rule."""
    made = MemoryCluster(tmp_path, {**PEOPLE, "dora": Role.OPERATOR})
    lived(made)
    yield made
    made.close()


def test_envelope_and_evidence_hold_both(room: MemoryCluster) -> None:
    """From version 1 alone they prove the version; without the second signature, or with another, nothing."""
    chain = canonical.decode(room.caller("carol").get("/v1/configurations"), Configurations)
    assert len(verified_chain(room.cluster, chain.envelopes).versions) == 4
    *before, last = chain.envelopes
    known = verified_chain(room.cluster, before).newest
    found = last.second
    assert found is not None
    for second in (None, replace(found, operator="alice"), Second(operator="bob", signature=last.signature)):
        with pytest.raises(EnvelopeInvalid):
            open_envelope(known, replace(last, second=second))
    request = decode_record(last.record.encode()).request
    data = room.caller("carol").get(f"/v1/requests/{request}/evidence")
    examined = examine(data, Trust(clusters=(room.cluster,)))
    assert any("bob signed exactly this plan" in each for each in examined.sentences)
    altered = replace(examined.evidence, chain=(*before, replace(last, second=None)))
    with pytest.raises(EvidenceInvalid, match="second person"):
        examine(canonical.encode(altered), Trust(clusters=(room.cluster,)))
