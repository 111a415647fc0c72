"""What a log means: whatever nobody signed is named, by record and part, in a folder, an export and evidence alike."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

from aerodb.audit.evidence import EvidenceInvalid, examine
from aerodb.audit.export import export
from aerodb.audit.findings import Finding, Meaning
from aerodb.audit.meaning import judged
from aerodb.audit.store import Log, Verdict, judge_export, judge_folder, verify_folder
from tests.unit.audit.forging import FORGERIES, Forged, Forgery, genuine


@pytest.fixture(scope="session")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Forged:
    """Return the content of a log in which everything holds."""
    return genuine(tmp_path_factory.mktemp("genuine"))


def found_in(log: Forged) -> Iterator[Finding]:
    """Yield what the judge finds of a log's content, request by request."""
    entries = sorted(log.entries(), key=lambda entry: entry.record.request)
    for _, of_one in groupby(entries, key=lambda entry: entry.record.request):
        yield from judged(log.trust, of_one, log.blobs.get)


def names(meaning: Meaning, forgery: Forgery) -> bool:
    """Tell whether a verdict names a forgery: its record and its part."""
    if forgery.state == "fails":
        return (forgery.sequence, forgery.part) in {(each.sequence, each.part) for each in meaning.faults}
    return (forgery.sequence, forgery.part) in {(each.first, each.part) for each in meaning.unchecked}


def three_ways(log: Forged, folder: Path) -> tuple[Verdict, Verdict, Log]:
    """Return the verdicts on a log's folder and on its export, and the log, open again."""
    log.folder(folder)
    by_folder = judge_folder(folder, log.trust)
    opened = Log(folder, log.cluster.origin, log.log_key)
    return by_folder, judge_export(export(opened), log.trust), opened


def test_an_honest_log_is_intact_authentic_and_replayed(honest: Forged, tmp_path: Path) -> None:
    """Everything in it is counted; what rests on the control plane's word alone is said, and is no fault."""
    by_folder, by_export, log = three_ways(honest, tmp_path / "log")
    with log:
        assert by_folder.meaning == by_export.meaning
        meaning = by_folder.meaning
        assert (by_folder.whole, meaning.authentic, meaning.replayed) == (True, True, True)
        assert meaning.held == {
            "the endorsement": 1, "the operator's signature": 2, "the outcome": 2, "the plan": 3, "the snapshot": 12,
            "what was said after the confirmation": 6,
        }  # fmt: skip
        assert [gap.records for gap in meaning.noted] == [1, 1]
        for request in {record.request for record in honest.records if record.plan}:
            assert examine(honest.evidence(log, request), honest.trust).meaning.whole


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda each: each.name)
def test_a_forgery_is_named_in_folder_export_and_evidence_alike(
    honest: Forged, tmp_path: Path, forgery: Forgery
) -> None:
    """The log is sealed, intact and signed by its key; which record lies, and about what, is said all the same."""
    log = honest.copy()
    forgery.make(log)
    by_folder, by_export, opened = three_ways(log, tmp_path / "log")
    with opened:
        assert verify_folder(tmp_path / "log", log.cluster.log_key).size == len(log.records)
        assert not by_folder.whole
        assert by_folder.meaning == by_export.meaning
        assert names(by_folder.meaning, forgery), by_folder.meaning
        request = log.records[forgery.sequence].request
        if request:
            with pytest.raises(EvidenceInvalid) as refused:
                examine(log.evidence(opened, request), log.trust)
            assert refused.value.field == forgery.part
