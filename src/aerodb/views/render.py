"""A plan for people: plain lines, each with the name of a style, so that any interface can show them.

By weight: the answer, and why not; the outage, what could be lost, what cannot be undone; what will happen; the
invariants that hold, folded. Control and bidirectional characters are escaped. Pure: no I/O, no clock.
"""

import unicodedata
from typing import NamedTuple

from aerodb.protocol.plan import Outcome, Plan, plan_digest
from aerodb.views.outage import Weight
from aerodb.views.proofs import short
from aerodb.views.sheet import TO_KNOW, Sheet, ShownVerdict, sheet

WIDTH_COLUMNS = 80


class Line(NamedTuple):
    """One line of text and its style: heading, plain, good, bad, warn, dim."""

    style: str
    text: str


def shown(text: str) -> str:
    """Return `text` with control, format and bidirectional characters escaped (Unicode categories C*, separators)."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        f"\\u{ord(char):04x}" if unicodedata.category(char)[0] == "C" or char in "\u2028\u2029" else char
        for char in text
    )


def wrapped(text: str, indent: int, first: str = "") -> list[str]:
    """Return `text` broken at spaces into lines of at most WIDTH_COLUMNS, indented; `first` leads the first line."""
    lines, current = [], first.rjust(indent) if first else " " * indent
    for word in text.split(" "):
        if len(current) + len(word) + 1 > WIDTH_COLUMNS and current.strip() not in {"", first.strip()}:
            lines.append(current)
            current = " " * indent
        current += word if current.endswith(" ") or not current else f" {word}"
    return [*lines, current]


MARKS = {"good": "\N{BLACK CIRCLE}", "warn": "\N{BLACK UP-POINTING TRIANGLE}", "bad": "\N{BLACK SQUARE}"}
"""The mark of each style; the word always stands beside it."""
FORESEEN_MARK = "\N{WHITE DIAMOND}"
LABEL_COLUMNS, FIELD_COLUMNS = 20, 16
BY_OPTION = "--full shows each, and every field of the plan"
BY_KEY = "type ? to see each, and every field of the plan"
"""How what is folded is seen: by an option, or where the terminal asks."""
ALL_ASKED = "?"
"""What is typed, where a plan is to be confirmed, to see all of it first."""


def _listed(title: str, style: str, sentences: tuple[str, ...]) -> list[Line]:
    if not sentences:
        return []
    lines = [Line("heading", title)]
    for sentence in sentences:
        lines += [Line(style, line) for line in wrapped(shown(sentence), 4, "  - ")]
    return lines


def headline_lines(weight: Weight) -> list[Line]:
    """Return what weighs of one of the heavy parts, in its colour: its mark and label first."""
    label = f"{MARKS[weight.style]} {weight.label}".ljust(LABEL_COLUMNS)
    lines = []
    for at, said in enumerate(weight.headlines):
        first = label if at == 0 else " " * LABEL_COLUMNS
        lines += [Line(weight.style, line) for line in wrapped(shown(said), LABEL_COLUMNS, first)]
    return lines


def fact_lines(weight: Weight) -> list[Line]:
    """Return the facts of one of the heavy parts, as they stand beneath its headlines."""
    return [Line("plain", line) for fact in weight.facts for line in wrapped(shown(fact), 4, "  - ")]


def _weight_lines(weight: Weight) -> list[Line]:
    """Return one of the heavy parts."""
    return [*headline_lines(weight), *fact_lines(weight)]


def _failing_lines(each: ShownVerdict) -> list[Line]:
    """Return a verdict that its invariant does not hold: the rule, the evidence, what would have to be different."""
    parts = {"the rule": each.rule, "evidence": each.evidence, "different": each.different}
    lines = [Line(each.style, f"{MARKS[each.style]} {each.mark:<9}{shown(each.invariant)}")]
    for name, text in parts.items():
        if text:
            lines += [Line("plain", line) for line in wrapped(shown(text), 13, f"  {name:<10} ")]
    return lines


def _held_lines(held: tuple[ShownVerdict, ...]) -> list[Line]:
    """Return one or more lines for each invariant that holds: its mark, its identifier and the evidence."""
    lines = []
    for each in held:
        head = f"  {each.mark:<9}{shown(each.invariant):<22}"
        lines += [Line(each.style, line) for line in wrapped(shown(each.evidence), len(head), head)]
    return lines


def _field(name: str, value: str, style: str = "dim") -> list[Line]:
    head = f"  {shown(name):<{FIELD_COLUMNS - 2}}"
    return [Line(style, line) for line in wrapped(shown(value), max(FIELD_COLUMNS, len(head)), head)]


def plan_lines(plan: Plan, plan_text: str, *, full: bool = False, unfold: str = BY_OPTION) -> list[Line]:
    """Return a plan for people; `plan_text` is its exact text, whose digest and digest words are shown.

    `full` are all its fields, and each invariant with its evidence, also where it holds; else `unfold` says how to see
    these.
    """
    return sheet_lines(sheet(plan, plan_digest(plan_text)), "" if full else unfold)


def redacted_plan_lines(plan: Plan, digest: str, *, full: bool = False, unfold: str = BY_OPTION) -> list[Line]:
    """Return a plan for a role that may not see its exact text, whose digest is `digest`; the first line says so."""
    return sheet_lines(sheet(plan, digest, redacted=True), "" if full else unfold)


def by_command(request: str) -> str:
    """Return by which command a recorded plan is seen whole."""
    return f"aerodb show {request} --full"


def sheet_lines(made: Sheet, unfold: str) -> list[Line]:
    """Return a plan's document as lines, by weight; without `unfold`, nothing is folded."""
    weights = [line for weight in made.weights for line in _weight_lines(weight)]
    failing = [line for each in made.failing for line in _failing_lines(each)]
    parted = [*failing, Line("plain", "")] if failing else []
    return [
        Line("heading", f"{shown(made.title)}   (cluster {shown(made.cluster)})"),
        *(Line(made.style, line) for line in wrapped(made.answer, 2, f"{MARKS[made.style]} ")),
        *(Line("warn", line) for said in made.before for line in wrapped(said, 2)),
        Line("plain", ""),
        *parted,
        *([Line("heading", made.weights_title)] if made.weights_title else ()),
        *weights,
        Line("plain", ""),
        *_listed(made.effects_title, "plain", made.effects),
        *_listed(TO_KNOW, "warn", made.to_know),
        *_foreseen(made),
        *_held(made, unfold),
        *_field("reason", made.reason),
        *_field("operator", made.operator),
        *_field("request", made.request),
        *(() if unfold else _whole(made)),
        *_field("plan", short(made.digest) if unfold else made.digest),
        *_field("words", made.words, "plain"),
    ]


