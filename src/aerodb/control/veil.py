"""What a person who may not see sensitive facts is shown of the texts that were made from them.

- A text is made anew, from redacted facts: what did not go in cannot come out.
- It is shown only where it is the true one, word for word, with its sensitive values taken out; else the whole text is
  taken out. So it is never false, and never more than the facts beside it say.
- What is no text stays as it is: results, names, numbers that are public.
- A text that nobody made so is marked by the last look at every answer (`shown_to`), whoever made the answer.

Pure: no I/O, no clock.
"""

import copy
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from aerodb.actions import action_named
from aerodb.control.answers import kept_from
from aerodb.errors import AeroError
from aerodb.protocol.api import Cell, Planned
from aerodb.protocol.chain import Chain
from aerodb.protocol.classification import (
    REDACTED,
    REDACTED_NUMBER,
    Clean,
    redacted,
    sensitive_values,
)
from aerodb.protocol.plan import Loss, Plan, Snapshot, Verdict
from aerodb.protocol.signed import Signed
from aerodb.protocol.writes import Writes
from aerodb.rules.explain import explain_unsafe, peers_of
from aerodb.rules.invariants import RULES
from aerodb.rules.view import Peer
from aerodb.rules.writes import writes
from aerodb.views.matrix import matrix_unsafe

T = TypeVar("T")

TELLS_OF_MACHINES = frozenset({"kernel", "transport"})
"""The domains of errors whose messages are nodes' own words, or name addresses."""
TELLS_OF_FOLDERS = frozenset({"control.log-unavailable", "control.log-replaced", "control.folder-broken"})


def reasons(missing: Mapping[str, str]) -> dict[str, str]:
    """Return why nodes are missing by the codes alone; the rest may name an address."""
    return {name: Clean(f"{why.partition(': ')[0]}: {REDACTED}") for name, why in missing.items()}


class Veil:
    """One snapshot's facts without what is sensitive, and what is made from them."""

    def __init__(self, chain: Chain, snapshot: Snapshot) -> None:
        """Take the sensitive values out; `chain` is what the nodes judged by.

        Raises:
            NodeUnknown, ReportForged, ReportStale, ClusterForeign, PledgeForged: a report is not what it says.
        """
        cluster = chain.newest
        everyone = peers_of(cluster, snapshot.reports, snapshot.nonce)
        self._chain, self._cluster = chain, cluster
        self._facts = {name: peer.facts for name, peer in everyone.items()}
        self._everyone: dict[str, Peer] = {
            name: replace(peer, facts=redacted(peer.facts, name)[0]) for name, peer in everyone.items()
        }
        said = reasons(snapshot.missing)
        self._snapshot = replace(snapshot, missing={name: str(why) for name, why in said.items()})
        self._marks = {why: str(said[name]) for name, why in snapshot.missing.items()} | {
            str(value): str(REDACTED_NUMBER) if isinstance(value, int) else REDACTED
            for facts in self._facts.values()
            for value in sensitive_values(facts)
        }

    @property
    def everyone(self) -> dict[str, Peer]:
        """Return the nodes' statements without what is sensitive."""
        return dict(self._everyone)

    @property
    def missing(self) -> dict[str, str]:
        """Return why nodes gave no report, without what is sensitive."""
        return self._snapshot.missing

    def text(self, true: str, again: str | None) -> Clean:
        """Return a text made `again` from redacted facts, if it is the `true` one but for what was taken out."""
        masked = true
        for value in sorted(self._marks, key=len, reverse=True):
            masked = masked.replace(value, self._marks[value])
        return Clean(again) if masked == again else Clean(REDACTED)

    def texts(self, true: tuple[str, ...], again: tuple[str, ...] | None) -> tuple[Clean, ...]:
        """Return several texts, each as `text` does."""
        made: Iterable[str | None] = again if again is not None and len(again) == len(true) else (None,) * len(true)
        return tuple(self.text(each, one) for each, one in zip(true, made, strict=True))

    def verdicts(self, true: tuple[Verdict, ...], again: tuple[Verdict, ...]) -> tuple[Verdict, ...]:
        """Return verdicts with their results as they are, and their evidence as it may be shown."""
        made = {(each.invariant, each.result): each.evidence for each in again}
        return tuple(
            replace(each, evidence=self.text(each.evidence, made.get((each.invariant, each.result)))) for each in true
        )

    def loss(self, true: Loss, again: Loss | None) -> Loss:
        """Return what could be lost, with its claim as it is."""
        statement = self.text(true.statement, again.statement if again else None)
        return replace(
            true, statement=statement, arithmetic=self.texts(true.arithmetic, again.arithmetic if again else None)
        )

    def matrix(self, cells: tuple[Cell, ...], operator: str) -> tuple[Cell, ...]:
        """Return every action's answer, with its evidence as it may be shown."""
        made = {_key(each): each for each in matrix_unsafe(self._chain, self._snapshot, operator, self._everyone)}
        return tuple(self._cell(each, made.get(_key(each))) for each in cells)

    def _cell(self, true: Cell, again: Cell | None) -> Cell:
        return replace(
            true,
            failed=self.verdicts(true.failed, again.failed if again else ()),
            loss=self.loss(true.loss, again.loss if again else None),
        )

    def writes(self, true: Writes) -> Writes:
        """Return whether commits can be acknowledged, with its sentences as they may be shown."""
        again = writes(self._cluster, {name: peer.facts for name, peer in self._everyone.items()})
        return replace(
            true, headline=self.text(true.headline, again.headline), details=self.texts(true.details, again.details)
        )

    def plan(self, true: Plan) -> Plan:
        """Return a plan as it may be shown. It is not the one that is signed, and says so: it has no digest."""
        again = self._again(true)
        return replace(
            true,
            notes=self.texts(true.notes, again.notes if again else None),
            loss=self.loss(true.loss, again.loss if again else None),
            verdicts=self.verdicts(true.verdicts, again.verdicts if again else ()),
            digest="",
        )

    def _again(self, true: Plan) -> Plan | None:
        if true.rules != RULES:
            return None
        try:
            action = action_named(true.request.action)
            judging = self._chain.judging(true.configuration)
            return explain_unsafe(judging, action, true.request, self._snapshot, self._everyone)
        except AeroError:
            return None

    def planned(self, true: Planned, plan: Plan) -> Planned:
        """Return the answer to who may not see a plan's exact text: its digest, and what may be shown."""
        return replace(true, plan="", shown=self.plan(plan))


