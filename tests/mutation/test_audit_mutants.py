"""Each check of the log's meaning is there for something: without it, some forgery goes unnoticed."""

import sys
from collections import defaultdict
from collections.abc import Iterator
from importlib import import_module
from types import FrameType, ModuleType
from typing import Any, NamedTuple

import pytest

from aerodb.audit.logged import Logged
from aerodb.audit.meaning import judged
from tests.unit.audit.forging import FORGERIES, Forged, Forgery
from tests.unit.audit.mutants import JUDGE, Mutant, judge_of, mutants
from tests.unit.audit.seconding import SECOND_FORGERIES, Seconded
from tests.unit.audit.sequencing import TURN_FORGERIES, TURN_FORGERIES_OF_A_WHOLE

Lines = set[tuple[str, int]]
"""Lines of the judge's modules, each with its module's name."""


class Made(NamedTuple):
    """A forgery, the log in which it was made, and the lines that the judge passes through in it and in no honest one.

    `skips` are the lines that it passes through in the honest request that is most like it, and not in it.
    """

    forgery: Forgery
    log: Forged
    passes: Lines
    skips: Lines

    def far(self, mutant: Mutant) -> int:
        """Return how many lines from a mutant's the judge first goes another way: who is near is likely to notice."""
        own = (abs(line - mutant.line) for module, line in self.passes if module == mutant.module)
        gone = (line - mutant.line for module, line in self.skips if module == mutant.module and line > mutant.line)
        return min([*own, *gone], default=sys.maxsize)


REDUNDANT = {
    "checks: raise Unfounded('the plan on record is of another request')":
        "the judge does not ask this; `test_a_plan_of_another_request_is_not_replayed` does",
}  # fmt: skip
"""What no forgery can show, with the reason."""


@pytest.fixture(scope="session")
def forged(honest: Forged, honest_second: Seconded, honest_turn: Forged) -> list[Made]:
    """Return every forgery, made."""
    made = []
    for whole, forgeries in (
        (honest, FORGERIES),
        (honest_second, SECOND_FORGERIES),
        (honest_turn, TURN_FORGERIES + TURN_FORGERIES_OF_A_WHOLE),
    ):
        usual = [passed(whole, entries) for entries in requests(whole)]
        everywhere = set[tuple[str, int]]().union(*usual)
        for forgery in forgeries:
            log = whole.copy()
            forgery.make(log)
            lines = passed(log, requests(log, forgery.sequence)[0])
            alike = max(usual, key=lambda honest_lines: len(honest_lines & lines))
            made.append(Made(forgery, log, lines - everywhere, alike - lines))
    return made


def passed(log: Forged, entries: list[Logged]) -> Lines:
    """Return the lines that the judge passes through in one request of a log."""
    lines, names = Lines(), {str(import_module(each).__file__): each for each in JUDGE}

    def called(frame: FrameType, event: str, arg: object) -> Any:
        del arg
        module = names.get(frame.f_code.co_filename)
        if module is not None and event == "line":
            lines.add((module, frame.f_lineno))
        return called if module is not None else None

    trust, whole = log.trust, log.whole
    before = sys.gettrace()
    sys.settrace(called)
    try:
        list(judged(trust, entries, log.blobs.get, whole))
    finally:
        sys.settrace(before)
    return lines


def findings(judge: ModuleType, log: Forged, at: int = 0) -> Iterator[tuple[str, int, str]]:
    """Yield what a judge finds wrong or unchecked in a log's content, beginning with the request of the record `at`.

    A judge that breaks down finds that.
    """
    trust, whole = log.trust, log.whole
    for entries in requests(log, at):
        try:
            for finding in judge.judged(trust, entries, log.blobs.get, whole):
                yield finding.state, finding.sequence, finding.part
        except Exception as error:  # noqa: BLE001 - a mutant may break down where the check was.
            yield "breaks", 0, repr(error)


def requests(log: Forged, at: int = 0) -> list[list[Logged]]:
    """Return the entries of each request, or of none; those of the record `at` come first."""
    of_each: dict[str, list[Logged]] = defaultdict(list)
    for entry in log.entries():
        of_each[entry.record.request].append(entry)
    return sorted(of_each.values(), key=lambda entries: all(entry.sequence != at for entry in entries))


def test_every_check_is_needed(
    honest: Forged,
    honest_second: Seconded,
    honest_turn: Forged,
    forged: list[Made],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With any one check dropped, some forgery is not named as it must be, or an honest log is accused."""
    every = (honest, honest_second, honest_turn)
    survivors = [each for each in mutants() if not _noticed(each, every, forged, monkeypatch)]
    told = {f"{each.module.rpartition('.')[2]}: {each.dropped}" for each in survivors}
    assert told == set(REDUNDANT), "\n".join(f"{each.module}:{each.line}: {each.dropped}" for each in survivors)


def _noticed(mutant: Mutant, honest: tuple[Forged, ...], forged: list[Made], monkeypatch: pytest.MonkeyPatch) -> bool:
    judge = judge_of(mutant, monkeypatch)
    if _accuses(judge, honest[0]):
        return True
    if any(
        (forgery.state, forgery.sequence, forgery.part) not in findings(judge, log, forgery.sequence)
        for forgery, log, _, _ in sorted(forged, key=lambda made: made.far(mutant))
    ):
        return True
    return any(_accuses(judge, log) for log in honest[1:])


def _accuses(judge: ModuleType, log: Forged) -> bool:
    """Tell whether a judge finds anything wrong in a log in which everything holds."""
    return any(state not in ("holds", "noted") for state, _, _ in findings(judge, log))
