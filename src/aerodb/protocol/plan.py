"""Requests, verdicts, plans, orders and outcomes: what travels between a person, the control plane and one agent.

A plan's bytes are what an operator signs; they are stored, carried and verified as they were made.
Pure: no I/O, no clock.
"""

from enum import StrEnum
from typing import ClassVar, Literal

import msgspec

from aerodb.protocol import canonical
from aerodb.protocol.ahead import AFTER
from aerodb.protocol.epoch import EPOCH_FIRST
from aerodb.protocol.formats import Format
from aerodb.protocol.signed import Signed


class ResultOne(StrEnum):
    """How an invariant stands, in the plan of a request that comes after no other one."""

    HOLDS = "holds"
    VIOLATED = "violated"
    UNKNOWN = "unknown"


class Result(StrEnum):
    """How an invariant stands. Unknown counts as no.

    Foreseen is said only in the plan of a request that comes after another one: it holds once that one is executed.
    """

    HOLDS = "holds"
    VIOLATED = "violated"
    UNKNOWN = "unknown"
    FORESEEN = "foreseen"


class VerdictOne(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One invariant, judged, as version 1 of a plan has it."""

    invariant: str
    result: ResultOne
    evidence: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One invariant, judged, with the evidence in one sentence."""

    invariant: str
    result: Result
    evidence: str


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One operator asking for one action once. `id` is chosen by the client and never used twice."""

    id: str
    action: str
    target: str
    arguments: dict[str, str]
    operator: str
    reason: str


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One consistent set of signed reports; `missing` says of each node that gave none why."""

    FORMAT: ClassVar[Format] = Format(kind="snapshot")

    kind: Literal["snapshot"] = "snapshot"
    cluster: str
    nonce: str
    reports: dict[str, Signed]
    missing: dict[str, str]


class Loss(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What could be lost: `claim` is none, at-most or unproven; `statement` is the sentence, `arithmetic` the proof."""

    claim: Literal["none", "at most", "cannot be proven"]
    statement: str
    arithmetic: tuple[str, ...]


class PlanOne(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Version 1 of a plan, as it is read: none of its verdicts is foreseen."""

    FORMAT: ClassVar[Format] = Format(kind="plan")

    kind: Literal["plan"] = "plan"
    rules: str
    cluster: str
    cluster_name: str
    configuration: str
    snapshot: str
    request: Request
    term: int
    accepted: bool
    title: str
    effects: tuple[str, ...]
    irreversible: tuple[str, ...]
    notes: tuple[str, ...]
    loss: Loss
    commit_point: str
    failures: tuple[str, ...]
    verdicts: tuple[VerdictOne, ...]
    reports: dict[str, str]
    digest: str = ""


class Plan(PlanOne, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The explanation of a request before execution.

    `term` is the term that the action is about (0: none). `reports` are the digests of the peers' report documents
    that the verdicts rest on. `digest` is the digest of the plan's canonical bytes with `digest` empty.
    """

    verdicts: tuple[Verdict, ...]  # type: ignore[assignment]

    def sealed(self) -> "Plan":
        """Return the plan with its own digest filled in."""
        bare = msgspec.structs.replace(self, digest="")
        return msgspec.structs.replace(bare, digest=canonical.digest(canonical.encode(bare)))

    def intact(self) -> bool:
        """Tell whether the plan's digest is that of its own content."""
        return self.sealed().digest == self.digest


def _lifted_plan(first: PlanOne) -> Plan:
    """Return a plan of version 1 with the verdicts of now: its bytes stay what they are, since they were signed."""
    said = {name: getattr(first, name) for name in PlanOne.__struct_fields__}
    verdicts = tuple(
        Verdict(invariant=each.invariant, result=Result(each.result.value), evidence=each.evidence)
        for each in first.verdicts
    )
    return Plan(**{**said, "verdicts": verdicts})


class LaterPlan(Plan, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The plan of a request that comes after another one: some of its verdicts may be foreseen."""

    FORMAT: ClassVar[Format] = Format(kind="plan", version=2, earlier=PlanOne, lifted=_lifted_plan)

    format: Literal[2] = 2


def plan_in(text: str) -> Plan:
    """Return the plan that a text is, of whichever version.

    Raises:
        NotCanonical: it is none, or says what its version cannot.
        MadeLater: it is of a later version.
    """
    plan = canonical.decode(canonical.utf8(text), LaterPlan)
    comes_after = AFTER in plan.request.arguments
    foresees = any(each.result is Result.FORESEEN for each in plan.verdicts)
    if comes_after != isinstance(plan, LaterPlan) or foresees > comes_after:
        raise canonical.NotCanonical("only the plan of a request that comes after another one foresees anything")
    return plan


class Second(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The second person's confirmation of a plan: who it is, and their signature over the plan's exact bytes."""

    operator: str
    signature: str


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that one agent needs in order to check the three locks by itself.

    `plan` is the plan's exact text; `signature` the operator's confirmation of it (an armored
    SSHSIG, or an authenticator's assertion); `record` the exact text of the
    log's confirmation record, `proof` its self-contained inclusion proof (with the signed checkpoint) and
    `consistency` the base64 hashes that connect the last checkpoint the agent saw; `reports` the peers' reports that
    the plan rests on; `late` what the peers said once the confirmation was logged, made for `late_nonce` of its record.
    Who is not in `late` was silent then. `restored` are the base64 hashes that connect what the request names as
    restored, where it names that; `consistency` then connects the newest checkpoint that the agent saw within it.
    `second` is the second person's confirmation, and is left out where none is asked.
    """

    plan: str
    signature: str
    record: str
    proof: str
    consistency: tuple[str, ...]
    reports: dict[str, Signed]
    late: dict[str, Signed]
    restored: tuple[str, ...] = ()
    second: Second | msgspec.UnsetType = msgspec.UNSET

    @property
    def confirmation(self) -> "Confirmation":
        """Return what was signed, and by whom."""
        return Confirmation(plan=self.plan, signature=self.signature, second=self.second)


class Confirmation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A confirmation as it was logged: the plan's exact text, the requester's signature over it, and the second's.

    `second` is left out where no second person is asked. A node that does not know a request uses its id up only for
    whoever shows this.
    """

    plan: str
    signature: str
    second: Second | msgspec.UnsetType = msgspec.UNSET

    @property
    def seconded(self) -> Second | None:
        """Return the second person's confirmation, or None."""
        return self.second or None


class Trigger(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What has a node run the order that it holds: proof that the request before it is executed.

    `request` is the held order's. `plan` is the exact text of the earlier request's plan, which names the later one's.
    `record` is the exact text of the log's record that the earlier one is executed, as its node signed it, and that
    this one's turn has come; `proof` and `consistency` are as in an order. `late` is what the peers said afterwards,
    made for `late_nonce` of the record.
    """

    request: str
    plan: str
    record: str
    proof: str
    consistency: tuple[str, ...]
    late: dict[str, Signed]


class Extent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many records the log had under the last checkpoint that a node saw: where the next order's proof begins.

    Nobody signs it: a proof that begins elsewhere is refused by the node.
    """

    size: int


class OutcomeOne(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first version of an outcome: what it says is of the first epoch."""

    FORMAT: ClassVar[Format] = Format(kind="outcome")

    kind: Literal["outcome"] = "outcome"
    cluster: str
    node: str
    request: str
    plan: str
    result: Literal["executed", "not executed", "unknown"]
    established: bool
    code: str
    message: str
    evidence: tuple[str, ...]
    invariants: tuple[str, ...] = ()
    late: dict[str, str] = msgspec.field(default_factory=dict)


def _lifted_outcome(first: OutcomeOne) -> "Outcome":
    """Return version 1 in the words of version 2."""
    said = {name: getattr(first, name) for name in OutcomeOne.__struct_fields__}
    return Outcome(**said, epoch=EPOCH_FIRST)


class Outcome(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What became of one request, as the agent signs it.

    `established` is true where it was found out afterwards, from the journal and PostgreSQL's own state. `code` names
    the error where there was one. `plan` is the digest of the plan's bytes. `late` are the digests of the reports that
    the peers made after the confirmation, by node, where the node judged by them. `epoch` is that of the configuration
    which the node had taken when it signed.
    """

    FORMAT: ClassVar[Format] = Format(kind="outcome", version=2, earlier=OutcomeOne, lifted=_lifted_outcome)

    kind: Literal["outcome"] = "outcome"
    format: Literal[2] = 2
    cluster: str
    node: str
    epoch: int
    request: str
    plan: str
    result: Literal["executed", "not executed", "unknown"]
    established: bool
    code: str
    message: str
    evidence: tuple[str, ...]
    invariants: tuple[str, ...] = ()
    late: dict[str, str] = msgspec.field(default_factory=dict)


def late_nonce(record: str) -> str:
    """Return what peers are asked with after a confirmation: the hexadecimal SHA-256 of its record's exact text.

    The record holds the operator's signature, so nobody can know this before the operator has confirmed.
    """
    return canonical.digest(record.encode()).removeprefix("sha256:")


def plan_digest(plan_text: str) -> str:
    """Return the digest of a plan's exact bytes, which confirmations and records name."""
    return canonical.digest(plan_text.encode())
