"""A plan for people: plain lines, each with the name of a style, so that any interface can show them.

In this order: what will happen to which node, what cannot be undone, what could be lost, and which invariants are
relied on. Control and bidirectional characters are escaped. Pure: no I/O, no clock.
"""

import unicodedata
from typing import NamedTuple

from aerodb.past.speaking import named
from aerodb.protocol.plan import Outcome, Plan, Result, Verdict, plan_digest
from aerodb.protocol.words import words_of
from aerodb.rules.explain import LOOK_ID
from aerodb.rules.invariants import RULES, name_of

WIDTH_COLUMNS = 100
EFFECTS, IRREVERSIBLE = "WHAT WILL HAPPEN", "WHAT CANNOT BE UNDONE"


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
        current += word if current.endswith(" ") else f" {word}"
    return [*lines, current]


def _section(title: str, style: str, sentences: tuple[str, ...]) -> list[Line]:
    if not sentences:
        return []
    lines = [Line("heading", title)]
    for sentence in sentences:
        lines += [Line(style, line) for line in wrapped(shown(sentence), 4, "  - ")]
    return lines


MARKS = {Result.HOLDS: ("good", "holds"), Result.VIOLATED: ("bad", "VIOLATED"), Result.UNKNOWN: ("bad", "UNKNOWN")}


def verdict_lines(verdicts: tuple[Verdict, ...]) -> list[Line]:
    """Return one or more lines for each verdict: its mark, the invariant's id and the evidence."""
    lines = []
    for verdict in verdicts:
        style, mark = MARKS[verdict.result]
        head = f"  {mark:<9}{verdict.invariant:<22}"
        lines += [Line(style, line) for line in wrapped(shown(verdict.evidence), len(head), head)]
    return lines


def _of_writes(plan: Plan) -> tuple[str, ...]:
    """Return the notes, the first of every plan, that say whether commits can be acknowledged."""
    return tuple(each for each in plan.notes if each.startswith("Writes "))


def plan_lines(plan: Plan, plan_text: str) -> list[Line]:
    """Return a plan for people; `plan_text` is its exact text, whose digest and digest words are shown."""
    return _plan_lines(plan, plan_digest(plan_text))


def redacted_plan_lines(plan: Plan, digest: str) -> list[Line]:
    """Return a plan for a role that may not see its exact text, whose digest is `digest`; the first line says so."""
    said = "REDACTED for your role. This is not the plan's own text; its digest is of that text, whole."
    return [Line("warn", said), *_plan_lines(plan, digest)]


def _by_earlier_rules(plan: Plan) -> list[Line]:
    """Say so if a plan was made by other rules than this build's own, as happens during an upgrade."""
    if plan.rules == RULES:
        return []
    said = f"By {named((plan.rules,))}: the newest rules that every node, and who asked, spoke. Here they are {RULES}."
    return [Line("warn", line) for line in wrapped(said, 2)]


def _plan_lines(plan: Plan, digest: str) -> list[Line]:
    request = plan.request
    failing = [verdict for verdict in plan.verdicts if verdict.result is not Result.HOLDS]
    answer = (
        Line("good", f"ACCEPTABLE: all {len(plan.verdicts)} invariants hold. Nothing has been executed.")
        if plan.accepted
        else Line("bad", f"REJECTED: {', '.join(name_of(each.invariant) for each in failing)}. Nothing was executed.")
    )
    loss_style = "good" if plan.loss.claim == "none" else "bad"
    return [
        Line("heading", f"{shown(plan.title)}   (cluster {shown(plan.cluster_name)})"),
        answer,
        *_by_earlier_rules(plan),
        Line("plain", ""),
        *_section(EFFECTS if plan.accepted else "WHAT WAS ASKED FOR", "plain", plan.effects),
        *_section(IRREVERSIBLE, "warn", plan.irreversible),
        *_section("WHAT COULD BE LOST", loss_style, (plan.loss.statement, *plan.loss.arithmetic)),
        *_section("WRITES", "plain", _of_writes(plan)),
        *_section("TO KNOW", "warn", tuple(each for each in plan.notes if each not in _of_writes(plan))),
        Line("heading", "INVARIANTS RELIED ON" if plan.accepted else "INVARIANTS"),
        *verdict_lines((*failing, *(each for each in plan.verdicts if each.result is Result.HOLDS))),
        Line("plain", ""),
        *(Line("dim", line) for line in wrapped(plan.commit_point, 16, "  commit point  ")),
        *(Line("dim", line) for line in wrapped(shown(request.reason), 16, "  reason        ")),
        Line("dim", f"  operator      {shown(request.operator)}"),
        Line("dim", f"  request       {'none: this is a look' if request.id == LOOK_ID else request.id}"),
        Line("dim", f"  plan          {digest}"),
        Line("plain", f"  words         {words_of(digest)}"),
        Line("dim", f"  snapshot      {plan.snapshot}"),
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
