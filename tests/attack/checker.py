"""Whether one round's history keeps every promise: decided from the history alone. Pure: no I/O, no clock.

- `lost`: what was acknowledged is on the last primary, unless a hand or a plan's own statement answers for it.
- `one writer`: a timeline and a term have one node; after a newer one has acknowledged, no older one does.
- `confirmed first`: every effect has its logged confirmation before it.
- `outcome`: an outcome is what happened, and there is one a request.
- `told`: `/primary` is 200 on no node that another has already replaced in acknowledging.
- `way out`: some requests led to an acknowledged write.
"""

from collections import Counter
from collections.abc import Callable, Iterator

import msgspec

from tests.attack import effects, outcomes
from tests.attack.exclusions import excuse, stated
from tests.attack.history import SLACK_SECONDS, Ack, Deed, Finding, History

SHOWN = 5
VAIN_SECONDS = 20.0
"""A node's own writer tries it again every few seconds, on a busy machine too."""


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What the checker found, and how many lost commits are excused by what."""

    findings: tuple[Finding, ...]
    excused: dict[str, int]


def _show(acks: list[Ack]) -> str:
    shown = "; ".join(
        f"row {ack.number} by {ack.node} on timeline {ack.timeline} at {ack.end:.3f}" for ack in acks[:SHOWN]
    )
    return f"{shown}{' ...' if len(acks) > SHOWN else ''}"


def lost(history: History) -> tuple[tuple[Finding, ...], dict[str, int]]:
    """Judge what was acknowledged against what the last primary holds."""
    if history.final.rows is None:
        return (), {}
    there = set(history.final.rows)
    missing = [ack for ack in history.acks if ack.number not in there]
    excuses = {ack.number: excuse(history, ack) or stated(history, ack) for ack in missing}
    bad = [ack for ack in missing if not excuses[ack.number]]
    excused = dict(Counter(text for text in excuses.values() if text))
    if not bad:
        return (), excused
    text = f"{len(bad)} of {len(history.acks)} acknowledged rows are not on {history.way.primary}: {_show(bad)}"
    return (Finding(property="lost", text=text),), excused


def one_writer(history: History) -> tuple[Finding, ...]:
    """Judge whether authority was one: by timeline, by term, and in the order of time."""
    acks = sorted((ack for ack in history.acks if not excuse(history, ack)), key=lambda ack: ack.begin)
    found = [*_timelines_shared(acks), *_terms_shared(history), *_out_of_order(acks)]
    return tuple(Finding(property="one writer", text=text) for text in found)


def _timelines_shared(acks: list[Ack]) -> list[str]:
    nodes: dict[int, dict[str, Ack]] = {}
    for ack in acks:
        nodes.setdefault(ack.timeline, {}).setdefault(ack.node, ack)
    return [
        f"timeline {timeline} was acknowledged on by {' and '.join(sorted(by))}: {_show(list(by.values()))}"
        for timeline, by in nodes.items()
        if len(by) > 1
    ]


def _terms_shared(history: History) -> list[str]:
    holders: dict[int, set[str]] = {}
    for rows in history.final.terms.values():
        for term, node in rows:
            holders.setdefault(term, set()).add(node)
    for seen in history.seen:
        holders.setdefault(seen.granted[0], set()).add(seen.granted[1])
    return [f"term {term} is held by {' and '.join(sorted(by))}" for term, by in holders.items() if len(by) > 1]


def _out_of_order(acks: list[Ack]) -> list[str]:
    """Return where a node acknowledged what was begun after another, on a later timeline, had acknowledged."""
    newest: Ack | None = None
    by_end = sorted(acks, key=lambda ack: ack.end)
    late: list[tuple[Ack, Ack]] = []
    reached = 0
    for ack in acks:
        while reached < len(by_end) and by_end[reached].end + SLACK_SECONDS < ack.begin:
            if newest is None or by_end[reached].timeline > newest.timeline:
                newest = by_end[reached]
            reached += 1
        if newest is not None and ack.timeline < newest.timeline and ack.node != newest.node:
            late.append((newest, ack))
    if not late:
        return []
    first, then = late[0]
    return [f"{len(late)} rows were acknowledged by an older primary after a newer one: {_show([first, then])}"]


def told(history: History) -> tuple[Finding, ...]:
    """Judge what balancers were told: a node that another has replaced says 200 no more."""
    acks = sorted((ack for ack in history.acks if not excuse(history, ack)), key=lambda ack: ack.end)
    wrong = []
    for each in history.told:
        if not each.primary or _something_frozen(history.deeds, each.node, each.end):
            continue
        before = [ack for ack in acks if ack.end + 2 * SLACK_SECONDS < each.begin]
        own = max(_timelines_of(history, acks, each.node, each.end), default=0)
        newer = next((ack for ack in before if ack.node != each.node and ack.timeline > own), None)
        if newer is not None and not _acknowledges_soon(acks, each.node, newer.timeline, each.end):
            wrong.append(f"{each.node} said 200 at {each.end:.3f}, after {_show([newer])}")
    wrong += _told_in_vain(history)
    if not wrong:
        return ()
    return (Finding(property="told", text=f"{len(wrong)} answers of /primary were wrong: {'; '.join(wrong[:3])}"),)


def _told_in_vain(history: History) -> Iterator[str]:
    """Yield where a node said 200 for long, and acknowledged nothing to the writer that tries it alone.

    What stood still or was locked meanwhile, anywhere, can look alive; and one disk can be full.
    """
    since: dict[str, float] = {}
    for each in sorted(history.told, key=lambda told: told.end):
        begin = since.get(each.node)
        acknowledged = begin is not None and any(
            ack.node == each.node and begin <= ack.end <= each.end for ack in history.acks
        )
        if not each.primary or acknowledged or _hindered(history, each.begin, each.end):
            since.pop(each.node, None)
            continue
        begin = since.setdefault(each.node, each.begin)
        if each.begin - begin > VAIN_SECONDS:
            since[each.node] = each.begin
            yield f"{each.node} said 200 from {begin:.3f} to {each.end:.3f} and acknowledged nothing"


def _hindered(history: History, begin: float, end: float) -> bool:
    """Tell whether something stood still, was full or was held by a hand at a time, or shortly before."""
    return any(
        deed.deed in {"frozen", "thawed", "full", "read-only", "free"} and begin - VAIN_SECONDS <= deed.at <= end
        for deed in history.deeds
    ) or any(hand.begin - SLACK_SECONDS <= end and begin <= hand.end + VAIN_SECONDS for hand in history.hands)


def _timelines_of(history: History, acks: list[Ack], node: str, until: float) -> Iterator[int]:
    """Yield the timelines on which a node has been a primary until then."""
    yield from (ack.timeline for ack in acks if ack.node == node and ack.begin <= until)
    for each in history.happened:
        if (each.node, each.kind) == (node, "timeline") and each.at <= until:
            yield int(each.detail)


def _acknowledges_soon(acks: list[Ack], node: str, above: int, since: float) -> bool:
    """Tell whether the node itself has become the newer primary: its first acknowledged row is still to come."""
    return any(ack.node == node and ack.timeline > above and ack.end >= since for ack in acks)


def _something_frozen(deeds: tuple[Deed, ...], node: str, at: float) -> bool:
    """Tell whether a process of a node, or one that talks to it, stood still then: it can look alive."""
    frozen: set[str] = set()
    for deed in sorted(deeds, key=lambda deed: deed.at):
        if deed.at > at + SLACK_SECONDS:
            break
        if deed.deed == "frozen":
            frozen.add(f"{deed.what} {deed.node}")
        elif deed.deed == "thawed":
            frozen.discard(f"{deed.what} {deed.node}")
    return any(each.endswith(f" {node}") for each in frozen)


def way_out(history: History) -> tuple[Finding, ...]:
    """Judge whether the round ended with a write that was acknowledged, by requests alone or a hand that was named."""
    if history.way.found:
        return ()
    text = f"no way out was found in {len(history.way.steps)} steps: {' | '.join(history.way.words)}"
    return (Finding(property="way out", text=text),)


PROPERTIES: tuple[Callable[[History], tuple[Finding, ...]], ...] = (
    one_writer,
    effects.confirmed_first,
    outcomes.one_outcome,
    outcomes.outcome_is_effect,
    told,
    way_out,
)


def check(history: History) -> Checked:
    """Judge one round."""
    missing, excused = lost(history)
    return Checked(findings=(*missing, *(each for judged in PROPERTIES for each in judged(history))), excused=excused)
