"""The result of a verification, for people and as a document: of a log's folder, an export or an evidence file.

It tells three things apart. Intact: complete and in order, as the log's key signed. Authentic: signed by people and
nodes that were enrolled. Replayed: each plan is what the rules make of its snapshot. It also says what was not checked,
and why. Nothing is verified here. Pure: no I/O, no clock.
"""

from collections.abc import Iterator

from aerodb.audit.against import Relation
from aerodb.audit.clocks import Jumps, jump_text
from aerodb.audit.cosignature import Cosigned
from aerodb.audit.evidence import Examined
from aerodb.audit.findings import COUNTED, KEPT_MAX, PLAN, SEEN, Meaning, Unchecked
from aerodb.audit.verdict import LogVerdict
from aerodb.protocol.calendar import time_of
from aerodb.views.render import Line, shown

INDENT = 13


def verdict_lines(verdict: LogVerdict, silent: tuple[str, ...] = ()) -> Iterator[Line]:
    """Yield the result for a whole log; `silent` are nodes that did not answer what they have seen of it."""
    size, meaning = verdict.verified.size, verdict.meaning
    for relation in verdict.relations:
        if relation.kind != "extends":
            word = {"behind": "BEHIND", "another": "ANOTHER LOG"}[relation.kind]
            yield Line("bad", shown(f"{word}: {relation.said}."))
    if verdict.whole or not meaning.whole:
        yield _headline(size, meaning)
    else:
        yield Line("plain", f"In itself it holds: {counted(size, 'records')}, intact, authentic and replayed.")
    yield _row("intact", f"{counted(size, 'records')}, whole and in order, as the log's key signed")
    yield from meaning_lines(meaning)
    yield from clock_lines(verdict.jumps)
    for relation in verdict.relations:
        if relation.kind == "extends":
            yield _row("against", relation.said)
        if relation.cosigned is not None:
            yield from _cosigned_lines(relation.cosigned)
    if silent:
        yield _row("unknown", f"what {', '.join(silent)} has seen of it: no report that says so is shown", "warn")
    with_what = f"{verdict.processes} processes, one for each core" if verdict.processes > 1 else "one process"
    yield Line("dim", f"  judged by {with_what}; the checkpoint:")
    for line in verdict.verified.checkpoint_text.splitlines():
        yield Line("dim", shown(f"  {line}"))


def _cosigned_lines(found: Cosigned) -> Iterator[Line]:
    """Yield the log witnesses that cosigned what was seen earlier: it extends all that they saw before."""
    for each in found.by:
        yield _row(
            "cosigned", f"its {counted(found.size, 'records')}, by {each.name}, {time_of(each.seconds)} by its clock"
        )
    if not found.by:
        yield _row("cosigned", "by nobody who is known here: that log is the word of whoever gave it", "dim")
    if found.others:
        yield _row("cosigned", f"and {counted(found.others, 'signatures')} by keys that are not known here", "dim")


def evidence_lines(examined: Examined) -> Iterator[Line]:
    """Yield what evidence proves, all checks that could be made having held."""
    if examined.meaning.whole:
        yield Line("good", "VERIFIED: every part of the evidence holds.")
    else:
        yield Line("warn", "VERIFIED IN PART: nothing is wrong; what could not be checked is named below.")
    for sentence in examined.sentences:
        yield Line("plain", shown(f"  {sentence}"))
    yield from meaning_lines(examined.meaning)


def _headline(size: int, meaning: Meaning) -> Line:
    if meaning.whole:
        return Line("good", f"VERIFIED: {counted(size, 'records')}, intact, authentic and replayed.")
    of_what = f"{counted(size, 'records')}, intact"
    if meaning.failed:
        words = [word for word, held in (("AUTHENTIC", meaning.authentic), ("REPLAYED", meaning.replayed)) if not held]
        failures = counted(sum(meaning.failed.values()), "checks")
        return Line("bad", f"NOT {' AND NOT '.join(words)}: {of_what}; {failures} failed.")
    records = counted(sum(gap.records for gap in meaning.unchecked), "checks")
    return Line("warn", f"VERIFIED IN PART: {of_what}; {records} could not be made.")


