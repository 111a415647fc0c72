"""What a log means: whatever nobody signed is named, by record and part, in a folder, an export and evidence alike."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import pytest
from msgspec.structs import replace

from aerodb.audit.checks import Unfounded, replayed
from aerodb.audit.evidence import examine
from aerodb.audit.export import export
from aerodb.audit.findings import RULES_OF_PLAN, Meaning
from aerodb.audit.meaning import _ABOUT_PEOPLE, _AFTER
from aerodb.audit.record import _ALWAYS, _MORE, LaterRecord, RecordEvent
from aerodb.audit.store import How, Log, LogVerdict, judge_export, judge_folder, verify_folder
from aerodb.audit.store.database import open_to_write
from aerodb.audit.store.files import DATABASE
from aerodb.audit.store.folder import opened_folder, verify_content
from aerodb.audit.trust import Trust
from aerodb.errors import EvidenceInvalid, VerificationFailed
from aerodb.protocol import canonical
from tests.unit.audit.forging import (
    END,
    FORGERIES,
    FOUND_OUT,
    LAPSED,
    LET_GO,
    READ,
    REFUSED,
    REJECTED,
    SIGNED_IN,
    SIGNED_OUT,
    UNKNOWN,
    Forged,
    Forgery,
    later_configuration,
)


def names(meaning: Meaning, forgery: Forgery) -> bool:
    """Tell whether a verdict names a forgery: its record and its part."""
    if forgery.state == "fails":
        return (forgery.sequence, forgery.part) in {(each.sequence, each.part) for each in meaning.faults}
    return (forgery.sequence, forgery.part) in {(each.first, each.part) for each in meaning.unchecked}


def three_ways(log: Forged, folder: Path) -> tuple[LogVerdict, LogVerdict, Log]:
    """Return the verdicts on a log's folder and on its export, and the log, open again."""
    log.folder(folder)
    by_folder = judge_folder(folder, log.trust)
    opened = Log(folder, log.cluster.origin, log.log_key)
    return by_folder, judge_export(export(opened), log.trust), opened


@contextmanager
def forged(honest: Forged, forgery: Forgery, folder: Path) -> Iterator[tuple[Forged, LogVerdict, Log]]:
    """Yield a log with a forgery that folder and export name alike, its verdict, and the log, open again."""
    log = honest.copy()
    forgery.make(log)
    by_folder, by_export, opened = three_ways(log, folder)
    with opened:
        assert by_folder.meaning == by_export.meaning
        assert names(by_folder.meaning, forgery), by_folder.meaning
        yield log, by_folder, opened


def test_an_honest_log_is_intact_authentic_and_replayed(honest: Forged, tmp_path: Path) -> None:
    """Everything in it is counted; what rests on the control plane's word alone is said, and is no fault."""
    by_folder, by_export, log = three_ways(honest, tmp_path / "log")
    with log:
        assert by_folder.meaning == by_export.meaning
        meaning = by_folder.meaning
        assert (by_folder.whole, meaning.authentic, meaning.replayed) == (True, True, True)
        assert meaning.held == {
            "the endorsement": 1, "the operator's signature": 5, "the outcome": 5, "the plan": 8, "the snapshot": 32,
            "what was said after the confirmation": 12, "what nodes had seen of the log": 29,
        }  # fmt: skip
        assert [(gap.first, gap.records) for gap in meaning.noted] == [
            (REFUSED, 1), (READ, 1), (SIGNED_IN, 1), (SIGNED_OUT, 1), (LET_GO + 1, 1), (LAPSED + 1, 1),
            (UNKNOWN + 2, 1), (FOUND_OUT + 2, 1),
        ]  # fmt: skip
        for request in {record.request for record in honest.records if record.plan}:
            assert examine(honest.evidence(log, request), honest.trust).meaning.whole


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda each: each.name)
def test_a_forgery_is_named_in_folder_export_and_evidence_alike(
    honest: Forged, tmp_path: Path, forgery: Forgery
) -> None:
    """The log is sealed, intact and signed by its key; which record lies, and about what, is said all the same."""
    with forged(honest, forgery, tmp_path / "log") as (log, by_folder, opened):
        assert verify_folder(tmp_path / "log", log.cluster.log_key).size == len(log.records)
        assert not by_folder.whole
        request = log.records[forgery.sequence].request
        if request:
            with pytest.raises(EvidenceInvalid) as refused:
                examine(log.evidence(opened, request), log.trust)
            others = {each.part for each in by_folder.meaning.faults}  # Rules that are not at hand invalidate nothing.
            assert refused.value.field in (others if forgery.part == RULES_OF_PLAN else {forgery.part})


