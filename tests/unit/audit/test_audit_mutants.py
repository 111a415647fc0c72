"""Each check of the log's meaning is there for something: without it, some forgery goes unnoticed."""

from itertools import groupby
from types import ModuleType

import pytest

from tests.unit.audit.forging import FORGERIES, Forged, Forgery
from tests.unit.audit.mutants import Mutant, judge_of, mutants
from tests.unit.audit.seconding import SECOND_FORGERIES, Seconded

REDUNDANT = {
    "checks: raise Unfounded('the plan on record is of another request')":
        "the judge does not ask this; `test_a_plan_of_another_request_is_not_replayed` does",
}  # fmt: skip
"""What no forgery can show, with the reason."""


@pytest.fixture(scope="session")
def forged(honest: Forged, honest_second: Seconded) -> list[tuple[Forgery, Forged]]:
    """Return every forgery, made."""
    made = []
    for whole, forgeries in ((honest, FORGERIES), (honest_second, SECOND_FORGERIES)):
        for forgery in forgeries:
            log = whole.copy()
            forgery.make(log)
            made.append((forgery, log))
    return made


def found(judge: ModuleType, log: Forged) -> set[tuple[str, int, str]]:
    """Return what a judge finds wrong or unchecked in a log's content; one that breaks down finds that."""
    entries = sorted(log.entries(), key=lambda entry: entry.record.request)
    trust = log.trust
    wrong = set()
    for _, of_one in groupby(entries, key=lambda entry: entry.record.request):
        try:
            for finding in judge.judged(trust, of_one, log.blobs.get, log.whole):
                wrong.add((finding.state, finding.sequence, finding.part))
        except Exception as error:  # noqa: BLE001 - a mutant may break down where the check was.
            wrong.add(("breaks", 0, repr(error)))
    return wrong


def test_every_check_is_needed(
    honest: Forged,
    honest_second: Seconded,
    forged: list[tuple[Forgery, Forged]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With any one check dropped, some forgery is not named as it must be, or an honest log is accused."""
    survivors = [each for each in mutants() if not _noticed(each, (honest, honest_second), forged, monkeypatch)]
    told = {f"{each.module.rpartition('.')[2]}: {each.dropped}" for each in survivors}
    assert told == set(REDUNDANT), "\n".join(f"{each.module}:{each.line}: {each.dropped}" for each in survivors)


def _noticed(
    mutant: Mutant, honest: tuple[Forged, ...], forged: list[tuple[Forgery, Forged]], monkeypatch: pytest.MonkeyPatch
) -> bool:
    judge = judge_of(mutant, monkeypatch)
    if _accuses(judge, honest[0]):
        return True
    if any((forgery.state, forgery.sequence, forgery.part) not in found(judge, log) for forgery, log in forged):
        return True
    return any(_accuses(judge, log) for log in honest[1:])


def _accuses(judge: ModuleType, log: Forged) -> bool:
    """Tell whether a judge finds anything wrong in a log in which everything holds."""
    return not {state for state, _, _ in found(judge, log)} <= {"holds", "noted"}
