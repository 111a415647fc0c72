"""What nodes had seen of the log: held against the log that recorded it; explained by their own signed acts alone."""

from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodb.audit.contradictions import GivingUp, Whole, seen_then, unexplained
from aerodb.audit.evidence import examine
from aerodb.audit.export import export
from aerodb.audit.findings import KEPT_MAX, SEEN, Contradiction, Finding, Tally
from aerodb.audit.note import sign_checkpoint
from aerodb.audit.store import How, Log, judge_export, judge_folder
from aerodb.protocol.marks import Gap, Mark, mark_of
from tests.unit.audit.forging import CONTRADICTED, LET_GO, STRANGER, Forged, Forgery, had_seen

NOTHING = mark_of(0, bytes(32))


@pytest.mark.parametrize("seen", CONTRADICTED, ids=lambda each: each.name)
def test_a_report_that_contradicts_the_log_is_named(honest: Forged, tmp_path: Path, seen: Forgery) -> None:
    """All is signed and replays, and the log is not what its own node had seen: told of folder and export alike."""
    log = honest.copy()
    seen.make(log)
    log.folder(tmp_path / "log")
    by_folder = judge_folder(tmp_path / "log", log.trust)
    assert (by_folder.meaning.whole, by_folder.whole, by_folder.extends) == (True, False, False)
    found, relation = by_folder.meaning.contradictions[0], by_folder.relations[0]  # Others saw what was changed for it.
    assert (found.first, found.last, found.kind) == (seen.sequence, seen.sequence, seen.state)
    assert relation.kind == seen.state
    assert (
        f"{found.node} had seen the log {found.seen}, by its own signed report in record {seen.sequence}"
        in relation.said
    )
    how = How(alone_records_max=0)
    assert judge_folder(tmp_path / "log", log.trust, how=how).relations == by_folder.relations
    with Log(tmp_path / "log", log.cluster.origin, log.log_key) as opened:
        assert judge_export(export(opened), log.trust).relations == by_folder.relations
        examined = examine(log.evidence(opened, log.records[seen.sequence].request), log.trust)
    longer = found.seen.size > seen.sequence  # A record's own proof tells no more.
    assert any("so it went back" in each for each in examined.sentences) == longer, examined.sentences
    assert any("only a whole log shows" in each for each in examined.sentences)


def test_one_record_more_than_there_were_is_too_many(honest: Forged) -> None:
    """A node may have seen as many records as came before the one that its report stands in, and no more."""
    root = bytes(range(32))
    for size, state in ((LET_GO, "holds"), (LET_GO + 1, "contradicts")):
        entry = honest.entries()[LET_GO]
        seen = {"n1": sign_checkpoint(honest.cluster.origin, size, root, honest.log_key)}
        (finding,) = seen_then(entry, seen, honest.cluster.log_key, Whole(99, lambda _: root, lambda _: ()))
        assert (finding.state, finding.part, finding.sequence) == (state, SEEN, LET_GO)


def test_a_checkpoint_that_the_log_never_signed_accuses_nobody(honest: Forged, tmp_path: Path) -> None:
    """A hostile node cannot make up another log: what its report holds is said to prove nothing, and nothing fails."""
    for text in ("nonsense", sign_checkpoint(honest.cluster.origin, 99, bytes(32), STRANGER)):
        log = honest.copy()
        had_seen(log, "n2", text)
        verdict = judge_folder(log.folder(tmp_path / str(len(text))), log.trust)
        assert (verdict.whole, verdict.relations) == (True, ())
        assert any(
            "n2 reports a checkpoint that the log's key did not sign" in each.why for each in verdict.meaning.noted
        )


NODES, MARKS = ("n1", "n2"), tuple(Mark(size, root) for size, root in ((4, "a"), (5, "a"), (5, "b"), (6, "a")))


def _found(node: str, seen: Mark, last: int) -> Contradiction:
    return Contradiction(node=node, seen=seen, kind="another", first=last, last=last)


def _given_up(node: str, seen: Mark, sequence: int) -> GivingUp:
    return GivingUp(sequence, node, Gap(seen=seen, restored=NOTHING))


def test_only_the_nodes_own_later_act_that_gave_up_no_less_explains_it() -> None:
    """Exhaustive: each node, log and place of a report against each node, log and place of an act."""
    for node, seen, last, other, gave, sequence in product(NODES, MARKS, (7, 8), NODES, MARKS, (7, 8, 9)):
        explained = not unexplained([_found(node, seen, last)], [_given_up(other, gave, sequence)])
        own_and_later = node == other and sequence >= last + 1
        assert explained == (own_and_later and (seen == gave or seen.size <= gave.size - 1))
    assert unexplained([_found("n1", MARKS[0], 7)], ())


@given(
    st.lists(st.tuples(st.sampled_from(NODES), st.integers(1, 3 * KEPT_MAX), st.sampled_from("ab"), st.integers(0, 9))),
    st.lists(st.tuples(st.sampled_from(NODES), st.integers(1, 3 * KEPT_MAX), st.sampled_from("ab"), st.integers(0, 9))),
)
def test_what_is_added_up_is_explained_only_where_each_is(
    reports: list[tuple[str, int, str, int]], acts: list[tuple[str, int, str, int]]
) -> None:
    """However many there are, in whatever order and parts they are added: none that stands alone is lost."""
    given_up = [_given_up(node, Mark(size, root), sequence) for node, size, root, sequence in acts]
    found = [_found(node, Mark(size, root), last) for node, size, root, last in reports]
    tallies = Tally(), Tally(), Tally()
    for at, each in enumerate(found):
        said = Finding(state="contradicts", part=SEEN, sequence=each.first, said="", contradiction=each)
        tallies[at % 2].add(said)
    for part in tallies[:2]:
        tallies[2].merge(part.sum())
    kept = tallies[2].sum().contradictions
    assert len(kept) <= KEPT_MAX + len(NODES)
    if any(unexplained([each], given_up) for each in found):
        assert unexplained(kept, given_up)
    assert bool(kept) == bool(found)


def test_more_than_can_be_kept_are_as_one_that_nothing_smaller_explains() -> None:
    """A log of many contradictions takes no more memory, and an act that explains all but one explains nothing."""
    tally = Tally()
    for size in range(1, 3 * KEPT_MAX):
        each = _found("n1", Mark(size, "a"), size)
        tally.add(Finding(state="contradicts", part=SEEN, sequence=size, said="", contradiction=each))
    kept = tally.sum().contradictions
    assert len(kept) == KEPT_MAX
    assert unexplained(kept, [_given_up("n1", Mark(3 * KEPT_MAX - 2, "a"), 999)])
    assert not unexplained(kept, [_given_up("n1", Mark(3 * KEPT_MAX - 1, "a"), 999)])
