"""A status for people: the cells of the table of nodes, and the sentences that do not fit into a table.

Pure: no I/O, no clock.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from aerodb.audit.comparison import comparison_sentences
from aerodb.past.speaking import named
from aerodb.protocol.api import Status
from aerodb.protocol.chain import Chain
from aerodb.protocol.facts import Facts, Instance, State
from aerodb.protocol.writes import Writes
from aerodb.rules.watching import role_of, sees_upstream, watched_of
from aerodb.views.across import across_remarks
from aerodb.views.certificates import certificate_sentences
from aerodb.views.observed import Observed, Remark, lags, sync_state
from aerodb.views.unusual import UNKNOWN_SINCE, Unusual, node_remarks, silent_since, stream_remarks
from aerodb.views.versions import chain_remarks
from aerodb.views.watching import watched_remarks

UNKNOWN: Remark = ("warn", "unknown")

WRITES_STYLES = {"yes": "good", "no": "bad", "unknown": "warn"}
"""The style of each answer to whether commits can be acknowledged."""


DEVIATING = frozenset({"bad", "warn"})
"""The styles of a remark that is a deviation; what has another is only to be known."""


class Deviations(NamedTuple):
    """What deviates, under a heading that counts it, and what is only to be known after that.

    Causes stand first; what follows from one stands right beneath it, and names it in `follows`.
    """

    heading: str
    deviating: tuple[Unusual, ...]
    others: tuple[Unusual, ...]


def deviations(found: Writes, remarks: Sequence[Unusual]) -> Deviations:
    """Part remarks into what deviates and what does not.

    That there is none is said only where writes are acknowledged: else there is something, whatever it is.
    """
    deviating = _by_cause([each for each in remarks if each.style in DEVIATING])
    causes = sum(not each.follows for each in deviating)
    none = "none seen." if found.acknowledged == "yes" else "none seen that says why."
    heading = f"Deviations: {causes or none}{', and what follows' if causes < len(deviating) else ''}"
    return Deviations(heading, deviating, tuple(each for each in remarks if each.style not in DEVIATING))


def _by_cause(found: list[Unusual]) -> tuple[Unusual, ...]:
    """Return deviations with each that follows from another right after it; one whose cause is not here has none."""
    last = {each.node: at for at, each in enumerate(found) if each.node and not each.follows}
    arranged = list[Unusual]()
    for at, each in enumerate(found):
        if each.follows in last:
            continue
        arranged.append(each._replace(follows=""))
        arranged += [other for other in found if other.follows and last.get(other.follows) == at]
    return tuple(arranged)


def about(name: str, remarks: Sequence[Unusual]) -> list[Unusual]:
    """Return the remarks that name a node."""
    named = re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])")
    return [each for each in remarks if named.search(each.text)]


def whole_text(each: Unusual) -> str:
    """Return a deviation with since when it is so, for where the two stand in one line."""
    return f"{each.text.rstrip('.')}; {each.since}" if each.since else each.text


def writes_style(found: Writes) -> str:
    """Return the style of the answer to whether commits can be acknowledged."""
    return WRITES_STYLES[found.acknowledged]


class Aspect(NamedTuple):
    """Something that all nodes with PostgreSQL have, and in which they are mostly equal: its name, and each one's."""

    name: str
    by_node: dict[str, Remark]

    @property
    def equal(self) -> str:
        """Return what it is on all of them; empty where they differ, or where it is not known of each."""
        found = set(self.by_node.values())
        ((_, text),) = found if len(found) == 1 else {UNKNOWN}
        return "" if text == UNKNOWN[1] else text


def aspects(observed: Observed) -> tuple[Aspect, ...]:
    """Return the state of PostgreSQL, the term and the timeline of each node that has one and reports."""
    there = {name: facts.instance for name, facts in observed.facts.items() if facts.instance is not None}
    places = {name: where(instance) for name, instance in there.items()}
    watched = all(watched_of(observed.facts[name]) is not None for name in there)
    return (
        Aspect("STATE", {name: state_of(instance) for name, instance in there.items()}),
        *(() if watched else (Aspect("TERM", {name: each.term for name, each in places.items()}),)),
        Aspect("TIMELINE", {name: each.timeline for name, each in places.items()}),
    )


def state_of(instance: Instance) -> Remark:
    """Return the state of a node's PostgreSQL: anything but running is bad."""
    return ("good" if instance.state is State.RUNNING else "bad"), str(instance.state)