def _foreseen(made: Sheet) -> list[Line]:
    """Return what is foreseen: counted, and each with what it will rest on."""
    if not made.foreseen:
        return []
    lines = [Line("plain", f"{FORESEEN_MARK} {made.foreseen_said}:")]
    for each in made.foreseen:
        head = f"  {shown(each.invariant):<20}"
        lines += [Line("plain", line) for line in wrapped(shown(each.evidence), len(head), head)]
    return lines


def _held(made: Sheet, unfold: str) -> list[Line]:
    """Return the invariants that hold, as one line that says how to see them, or each with its evidence."""
    style, mark = ("good", f"{MARKS['good']} ") if made.held else ("plain", "")
    if unfold:
        return [Line(style, f"{mark}{made.held_said}: {unfold}"), Line("plain", "")]
    if not made.held:
        return []
    return [Line("heading", made.held_said.upper()), *_held_lines(made.held), Line("plain", "")]


def _whole(made: Sheet) -> list[Line]:
    """Return the rest of a plan: its commit point, how it can fail, and its fields."""
    return [
        *_field("commit point", made.commit_point),
        *(line for each in made.fields for line in _field(each.name, each.value)),
        *(line for each in made.failures for line in _field("can fail", each)),
    ]


def outcome_lines(outcome: Outcome) -> list[Line]:
    """Return an outcome for people."""
    style = {"executed": "good", "not executed": "bad", "unknown": "bad"}[outcome.result]
    found = " (established afterwards)" if outcome.established else ""
    lines = [Line(style, f"{outcome.result.upper()}{found} on {outcome.node}, as signed by its agent")]
    for sentence in (*outcome.evidence, *([outcome.message] if outcome.message else [])):
        lines += [Line("plain", line) for line in wrapped(shown(sentence), 4, "  - ")]
    if outcome.code:
        lines.append(Line("bad", f"  {outcome.code}"))
    if outcome.invariants:
        lines.append(Line("bad", f"  violated: {', '.join(outcome.invariants)}"))
    if outcome.result == "unknown":
        lines.append(
            Line("warn", f"  Nothing is tried again. Ask when you are ready: aerodb outcome {outcome.request}")
        )
    return lines


def unsigned_outcome_lines(result: str, code: str, message: str) -> list[Line]:
    """Return an outcome for people that only the control plane states, without an agent's signature."""
    style = "warn" if result == "unknown" else "bad"
    head = Line(style, f"{result.upper()}, as the control plane says; no agent signed it")
    return [head, Line("plain", shown(f"  {code}: {message}" if code else f"  {message}"))]


def as_text(lines: list[Line]) -> str:
    """Return lines without their styles."""
    return "\n".join(line.text for line in lines) + "\n"
