"""Laying a procedure out, for whoever may look: its orders, what is done under the ticket, how each step is judged.

- It asks for nothing, records nothing, chooses nothing and keeps nothing.
- Done is what the log says was executed, with exactly that reason, action, target and arguments, whether or not it was
  signed ahead.
- Held is what a node's own signed report says that it holds, where its turn can still come: by this process, and after
  a request whose id is not used yet.
- Who may not see sensitive facts sees its texts as `control.veil` lets them.
"""

import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from msgspec.structs import replace

from aerodb.audit.record import Record, read_record
from aerodb.audit.search import PAGE_RECORDS_MAX, Query
from aerodb.audit.store import Log, search
from aerodb.control.agents import Agents, Rules
from aerodb.control.errors import RequestNotFound
from aerodb.control.reading import Reader
from aerodb.control.roles import Right, require
from aerodb.control.snapshot import Collected, asked_for, collect_consistent
from aerodb.control.veil import Veil
from aerodb.control.versions import KnownVersions
from aerodb.errors import AeroError
from aerodb.past.speaking import SPOKEN
from aerodb.protocol import canonical
from aerodb.protocol.ahead import AFTER, THEN, SequenceMalformed, read_earlier
from aerodb.protocol.api import AWAITS_SECOND
from aerodb.protocol.cluster import Operator, Role
from aerodb.protocol.plan import Snapshot
from aerodb.protocol.procedure import Procedure, ProcedureOrder, ProcedureStep, StepDone
from aerodb.protocol.writes import Writes
from aerodb.rules.arguments import RequestMalformed
from aerodb.rules.explain import LOOK_ID, REASON_CHARACTERS_MAX, peers_of
from aerodb.rules.invariants import RULES, Invariant
from aerodb.rules.procedures import ProcedureGiven, ProcedureKind, ProcedureUnsuited, kind_named, left_to_walk
from aerodb.rules.ways import ARGUMENTS, Step
from aerodb.rules.writes import newest_grant
from aerodb.views.laying import ProcedureGround, held_for, laid_out
from aerodb.views.render import shown

PAGES_MAX = 20
"""How many pages of records are looked through for a ticket's requests."""


class Procedures:
    """Lays procedures out."""

    def __init__(
        self, versions: KnownVersions, agents: Agents, log: Log, reader: Reader, waits: Callable[[str], bool]
    ) -> None:
        """Keep what to read; `waits` tells of a request whether this process carries its held order on."""
        self._versions, self._agents, self._log, self._reader = versions, agents, log, reader
        self._waits = waits

    def laid(
        self, person: Operator, name: str, nodes: Mapping[str, str], reason: str, speaks: Rules = SPOKEN
    ) -> Procedure:
        """Return the procedure called `name` for the nodes that a person names, by part, as far as they may see it.

        `reason` is the ticket; without one nothing is looked up in the log.

        Raises:
            CallerRefused, ProcedureUnknown, ProcedureUnsuited, NodeUnknown, RequestMalformed, SnapshotInconsistent,
            RulesApart.
            LogUnavailable: the log cannot be searched.
        """
        require(person, Right.LOOK)
        require(person, Right.READ_REQUESTS)
        kind, reason = kind_named(name), unicodedata.normalize("NFC", reason).strip()
        _check(kind, nodes, reason)
        for node in nodes.values():
            self._versions.newest.member(node)
        if self._versions.newest.watched:
            said = f"{self._versions.newest.name} is only watched: every request of a procedure would be rejected"
            raise ProcedureUnsuited(said, field="procedure", invariants=(Invariant.IN_CHARGE,))
        executed, searched = self._executed(reason)
        cluster = self._versions.newest
        collected = collect_consistent(cluster, self._agents, LOOK_ID, asked_for(cluster, speaks))
        self._versions.reported(collected.everyone)
        ground = self._ground(person, collected)
        found = Procedure(
            procedure=kind.name,
            nodes=dict(nodes),
            reason=reason,
            searched=searched,
            writes=ground.writes_of(ground.everyone),
            over={
                name: peer.facts.held.request
                for name, peer in ground.everyone.items()
                if peer.facts.held and peer.facts.held.request not in ground.turns
            },
            orders=self._orders(kind, nodes, ground, executed),
            snapshot_digest=canonical.digest(canonical.encode(collected.snapshot)),
            log_size=self._log.size,
        )
        if person.role is Role.OPERATOR:
            return found
        veil = Veil(self._reader.chain_of(collected.snapshot), collected.snapshot)
        veiled = _veiled_ground(ground, veil)
        return _veiled(veil, found, self._orders(kind, nodes, veiled, executed))

    def _ground(self, person: Operator, collected: Collected) -> ProcedureGround:
        return ProcedureGround(
            chain=self._versions.chain,
            everyone=collected.everyone,
            missing=collected.snapshot.missing,
            operator=person.name,
            speaks=collected.rules == RULES,
            turns=dict(self._turns(collected)),
        )

    def _turns(self, collected: Collected) -> Iterator[tuple[str, bool]]:
        """Yield each request whose held order can have its turn, and whether the one before it awaits a confirmation.

        That one's id is used up by anything that is decided under it, and its node must not be demoted by another one.
        """
        for peer in collected.everyone.values():
            held = peer.facts.held
            if not held or not self._waits(held.request):
                continue
            try:
                earlier = read_earlier(held.after)
                before = collected.everyone.get(earlier.target)
                if before is not None and before.facts.standing.role != "primary":
                    continue
                state = self._reader.decision(earlier.request).line.state
            except RequestNotFound:
                yield held.request, False
            except SequenceMalformed:
                continue
            else:
                if state == "planned":
                    yield held.request, True
                elif state in ("refused", AWAITS_SECOND):  # Nothing was planned under it yet; or others sign it next.
                    yield held.request, False

    def _orders(
        self, kind: ProcedureKind, nodes: Mapping[str, str], ground: ProcedureGround, executed: Mapping[Step, StepDone]
    ) -> tuple[ProcedureOrder, ...]:
        promoted = executed.get(Step(action="promote", target=nodes.get("candidate", "")))
        given = ProcedureGiven(
            cluster=ground.cluster,
            facts={name: peer.facts for name, peer in ground.everyone.items()},
            named=nodes,
            executed=tuple(executed),
            before=self._holder_before(promoted.request) if promoted else "",
        )
        ways = kind.ways(given)
        held = any(way.pair is not None and held_for(ground, way.pair) is not None for way in ways)
        return tuple(laid_out(ground, way, executed) for way in left_to_walk(ways, given.executed, held=held))

    def _executed(self, reason: str) -> tuple[dict[Step, StepDone], bool]:
        """Return what was executed for exactly this reason, the oldest first, and whether all records were searched."""
        records, before, query = list[Record](), None, Query(text=reason, outcome="executed")
        for _ in range(PAGES_MAX if reason else 0):
            found = search(self._log, query, before, PAGE_RECORDS_MAX)
            records += [read_record(data) for _, data in found]
            if len(found) < PAGE_RECORDS_MAX:
                break
            before = found[-1][0]
        else:
            return _steps(records, reason), not reason
        return _steps(records, reason), True

    def _holder_before(self, request: str) -> str:
        """Return who held the newest grant that was known when a request was planned; empty where that is not told."""
        with suppress(AeroError):
            text = self._reader.decision(request).snapshot
            snapshot = canonical.decode((text or "").encode(), Snapshot)
            everyone = peers_of(self._reader.cluster_of(snapshot), snapshot.reports, snapshot.nonce)
            found = newest_grant({name: peer.facts for name, peer in everyone.items()})
            return found.node if found else ""
        return ""


