"""What the control plane's HTTP API takes and gives: shared by the server and its clients.

Pure: no I/O, no clock.
"""

from enum import StrEnum
from typing import Literal

import msgspec

from aerodb.protocol.certificates import Certificate
from aerodb.protocol.facts import Facts
from aerodb.protocol.holdings import HeldRequest
from aerodb.protocol.plan import Loss, Plan, Snapshot, Verdict
from aerodb.protocol.signed import Signed
from aerodb.protocol.writes import Writes

AWAITS_SECOND = "awaits a second person"
"""The state of a request whose plan its requester has signed, and a second person has not yet."""


AWAITS_TURN = "awaits its turn"
"""The state of a confirmed request that comes after another one, which is not executed yet."""


NOT_HELD = "no longer held: ask"
"""The state of such a request once its node has reported that it holds its order no more; its outcome is not asked for.
"""


class Ask(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of POST /v1/requests; the request's id is the Idempotency-Key header."""

    action: str
    target: str
    arguments: dict[str, str]
    reason: str


class Confirm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of POST /v1/requests/{id}/confirmation: an SSHSIG or an assertion over the plan's exact bytes."""

    signature: str


class Planned(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A plan, as it was recorded: its exact text, and the digest of that text.

    Who may not see that text, which carries sensitive facts, is given what may be `shown` of it; that has no digest of
    its own, and is no plan that could be signed.
    """

    request: str
    accepted: bool
    plan: str
    digest: str
    shown: Plan | None = None


class Done(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The outcome of a request: the agent's signed document, and the sequence of the log's record of it.

    The result of one that comes after another one is "held" until its turn; `outcome` is then the signed report of its
    node that shows that it holds the order, and nothing is recorded yet. `then` is what became of the one after this
    one, which is left out where there is none. `dropped` is what became of what the node had held until this one's
    order came to it; it is left out where nothing was.
    """

    request: str
    result: Literal["executed", "not executed", "unknown", "held"]
    outcome: Signed | None
    sequence: int | None
    code: str
    message: str
    then: "Done | msgspec.UnsetType" = msgspec.UNSET
    dropped: "tuple[Done, ...] | msgspec.UnsetType" = msgspec.UNSET


class Ticket(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What opens a session in the admin UI, once, within `seconds`."""

    ticket: str
    seconds: int


class SessionLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One session in the admin UI: whose, opened by which program, and after how many seconds it ends by itself."""

    session: str
    person: str
    came_from: str
    unused_seconds_left: int
    seconds_left: int


class SignedIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The sessions that go on, as far as the caller may see them: their own, or everyone's; the oldest first."""

    sessions: tuple[SessionLine, ...]


class Cell(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether one action on one node, with these arguments, would be accepted now, and which invariants forbid it."""

    action: str
    node: str
    arguments: dict[str, str]
    accepted: bool
    failed: tuple[Verdict, ...]
    loss: Loss


class Agreement(StrEnum):
    """How what somebody has seen of the log stands to the log at hand."""

    CONSISTENT = "consistent"
    NOTHING = "nothing seen yet"
    BEHIND = "the log went back"
    FORKED = "another log"
    FORGED = "no checkpoint of this log"
    UNKNOWN = "unknown"


class Comparison(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody has seen of the audit log: how many records (None: not known), and whether they are in it."""

    who: str
    records: int | None
    agreement: Agreement


class Shown(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What GET /v1/audit/comparison is asked with, in base64url: signed checkpoints, each under the name of who saw it.

    Without it nothing is shown, and the newest checkpoint is returned. The names are those of nodes; what the caller
    has seen stands under the empty name. `restored` asks for the proof that the log begins with its first so many
    records.
    """

    checkpoints: dict[str, str]
    restored: int | None = None


class Compared(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The newest checkpoint, and under each name the base64 hashes that prove that it extends what was shown.

    A name under which more was shown than the log has is left out. `restored` is the proof that was asked for.
    """

    checkpoint: str
    paths: dict[str, tuple[str, ...]]
    restored: tuple[str, ...] = ()


class LostRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request that a node's journal knows, and of whose end the log knows nothing.

    `log` is the last that the log knows of it ("": nothing). `held` is what the node's journal has of it.
    """

    node: str
    log: str
    held: HeldRequest


class GapFound(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What nodes hold and the log lacks. `holdings` are the nodes' signed words, `missing` says who gave none, and why.

    `kept` is, of each node, which of the checkpoints in its holdings is the newest that the log extends (0 is the
    first; None: none of them). `left_out` counts the lost requests beyond those that are listed.
    """

    nonce: str
    holdings: dict[str, Signed]
    missing: dict[str, str]
    kept: dict[str, int | None]
    lost: tuple[LostRequest, ...]
    left_out: int


class Status(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The cluster as it was just observed: the snapshot and every action's answer.

    `writes` says whether commits can be acknowledged, by the snapshot's reports. `unjudged` names the actions that the
    cluster is too large to judge in all combinations; each is asked one by one.

    To whom the signed reports are not shown, `snapshot` holds none; `facts` then holds what the control plane read in
    them, without the sensitive parts, and `redacted` names each part that was taken out.

    `log_views` say who has seen which part of the audit log, and whether it is in it: every node, and whoever else has
    shown a checkpoint that is not.

    `certificates` are those that the control plane holds, or was shown since it started, and when they expire.

    `earlier` are the nodes that speak no rules as new as the control plane's, each with the newest that it speaks. It
    is left out where there are none, and for who speaks none so new either: they would not know of it.

    `unheld` are the requests whose orders nodes held until their turn, and hold no more, each by its node. It is left
    out in the same way.
    """

    cluster: str
    cluster_name: str
    configuration: str
    consistent: bool
    writes: Writes
    snapshot_digest: str
    snapshot: Snapshot
    matrix: tuple[Cell, ...]
    log_size: int
    log_writable: bool
    unjudged: tuple[str, ...] = ()
    facts: dict[str, Facts] = {}
    redacted: tuple[str, ...] = ()
    log_views: tuple[Comparison, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    earlier: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    unheld: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


class AsOf(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The cluster as it was when a plan was made: the recorded snapshot, and every action's answer on it.

    `configuration` is the digest of the one that the snapshot was taken under, where the log holds it. To whom the
    signed reports are not shown, `snapshot` holds none, and `facts` and `redacted` are as in a status.
    """

    cluster: str
    cluster_name: str
    configuration: str
    snapshot_digest: str
    snapshot: Snapshot
    matrix: tuple[Cell, ...]
    unjudged: tuple[str, ...] = ()
    facts: dict[str, Facts] = {}
    redacted: tuple[str, ...] = ()


class RequestLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One request in a list. `state` is how far it came: rejected, refused, planned, confirmed, or its outcome.

    Where a second person is due, it is `AWAITS_SECOND` between the two signatures.
    A plan that can no longer be confirmed is declined, by its requester, or lapsed, with the process that made it.
    """

    request: str
    at: str
    operator: str
    action: str
    target: str
    arguments: dict[str, str]
    reason: str
    state: str
    code: str
    plan: str | None


class Requests(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One page of the requests, the newest first; `next` is the `before` of the page after it, None where none is."""

    requests: tuple[RequestLine, ...]
    next: int | None


class LogEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One record of the audit log: its place, and its exact text, which says when and by which clock it was made.

    Where the record right before it in the log is of a later time, `went_back_from` is that time: the clock went back.
    """

    sequence: int
    record: str
    went_back_from: str = ""


class Found(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One page of the records that were searched for, the newest first; `next` is the `before` of the page after it."""

    records: tuple[LogEntry, ...]
    next: int | None


class ProvenEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One record of the audit log, and the proof that it stands there; `went_back_from` is as in a `LogEntry`."""

    sequence: int
    record: str
    proof: str
    went_back_from: str = ""


class EventLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One record of a request for who may not read the log: what happened, without the record's text or proof."""

    sequence: int
    at: str
    event: str
    operator: str
    result: str
    code: str
    invariants: tuple[str, ...]


class Decision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One request with everything that the log holds of it: the line, the plan's text, the records, the proofs.

    All proofs rest on one checkpoint. `redacted` names what there is and was not shown: the snapshot, and, to who may
    not read the log, the plan's exact text and the records; `shown` and `events` are what they get in their place.
    """

    line: RequestLine
    plan: str | None
    snapshot: str | None
    records: tuple[LogEntry, ...]
    proofs: tuple[str, ...]
    redacted: tuple[str, ...] = ()
    shown: Plan | None = None
    events: tuple[EventLine, ...] = ()


class Replayed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A plan computed again from its recorded snapshot; `identical` compares the bytes."""

    request: str
    identical: bool
    recorded_digest: str
    computed_digest: str
    length_bytes: int


class Records(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Records of the log, in its order."""

    records: tuple[LogEntry, ...]


class WhoAmI(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The caller, as the configuration has them."""

    operator: str
    role: str


class CatalogueEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One action of the closed catalogue."""

    name: str
    summary: str
    target: str
    arguments: dict[str, str]
    authority: str
    invariants: tuple[str, ...]
    effects: tuple[str, ...]
    irreversible: tuple[str, ...]
    commit_point: str
    failures: tuple[str, ...]


class Catalogue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole catalogue."""

    actions: tuple[CatalogueEntry, ...]
