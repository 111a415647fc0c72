"""The last of a plan before a name is typed: what weighs, what follows, the words; with the prompt it fits a screen.

- It is a summary. The plan stands whole above it, and where something is left out here for want of room, that is said.
- What weighs most is left out last; the words, what follows and the prompt never are.

Pure: no I/O, no clock.
"""

from typing import NamedTuple

from aerodb.protocol.ahead import AFTER, read_earlier
from aerodb.protocol.plan import Plan, plan_digest
from aerodb.protocol.words import words_of
from aerodb.views.outage import Weight
from aerodb.views.render import (
    ALL_ASKED,
    LABEL_COLUMNS,
    WIDTH_COLUMNS,
    Line,
    fact_lines,
    headline_lines,
    shown,
    wrapped,
)
from aerodb.views.requests import CONFIRMING
from aerodb.views.sheet import sheet

ROWS_MAX = 24
HEAVIEST = ("bad", "warn", "good")
NEXT = "THEN, WITHOUT ANOTHER QUESTION"
CUT = "..."
LEFT_OUT = f"  What has no room here stands above, in the plan; {ALL_ASKED} shows it again."


class SignedNext(NamedTuple):
    """The signed plan that runs right after this one, and its exact text."""

    plan: Plan
    text: str


def prompt_of(plan: Plan) -> str:
    """Return what asks for the node's name."""
    return f"{CONFIRMING} ({plan.request.target}): "


def brief_lines(
    plan: Plan, text: str, following: SignedNext | None = None, *, mine: bool = True, rows_max: int = ROWS_MAX
) -> list[Line]:
    """Return what is shown right before the prompt: with that, and with the name typed, at most `rows_max` rows.

    `text` is the plan's exact text. `mine` is false for who signs second.
    """
    head = [Line("heading", row) for row in wrapped(shown(plan.title), 2)]
    last = [*_turn(plan, following), *_field("words", words_of(plan_digest(text))), *_ways_out(plan, mine=mine)]
    node = plan.request.target
    asked = -(-(len(prompt_of(plan)) + len(node) + 1) // WIDTH_COLUMNS)
    room = rows_max - len(head) - len(last) - asked
    weights = sheet(plan, plan_digest(text)).weights
    if sum(len(headline_lines(each)) + len(fact_lines(each)) for each in weights) > room:
        return [*head, *_weights(weights, room - 1), Line("dim", LEFT_OUT), *last]
    return [*head, *_weights(weights, room), *last]


def _turn(plan: Plan, following: SignedNext | None) -> list[Line]:
    """Return what comes before or after this one in a sequence."""
    lines = []
    if AFTER in plan.request.arguments:
        earlier = read_earlier(plan.request.arguments[AFTER])
        said = f"Held by {plan.request.target}; it runs right after {earlier.words} is executed, or never."
        lines += [Line("warn", row) for row in wrapped(shown(said), 2)]
    if following is None:
        return lines
    asked = following.plan.request
    said = f"{following.plan.title}: {asked.action} {asked.target}, request {asked.id}, signed already"
    return [
        *lines,
        Line("heading", NEXT),
        *(Line("warn", row) for row in wrapped(shown(said), 2)),
        *_field("its words", words_of(plan_digest(following.text))),
    ]


def _field(name: str, value: str) -> list[Line]:
    return [Line("plain", row) for row in wrapped(value, 16, f"  {name:<14}")]


def _ways_out(plan: Plan, *, mine: bool) -> list[Line]:
    said = "Anything else declines it for good, which is recorded; Ctrl-C leaves it waiting."
    if not mine:
        said = f"You sign second, after {plan.request.operator}. Anything else signs nothing."
    return [Line("dim", row) for row in ([shown(said)] if len(said) <= WIDTH_COLUMNS else wrapped(shown(said), 2))]


def _weights(weights: tuple[Weight, ...], room: int) -> list[Line]:
    """Return what weighs in at most `room` rows: a row of each first, then more of the heaviest."""
    whole = [headline_lines(each) for each in weights]
    facts = [fact_lines(each) for each in weights]
    order = sorted(range(len(weights)), key=lambda at: HEAVIEST.index(weights[at].style))
    given = [min(len(each), 2) for each in whole]
    for at in order:
        given[at] += min(len(whole[at]) - given[at], max(room - sum(given), 0))
    kept = [_cut(rows, count) for rows, count in zip(whole, given, strict=True)]
    spare = room - sum(given)
    for at in order:
        if given[at] == len(whole[at]) and len(facts[at]) <= spare:
            kept[at], spare = [*kept[at], *facts[at]], spare - len(facts[at])
    return [line for rows in kept for line in rows]


def _cut(rows: list[Line], count: int) -> list[Line]:
    if count >= len(rows):
        return rows
    return [*rows[: count - 1], Line(rows[0].style, f"{' ' * LABEL_COLUMNS}{CUT}")]
