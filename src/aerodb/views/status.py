"""A status as people read it: what a table of the nodes says of each, and the sentences that no table can say.

Pure: no I/O, no clock.
"""

from typing import NamedTuple

from aerodb.audit.comparison import comparison_sentences
from aerodb.past.speaking import named
from aerodb.protocol.api import Status
from aerodb.protocol.chain import Chain
from aerodb.protocol.facts import Facts, Instance
from aerodb.protocol.writes import Writes
from aerodb.views.certificates import certificate_sentences
from aerodb.views.observed import Observed, Remark, lags, node_remarks, stream_remarks, sync_state
from aerodb.views.versions import chain_remarks

UNKNOWN: Remark = ("warn", "unknown")

WRITES_STYLES = {"yes": "good", "no": "bad", "unknown": "warn"}
"""The style of each answer to whether commits can be acknowledged."""


def writes_style(found: Writes) -> str:
    """Return the style of the answer to whether commits can be acknowledged."""
    return WRITES_STYLES[found.acknowledged]


class Where(NamedTuple):
    """Where a node's WAL ends: the term, the timeline, the WAL position."""

    term: Remark
    timeline: Remark
    lsn: Remark


class Stream(NamedTuple):
    """How a standby is fed: from which node (None: from none), how synchronously, and how far it is behind."""

    upstream: str | None
    sync: Remark | None
    received: Remark
    replayed: Remark


def where(instance: Instance) -> Where:
    """Return where a node's WAL ends, as far as the node can tell."""
    position = instance.position
    if position is None:
        return Where(UNKNOWN, UNKNOWN, UNKNOWN)
    term = UNKNOWN if position.term is None else ("plain", str(position.term))
    return Where(term, ("plain", str(position.timeline)), ("plain", str(position.lsn)))


def stream(name: str, facts: Facts, observed: Observed) -> Stream | None:
    """Return how a node is fed; None for a primary and for a witness, which nobody feeds."""
    if facts.instance is None or facts.standing.role == "primary":
        return None
    upstream = facts.instance.attached
    sync = None if upstream is None else sync_state(name, upstream, observed) or UNKNOWN
    received, replayed = (UNKNOWN if text == UNKNOWN[1] else ("plain", text) for text in lags(name, facts, observed))
    return Stream(upstream, sync, received, replayed)


def silence_remarks(observed: Observed) -> list[Remark]:
    """Return which nodes of a snapshot nothing is known of, and why."""
    missing = [f"{name} could not be observed: {why}" for name, why in observed.missing.items()]
    forged = [f"{name}'s report is not believed: {why}" for name, why in observed.forged.items()]
    return [("bad", text) for text in (*missing, *forged)]


def earlier_remarks(status: Status) -> list[Remark]:
    """Return which nodes hold all to earlier rules, being of an earlier release."""
    earlier = status.earlier or {}
    return [
        ("warn", f"{name} speaks {named((rules,))}: plans and judgements are by these until it is upgraded.")
        for name, rules in sorted(earlier.items())
    ]


def status_remarks(status: Status, observed: Observed) -> list[Remark]:
    """Return what a table cannot say: first what could not be observed, then what is unusual."""
    found = silence_remarks(observed)
    found += comparison_sentences(status.log_views, status.log_size)
    found += certificate_sentences(status.certificates)
    found += earlier_remarks(status)
    if not status.consistent:
        found.append(("bad", "The cluster changed while it was looked at: the reports are not of one state."))
    if not status.log_writable:
        found.append(("bad", "The audit log cannot be written: every action is refused until it can."))
    for name, facts in observed.facts.items():
        found += [(style, f"{name} {text}") for style, text in node_remarks(facts)]
    return [*found, *stream_remarks(observed)]


def profile_remarks(chain: Chain, status: Status, observed: Observed) -> list[Remark]:
    """Return what a person must know who has verified `chain`, and is shown a status by a control plane."""
    found = list[Remark]()
    if status.facts:
        found.append(("warn", "These facts are the control plane's word: your role is not shown the signed reports."))
    if status.redacted:
        found.append(("warn", f"Redacted: {', '.join(status.redacted)}"))
    return [*found, *chain_remarks(chain, status, observed)]
