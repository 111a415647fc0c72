"""What stands between watching a cluster and taking charge of it, as lines. Pure: no I/O, no clock."""

from collections.abc import Mapping

from aerodb.protocol.plan import Result
from aerodb.rules.readiness import Readiness, stands_between
from aerodb.views.render import MARKS, Line, wrapped

STYLES = {Result.HOLDS: "good", Result.VIOLATED: "bad", Result.UNKNOWN: "warn"}
NOT_YET = "Charge cannot be taken with this version of AeroDB: it only watches a cluster that others made."
EVERYWHERE = "Every node that is seen"


def readiness_lines(found: Mapping[str, tuple[Readiness, ...]]) -> list[Line]:
    """Return what is said of each node: what stands in between first, what is unknown, and what holds in one line.

    What is equal on all of which anything is seen is said once.
    """
    count = stands_between(found)
    head = "Nothing that is judged stands in between." if not count else f"Stands between watching and charge: {count}"
    lines = [Line("heading", head), *(Line("plain", row) for row in wrapped(NOT_YET, 0))]
    first, *others = [every for every in found.values() if len(every) > 1] or [()]
    equal = tuple(each for each in first if others and all(each in every for every in others))
    apart = {name: tuple(each for each in every if each not in equal) for name, every in found.items()}
    for name, every in {**apart, **({EVERYWHERE: equal} if equal else {})}.items():
        lines += [Line("plain", ""), Line("heading", name), *_of(every)]
    return lines


def _of(every: tuple[Readiness, ...]) -> list[Line]:
    lines = list[Line]()
    for result in (Result.VIOLATED, Result.UNKNOWN):
        for each in every:
            if each.result is result:
                lines += _told(each)
    holds = [each.subject for each in every if each.result is Result.HOLDS]
    if holds:
        said = wrapped(f"hold: {', '.join(dict.fromkeys(holds))}", 2, f"{MARKS['good']} ")
        lines += [Line("good", row) for row in said]
    return lines


def _told(each: Readiness) -> list[Line]:
    style = STYLES[each.result]
    said = f"{each.subject}: {'unknown: ' if each.result is Result.UNKNOWN else ''}{each.said}"
    first = wrapped(said, 2, f"{MARKS[style]} ")
    return [Line(style, row) for row in first] + [Line("plain", row) for row in wrapped(f"To do: {each.do}", 6)]