def meaning_lines(meaning: Meaning) -> Iterator[Line]:
    """Yield the result for the records' meaning: what holds, what fails, what was not checked, and why."""
    unsigned = (PLAN, SEEN)
    held = {name: meaning.held[part] for part, name in COUNTED.items() if part in meaning.held and part not in unsigned}
    signed = ", ".join(counted(count, name) for name, count in held.items()) or "nothing"
    yield _row("authentic", f"{signed}: signed by keys that were enrolled then")
    plans = counted(meaning.held.get(PLAN, 0), COUNTED[PLAN])
    yield _row("replayed", f"{plans}: computed again from the snapshots by the rules that made them, byte for byte")
    if SEEN in meaning.held:
        seen = counted(meaning.held[SEEN], COUNTED[SEEN])
        yield _row("seen", f"{seen}: what nodes had seen of the log by then, each a beginning of this one")
    for told in meaning.told:
        yield _row("restored", f"record {told.sequence}: {told.why}", "warn")
    for fault in meaning.faults:
        yield _row("FAILED", f"record {fault.sequence}, {fault.part}: {fault.why}", "bad")
    if sum(meaning.failed.values()) > len(meaning.faults):
        yield _row("FAILED", f"and more; the first {KEPT_MAX} are shown", "bad")
    for gap in meaning.unchecked:
        yield _row("not checked", _gap(gap), "warn")
    for gap in meaning.noted:
        yield _row("unproven", _gap(gap), "dim")


def clock_lines(jumps: Jumps) -> Iterator[Line]:
    """Yield where the clock went back. It proves nothing either way, because the order is the log's own."""
    for each in jumps.kept:
        yield _row("clock", f"record {each.sequence} is of {each.at}; {jump_text(each.before)}", "warn")
    if jumps.count > len(jumps.kept):
        yield _row(
            "clock", f"and more: it went back {jumps.count} times; the first {len(jumps.kept)} are shown", "warn"
        )
    if jumps.count:
        yield _row("", "the order is the log's own, and nothing that is verified rests on a time", "dim")


def _gap(gap: Unchecked) -> str:
    return f"{counted(gap.records, 'records')}, the first is {gap.first}: {gap.why}"


def _row(head: str, text: str, style: str = "plain") -> Line:
    return Line(style, shown(f"  {head:<{INDENT}}{text}"))


def counted(count: int, plural: str) -> str:
    """Return a count with its noun."""
    return f"{count} {plural.removesuffix('s') if count == 1 else plural}"


def verdict_document(verdict: LogVerdict, silent: tuple[str, ...] = ()) -> dict[str, object]:
    """Return the result for a whole log, as a document; `silent` is as in `verdict_lines`."""
    return {
        "against": [_relation_document(relation) for relation in verdict.relations],
        "checkpoint": verdict.verified.checkpoint_text,
        "clock_went_back": {
            "count": verdict.jumps.count,
            "first": [{"at": each.at, "before": each.before, "record": each.sequence} for each in verdict.jumps.kept],
        },
        "intact": True,
        "silent": list(silent),
        "size": verdict.verified.size,
        **meaning_document(verdict.meaning),
    }


def _relation_document(relation: Relation) -> dict[str, object]:
    found = relation.cosigned
    by = [{"at": time_of(each.seconds), "name": each.name} for each in found.by] if found else []
    size = found.size if found else None
    return {"cosigned": by, "kind": relation.kind, "said": relation.said, "seen": size}


def meaning_document(meaning: Meaning) -> dict[str, object]:
    """Return the result for the records' meaning, as a part of a document."""
    return {
        "authentic": meaning.authentic,
        "failed": [{"part": each.part, "record": each.sequence, "why": each.why} for each in meaning.faults],
        "failures": sum(meaning.failed.values()),
        "held": {COUNTED[part]: count for part, count in meaning.held.items()},
        "replayed": meaning.replayed,
        "restored": [{"record": each.sequence, "said": each.why} for each in meaning.told],
        "unchecked": [_gap_document(gap) for gap in meaning.unchecked],
        "unproven": [_gap_document(gap) for gap in meaning.noted],
    }


def _gap_document(gap: Unchecked) -> dict[str, object]:
    return {"first": gap.first, "part": gap.part, "records": gap.records, "why": gap.why}