def test_several_processes_judge_as_one_does(honest: Forged, tmp_path: Path) -> None:
    """What the cores find, each in its own part of the requests, is what one process finds, and in the same order."""
    log = honest.copy()
    for at in range(len(log.records)):
        log.change(at, code="x", touch=True)
    by_folder, by_export, opened = three_ways(log, tmp_path / "log")
    with opened:
        lines = list(export(opened))
        seen: list[tuple[int, int]] = []
        how = How(judged=lambda done, total: seen.append((done, total)), alone_records_max=0)
        assert judge_export(lines, log.trust, how=how).meaning == by_export.meaning
        assert judge_folder(tmp_path / "log", log.trust, how=how).meaning == by_folder.meaning
    assert by_folder.meaning.failed
    assert seen[-1] == (END, END)


def test_a_log_that_goes_back_to_an_earlier_configuration_is_named(honest: Forged, tmp_path: Path) -> None:
    """Once it is under a later one, the keys of the earlier one count no more; in evidence too."""
    log = honest.copy()
    log.change(END - 1, configuration=log.store(canonical.encode(later_configuration(log.cluster))))
    assert three_ways(log, tmp_path / "on")[0].whole
    log.change(END - 2, configuration=log.records[END - 1].configuration)
    log.change(END - 1, configuration=log.records[0].configuration)
    by_folder, by_export, opened = three_ways(log, tmp_path / "back")
    with opened:
        assert by_folder.meaning == by_export.meaning
        assert (END - 1, "the configuration") in {(each.sequence, each.part) for each in by_folder.meaning.faults}
    with Log.create(tmp_path / "evidence", log.cluster.origin, log.log_key) as written:
        request, names = log.records[END - 1].request, [log.records[END - 1].configuration] * 4
        names[2] = canonical.digest(canonical.encode(later_configuration(log.cluster)))
        record = log.records[END - 1]
        log.records[-3:] = [replace(each, configuration=name) for each, name in zip(
            (*honest.records[-3:], record), names, strict=True)]  # fmt: skip
        for each in log.records:
            written.append(each, log.blobs)
        with pytest.raises(EvidenceInvalid, match="from record 25 on the log was under the later") as refused:
            examine(log.evidence(written, request), log.trust)
        assert refused.value.field == "the configuration"


def test_every_event_and_every_field_has_its_place() -> None:
    """A new event, or a new field of a record, must be given its place among what is judged."""
    events = set(get_args(RecordEvent))
    assert set(_AFTER) | set(_ABOUT_PEOPLE) == events | {""}
    assert set(_MORE) == events
    assert {*_ALWAYS, *(name for each in _MORE.values() for name in each)} == set(LaterRecord.__struct_fields__)


def test_a_plan_of_another_request_is_not_replayed(honest: Forged) -> None:
    """A page that shows a replay is told so, where the control plane hands it another request's plan."""
    plan, snapshot = (honest.blobs[each].decode() for each in (honest.records[0].plan, honest.records[0].snapshot))
    assert replayed(honest.cluster, honest.records[0].request, plan, snapshot).identical
    with pytest.raises(Unfounded, match="another request"):
        replayed(honest.cluster, honest.records[REJECTED].request, plan, snapshot)


def test_a_configuration_that_is_given_twice_is_one(honest: Forged, tmp_path: Path) -> None:
    """Nothing goes back to itself."""
    honest.folder(tmp_path / "log")
    twice = Trust(clusters=(honest.cluster, later_configuration(honest.cluster), honest.cluster))
    assert judge_folder(tmp_path / "log", twice).whole


@pytest.mark.parametrize("name", ["", "\U0010ffff", "\U0010ffffx", "nonsense"])
def test_a_blob_under_a_name_that_is_no_digest_is_not_intact(honest: Forged, tmp_path: Path, name: str) -> None:
    """Whatever it is called, and whoever else looks at a part: no blob is left out of the verification."""
    folder = honest.folder(tmp_path / "log")
    database = open_to_write(folder / DATABASE)
    database.insert_blob(name, b"nobody's")
    database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    database.close()
    for path in folder.iterdir():
        if "seal" in path.name:
            path.unlink()  # What its key did not sign is found without the seal, too.
    with pytest.raises(VerificationFailed, match="blob"):
        judge_folder(folder, honest.trust)
    with pytest.raises(VerificationFailed, match="blob"), opened_folder(folder, honest.cluster.log_key) as opened:
        verify_content(opened, honest.cluster.log_key, folder, part_records=1)