def _check(kind: ProcedureKind, nodes: Mapping[str, str], reason: str) -> None:
    """Refuse what does not name just the nodes that a procedure is about, or no reason that a request could have.

    Raises:
        RequestMalformed: naming the field.
    """
    wanted = {part.name: part.help for part in kind.parts}
    for name, meaning in wanted.items():
        if not nodes.get(name):
            raise RequestMalformed(f"{kind.name} needs {name}: {meaning}", field=name)
    for name in nodes:
        if name not in wanted:
            raise RequestMalformed(f"{kind.name} takes no {name!r}", field=name)
    if len(reason) > REASON_CHARACTERS_MAX:
        raise RequestMalformed(f"a reason has at most {REASON_CHARACTERS_MAX} characters", field="reason")
    if shown(reason) != reason:
        raise RequestMalformed(
            "a reason that is to be typed again has only characters that can be seen", field="reason"
        )


def _steps(records: list[Record], reason: str) -> dict[Step, StepDone]:
    found = dict[Step, StepDone]()
    for record in reversed(records):
        other = record.arguments.get(ARGUMENTS.get(record.action, ""), "")
        step = Step(action=record.action, target=record.target, other=other)
        asked = {name: value for name, value in record.arguments.items() if name not in (AFTER, THEN)}
        if record.reason == reason and step.arguments == asked:
            found[step] = StepDone(
                request=record.request, at=record.at, operator=record.operator, arguments=record.arguments
            )  # fmt: skip
    return found


# For who may not see sensitive facts ----------------------------------------------------------------------------------


def _veiled_ground(ground: ProcedureGround, veil: Veil) -> ProcedureGround:
    """Return what is judged without what is sensitive."""
    return ProcedureGround(
        chain=ground.chain, everyone=veil.everyone, missing=veil.missing, operator=ground.operator,
        speaks=ground.speaks, turns=ground.turns,
    )  # fmt: skip


def _veiled(veil: Veil, true: Procedure, again: tuple[ProcedureOrder, ...]) -> Procedure:
    """Return a procedure with its texts as they may be shown; `again` are its orders made without what is sensitive."""
    orders = tuple(_veiled_order(veil, *pair) for pair in zip(true.orders, again, strict=True))
    return replace(true, writes=veil.writes(true.writes), orders=orders)


def _veiled_order(veil: Veil, true: ProcedureOrder, again: ProcedureOrder) -> ProcedureOrder:
    return replace(true, steps=tuple(_veiled_step(veil, *pair) for pair in zip(true.steps, again.steps, strict=True)))


def _veiled_step(veil: Veil, true: ProcedureStep, again: ProcedureStep) -> ProcedureStep:
    return replace(
        true,
        why=veil.text(true.why, again.why) if true.why else "",
        meanwhile=veil.text(true.meanwhile, again.meanwhile) if true.meanwhile else "",
        verdicts=veil.verdicts(true.verdicts, again.verdicts),
        loss=veil.loss(true.loss, again.loss) if true.loss else None,
        writes=_veiled_writes(veil, true.writes, again.writes),
    )


def _veiled_writes(veil: Veil, true: Writes | None, again: Writes | None) -> Writes | None:
    if true is None:
        return None
    headline = veil.text(true.headline, again.headline if again else None)
    return replace(true, headline=headline, details=veil.texts(true.details, again.details if again else None))
