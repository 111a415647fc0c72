"""checkpoint: a running node writes its changes to disk now, so that what follows is short.

- It destroys nothing and changes no authority: wherever it was cut off, it may be requested anew.
- PostgreSQL goes on with a checkpoint whose client is gone, so as long as one is under way the outcome is unknown.
"""

from aerodb.protocol.classes import ActionClass
from aerodb.protocol.cluster import Role
from aerodb.protocol.facts import Facts, Instance, State
from aerodb.protocol.plan import Plan, Verdict
from aerodb.rules.condition import common, running_fits
from aerodb.rules.foresight import unchanged
from aerodb.rules.hands import Hands
from aerodb.rules.invariants import Invariant
from aerodb.rules.specification import (
    NOT_CROSSED,
    SILENT,
    Action,
    Established,
    Failure,
    Order,
    no_loss,
    no_notes,
    no_term,
    same_standing,
)
from aerodb.rules.view import View


def judge(view: View) -> tuple[Verdict, ...]:
    """Judge whether the target can run a checkpoint."""
    return (*common(view, "primary", "standby"), running_fits(view, State.RUNNING))


def operate(hands: Hands, order: Order) -> tuple[str, ...]:
    """Run PostgreSQL's CHECKPOINT; its return is the commit point."""
    hands.cross(order.plan.request.id)
    hands.process.checkpoint()
    after = hands.look().instance
    if after is None or after.checkpoint is None:
        return (f"CHECKPOINT on {order.view.node} has returned",)
    return (f"CHECKPOINT on {order.view.node} has returned; the last checkpoint begins at {after.checkpoint}",)


def is_newer(before: Instance, now: Instance) -> bool:
    """Tell whether a checkpoint has finished that was not there before.

    On a primary it must have begun after the request: at or beyond the end of the WAL then. On a standby the last one
    that the primary wrote counts, whenever that was.
    """
    if now.checkpoint is None:
        return False
    if before.recovery is False and before.position is not None:
        return now.checkpoint >= before.position.lsn
    return before.checkpoint is not None and now.checkpoint > before.checkpoint


def established(plan: Plan, before: Facts, now: Facts, crossed: bool) -> Established:
    """Tell from the control file whether a newer checkpoint has finished since, or whether one still may."""
    del plan
    if not crossed:
        return NOT_CROSSED
    earlier, instance = before.instance, now.instance
    if earlier is None or instance is None or instance.state in {State.UNREACHABLE, State.UNREADABLE}:
        return SILENT
    if is_newer(earlier, instance):
        return Established(result="executed", evidence=f"a newer checkpoint begins at {instance.checkpoint}")
    if instance.load is not None and (instance.load.checkpoints > 0 or instance.load.lingering > 0):
        return Established(result="unknown", evidence="a checkpoint is under way; ask again when it has finished")
    return Established(
        result="not executed", evidence=f"none has finished since; the last checkpoint begins at {instance.checkpoint}"
    )


ACTION = Action(
    name="checkpoint",
    title="Checkpoint {node}",
    summary="A running node writes all changes to disk now, so that a later shutdown, crash recovery or promotion is "
    "short.",
    target="running primary or standby",
    arguments=(),
    authority=Role.OPERATOR,
    of_class=ActionClass.RUNNING,
    invariants=(
        Invariant.IN_CHARGE,
        Invariant.CONFIGURATION_AGREES,
        Invariant.JOURNAL_SETTLED,
        Invariant.ROLE_FITS,
        Invariant.RUNNING_FITS,
    ),
    effects=(
        "PostgreSQL on {node} writes every changed page to disk, as fast as the disk allows.",
        "Crash recovery on {node} then begins there. On a standby (a restartpoint) it can begin no later than at the "
        "last checkpoint that came from the primary.",
    ),
    irreversible=(),
    notes=no_notes,
    loss=no_loss,
    commit_point="PostgreSQL's CHECKPOINT command has returned on {node}.",
    failures=(
        Failure(
            when="The checkpoint takes longer than the agent waits for a statement (60 seconds).",
            leaves="Unknown until it has finished: PostgreSQL goes on with it by itself.",
            then="Ask for the outcome.",
        ),
        Failure(
            when="The agent dies while the checkpoint is under way.",
            leaves="Unknown until it has finished: PostgreSQL goes on with it by itself.",
            then="Ask for the outcome.",
        ),
        Failure(
            when="The agent dies on a standby that had no newer checkpoint of the primary's to begin from.",
            leaves="Not executed, as far as can be told; nothing was there to be done.",
            then="Ask for the outcome; checkpoint the primary first where it matters.",
        ),
        Failure(
            when="PostgreSQL dies during the checkpoint.",
            leaves="Not executed. Recovery begins at the checkpoint before.",
            then="Start the node, then request checkpoint anew.",
        ),
    ),
    outage="None; commits may be slower while the disk is busy.",
    term=no_term,
    judge=judge,
    operate=operate,
    established=established,
    settle=same_standing,
    writes=unchanged,
)
