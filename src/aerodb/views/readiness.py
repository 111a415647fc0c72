"""What stands between watching a cluster and taking charge of it, as lines. Pure: no I/O, no clock."""

from collections.abc import Mapping

from aerodb.protocol.plan import Result
from aerodb.rules.readiness import Readiness, stands_between
from aerodb.views.render import Line, wrapped

STYLES = {Result.HOLDS: "good", Result.VIOLATED: "bad", Result.UNKNOWN: "warn"}
WORDS = {Result.HOLDS: "holds", Result.VIOLATED: "stands in between", Result.UNKNOWN: "unknown"}
NOT_YET = "Charge cannot be taken with this version of AeroDB: it only watches a cluster that others made."


def readiness_lines(found: Mapping[str, tuple[Readiness, ...]]) -> list[Line]:
    """Return what is said of each node: what stands in between first, what is unknown, and what holds in one line."""
    count = stands_between(found)
    head = "Nothing that is judged stands in between." if not count else f"Between watching and charge: {count}"
    lines = [Line("heading", head), Line("plain", NOT_YET)]
    for name, every in found.items():
        lines += [Line("plain", ""), Line("heading", name)]
        for result in (Result.VIOLATED, Result.UNKNOWN):
            for each in every:
                if each.result is result:
                    lines += _told(each)
        holds = [each.subject for each in every if each.result is Result.HOLDS]
        if holds:
            said = wrapped(f"{WORDS[Result.HOLDS]}: {', '.join(dict.fromkeys(holds))}", 4)
            lines += [Line(STYLES[Result.HOLDS], row) for row in said]
    return lines


def _told(each: Readiness) -> list[Line]:
    first = wrapped(f"{each.subject}: {WORDS[each.result]}: {each.said}", 4)
    return [Line(STYLES[each.result], row) for row in first] + [Line("plain", row) for row in wrapped(each.do, 6)]
