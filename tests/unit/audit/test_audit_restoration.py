"""What a log tells of its own restoration: only what an acceptance named, and only where it can be read."""

import pytest
from msgspec.structs import replace

from aerodb.audit.findings import RESTORATION, Finding, Tally
from aerodb.audit.record import Record
from aerodb.audit.restoration import gap_in, misnamed, restoration
from aerodb.audit.tree import EMPTY_ROOT, leaf_hash, root_of
from aerodb.protocol.marks import Gap, mark_of

LEAVES = [leaf_hash(bytes([number])) for number in range(9)]
NAMED = {"seen": str(mark_of(12, bytes(32))), "restored": str(mark_of(6, root_of(LEAVES[:6])))}
RECORD = Record(event="outcome", at="2030-01-01T00:00:00.000Z", clock="none", request="r", operator="ada",
                action="accept-log", target="n3", arguments=NAMED, result="executed")  # fmt: skip


def root_at(size: int) -> bytes:
    """Return the root of a log's first records."""
    return root_of(LEAVES[:size]) if size else EMPTY_ROOT


def test_what_is_lost_is_told_with_who_gave_it_up() -> None:
    """The node, the operator, both ends by root, and which records."""
    said = restoration(RECORD)
    assert said is not None
    assert all(each in said for each in ("n3", "ada", NAMED["seen"], NAMED["restored"], "records 6 to 11")), said


@pytest.mark.parametrize(
    "changes",
    [{"action": "stop"}, {"action": "no such"}, {"arguments": {}}, {"arguments": {**NAMED, "seen": "12:x"}}],
)
def test_what_is_no_acceptance_tells_nothing(changes: dict[str, object]) -> None:
    """Another action, or arguments that name no log: there is nothing to tell, and no error."""
    assert restoration(replace(RECORD, **changes)) is None


def test_a_beginning_that_is_not_this_logs_is_found() -> None:
    """By its root, and by its size; the empty beginning is every log's."""
    gap = gap_in(RECORD)
    assert gap is not None
    assert not misnamed(gap, 9, root_at)
    assert misnamed(gap, 5, root_at)
    assert misnamed(replace_restored("6", mark_of(6, root_at(5)).root), 9, root_at)
    assert not misnamed(replace_restored("0", mark_of(0, EMPTY_ROOT).root), 9, root_at)


def replace_restored(size: str, root: str) -> Gap:
    """Return the gap with another beginning."""
    gap = gap_in(replace(RECORD, arguments={**NAMED, "restored": f"{size}:{root}"}))
    assert gap is not None
    return gap


def test_what_is_told_is_summed_up_in_the_logs_order() -> None:
    """It fails nothing, leaves nothing unchecked, and is told whoever adds it up."""
    first, second = Tally(), Tally()
    for tally, sequence in ((first, 7), (second, 3)):
        tally.add(Finding(state="told", part=RESTORATION, sequence=sequence, said=f"record {sequence}"))
    first.merge(second.sum())
    found = first.sum()
    assert ([each.sequence for each in found.told], found.whole) == ([3, 7], True)
