"""A procedure as it is laid out for a person: requests in order, none of which it asks for.

Pure: no I/O, no clock.
"""

from typing import Literal

import msgspec

from aerodb.protocol.plan import Loss, Verdict
from aerodb.protocol.writes import Writes

StepState = Literal["done", "held", "judged now", "foreseen", "not judged yet"]


class StepDone(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The request by which a step was executed, when its outcome was recorded, who had asked, and its arguments."""

    request: str
    at: str
    operator: str
    arguments: dict[str, str] = {}


class ProcedureStep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One request of an order.

    `arguments` are those of its request, as they are typed: the request before or after it stands as it is named there.
    `state` says whether it was executed under the ticket (`done` says by which request), is held by its node until the
    next step is executed (`held` is its request), is judged on the cluster as it is now, or on the state that the steps
    before are foreseen to leave, or cannot be judged yet: `why` says why not, and `rests_on` names the steps that it
    rests on, from 1. `awaits` is the request of the step whose plan awaits its confirmation, if it is known to.
    `accepted` is None where it is not judged. `only_then` are the invariants that hold on the foreseen state, and not
    now. `writes` is how writes are once it is executed (null: that cannot be foreseen), `meanwhile` a sentence on how
    they are during its execution, where that is neither. `irreversible` is what cannot be undone afterwards.
    """

    action: str
    target: str
    arguments: dict[str, str]
    title: str
    state: StepState
    done: StepDone | None = None
    held: str = ""
    awaits: str = ""
    accepted: bool | None = None
    verdicts: tuple[Verdict, ...] = ()
    only_then: tuple[str, ...] = ()
    rests_on: tuple[int, ...] = ()
    why: str = ""
    loss: Loss | None = None
    meanwhile: str = ""
    irreversible: tuple[str, ...] = ()
    writes: Writes | None = None


class ProcedureOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One order of requests, as they are typed; `order` says what is different in it (empty: there is no other)."""

    order: str
    steps: tuple[ProcedureStep, ...]
    remarks: tuple[str, ...] = ()


class Procedure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A procedure, laid out: every order that leads there, with its facts. Nothing is chosen, and nothing executed.

    `nodes` are the nodes that the person named, by part. `reason` is the ticket (empty: none was given, so nothing is
    marked as done). `searched` is false where the log holds more records of such a reason than are looked through.
    `writes` is whether commits can be acknowledged now, as the snapshot says. `over` names each request whose order a
    node holds although it has no turn any more, by node.
    """

    procedure: str
    nodes: dict[str, str]
    reason: str
    searched: bool
    writes: Writes
    over: dict[str, str] = {}
    orders: tuple[ProcedureOrder, ...]
    snapshot_digest: str
    log_size: int