def equal_sentence(observed: Observed) -> str:
    """Say in what all nodes with PostgreSQL that report are equal; empty where that is nothing, or there is but one."""
    found = [(each.name.lower(), each.equal) for each in aspects(observed) if each.equal]
    count = sum(facts.instance is not None for facts in observed.facts.values())
    if count <= 1 or not found:
        return ""
    said = ", ".join(text if name == "state" else f"{name} {text}" for name, text in found)
    return f"Equal on all {count} that report: {said}."


class Where(NamedTuple):
    """Where a node's WAL ends: the term, the timeline, the WAL position."""

    term: Remark
    timeline: Remark
    lsn: Remark


class Stream(NamedTuple):
    """How a standby gets WAL: from which node (None: from none), whether synchronously, and with what lag."""

    upstream: str | None
    sync: Remark | None
    received: Remark
    replayed: Remark


def where(instance: Instance) -> Where:
    """Return where a node's WAL ends; unknown parts are marked so."""
    position = instance.position
    if position is None:
        return Where(UNKNOWN, UNKNOWN, UNKNOWN)
    term = UNKNOWN if position.term is None else ("plain", str(position.term))
    return Where(term, ("plain", str(position.timeline)), ("plain", str(position.lsn)))


def stream(name: str, facts: Facts, observed: Observed) -> Stream | None:
    """Return how a node gets WAL; None for a primary and a witness, which get none."""
    if facts.instance is None or role_of(facts) == "primary":
        return None
    upstream = facts.instance.attached
    sync = None if upstream is None and sees_upstream(facts) else UNKNOWN
    if upstream is not None:
        sync = sync_state(name, upstream, observed) or UNKNOWN
    received, replayed = (UNKNOWN if text == UNKNOWN[1] else ("plain", text) for text in lags(name, facts, observed))
    return Stream(upstream, sync, received, replayed)


def silence_remarks(observed: Observed) -> list[Unusual]:
    """Return the nodes of a snapshot of which nothing is known, and why."""
    missing = [(name, f"{name} could not be observed: {why}") for name, why in observed.missing.items()]
    forged = [(name, f"{name}'s report is not believed: {why}") for name, why in observed.forged.items()]
    return [Unusual("bad", text, silent_since(name, observed), name) for name, text in (*missing, *forged)]


def earlier_remarks(status: Status) -> list[Unusual]:
    """Return which nodes hold all to earlier rules, being of an earlier release."""
    return [
        Unusual("warn", _speaks(name, rules), UNKNOWN_SINCE, name)
        for name, rules in sorted((status.earlier or {}).items())
    ]


def _speaks(name: str, rules: str) -> str:
    return f"{name} speaks {named((rules,))}: plans and judgements are by these until it is upgraded."


def status_remarks(status: Status, observed: Observed) -> list[Unusual]:
    """Return what the table cannot say: first what could not be observed, then what is unusual."""
    found = silence_remarks(observed)
    told = [each for each in status.log_views if each.who not in observed.missing]  # Who is silent tells nothing else.
    apart = comparison_sentences(told, status.log_size)
    found += [Unusual(style, text, UNKNOWN_SINCE) for style, text in apart]
    found += [Unusual(style, text) for style, text in certificate_sentences(status.certificates)]
    found += earlier_remarks(status)
    found += [
        Unusual("warn", f"{node} no longer holds what awaited its turn: ask `aerodb outcome {request}`", "", node)
        for node, request in sorted((status.unheld or {}).items())
    ]
    if not status.consistent:
        found.append(Unusual("bad", "The cluster changed while it was looked at: the reports are not of one state."))
    if not status.log_writable:
        text = "The audit log cannot be written: every action is refused until it can."
        found.append(Unusual("bad", text, UNKNOWN_SINCE))
    found += watched_remarks(observed)
    found += across_remarks(observed)
    for name, facts in observed.facts.items():
        found += [each._replace(text=f"{name} {each.text}") for each in node_remarks(facts)]
    return [*found, *stream_remarks(observed)]


def profile_remarks(chain: Chain, status: Status, observed: Observed) -> list[Unusual]:
    """Return what a person who has verified `chain` must know about a status that a control plane shows."""
    found = list[Remark]()
    if status.facts:
        found.append(("warn", "These facts are the control plane's word: your role is not shown the signed reports."))
    if status.redacted:
        found.append(("warn", f"Redacted: {', '.join(status.redacted)}"))
    apart = [Unusual(style, text, UNKNOWN_SINCE) for style, text in chain_remarks(chain, status, observed)]
    return [*(Unusual(*each) for each in found), *apart]