def _key(cell: Cell) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    return cell.action, cell.node, tuple(sorted(cell.arguments.items()))


# The last look --------------------------------------------------------------------------------------------------------


def shown_to(document: T, *, live: bool, recorded: bool) -> T:
    """Return an answer as a person gets it who sees texts made of `live` facts, and what the log holds, or does not.

    Every text that may carry sensitive facts, and was not made for such a person, is replaced by a mark; every
    statement that nodes signed is left out.

    Raises:
        Unclassed: the answer holds something that has no class.
    """
    return document if live and recorded else _looked_at(document, live, recorded)


def _looked_at(value: Any, live: bool, recorded: bool) -> Any:  # noqa: FBT001 - the two are passed down as they are.
    if isinstance(value, tuple):
        return tuple(_looked_at(each, live, recorded) for each in value)
    if isinstance(value, dict):
        return {name: _looked_at(each, live, recorded) for name, each in value.items()}
    if not isinstance(value, msgspec.Struct):
        return value
    changes = {}
    for name in value.__struct_fields__:
        inside = getattr(value, name)
        kept = kept_from(type(value), name, live=live, recorded=recorded)
        changes[name] = _only_clean(inside) if kept else _looked_at(inside, live, recorded)
    return msgspec.structs.replace(value, **changes)


def _only_clean(value: Any) -> Any:
    """Return texts that were made to be shown, marks in place of others, and nothing of what is signed."""
    if value is None or value is msgspec.UNSET or isinstance(value, Clean) or value in ("", REDACTED, REDACTED_NUMBER):
        return value
    if isinstance(value, tuple):
        return tuple(_only_clean(each) for each in value)
    if isinstance(value, dict):
        return {name: _only_clean(each) for name, each in value.items() if not isinstance(each, Signed)}
    if isinstance(value, msgspec.Struct):
        return None
    return REDACTED_NUMBER if isinstance(value, int) else REDACTED


def told(error: AeroError, *, live: bool) -> AeroError:
    """Return an error as a person is told of it: without a message that may name addresses or folders, if so it is."""
    if live or not (error.domain in TELLS_OF_MACHINES or error.code in TELLS_OF_FOLDERS):
        return error
    found = copy.copy(error)
    found.message, found.detail = REDACTED, {}
    return found
