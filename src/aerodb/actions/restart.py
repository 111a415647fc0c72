"""restart: a running node's PostgreSQL ends cleanly and starts again, in the standing it has.

- It ends nothing that it may not begin again: what `start` would have to prove is proven before anything is stopped.
- Its commit point is the end of the PostgreSQL that ran: whether its successor runs too is said, and is for `start`.
"""

from aerodb.actions.reload import files_of
from aerodb.actions.start import (
    brought_up,
    no_higher_grant,
    settle,
    settle_upstream,
    starts_as_it_stands,
    starts_from_its_upstream,
    starts_under_its_policy,
)
from aerodb.actions.start import notes as before_a_start
from aerodb.actions.stop import says_down
from aerodb.protocol.classes import ActionClass
from aerodb.protocol.cluster import Role
from aerodb.protocol.facts import Facts, State
from aerodb.protocol.plan import Plan, Verdict
from aerodb.rules.charge import in_charge
from aerodb.rules.condition import configuration_agrees, journal_settled, running_fits, settings_startable
from aerodb.rules.foresight import restarted
from aerodb.rules.hands import Hands
from aerodb.rules.invariants import Invariant
from aerodb.rules.notes import before_a_shutdown
from aerodb.rules.operation import not_shut_down
from aerodb.rules.specification import NOT_CROSSED, SILENT, Action, Established, Failure, Order, no_loss, no_term
from aerodb.rules.view import View


def judge(view: View) -> tuple[Verdict, ...]:
    """Judge whether the target may end, and may start again in its standing."""
    return (
        in_charge(view),
        configuration_agrees(view),
        journal_settled(view),
        starts_as_it_stands(view),
        starts_under_its_policy(view),
        starts_from_its_upstream(view),
        running_fits(view, State.RUNNING),
        settings_startable(view),
        no_higher_grant(view),
    )


def notes(view: View) -> tuple[str, ...]:
    """Say what the shutdown interrupts, which settings come into force, and where a standby comes back detached."""
    files = files_of(view.own.facts)
    taken_up = (f"Taken up by this restart: {', '.join(files.pending)}.",) if files and files.pending else ()
    return (*before_a_shutdown(view), *taken_up, *before_a_start(view))


def operate(hands: Hands, order: Order) -> tuple[str, ...]:
    """Checkpoint, shut down (the commit point: no process is left), and start in the standing."""
    primary = hands.standing().role == "primary"
    if primary:
        hands.process.checkpoint()
    hands.cross(order.plan.request.id)
    hands.process.stop()
    ended = says_down(hands.look().instance)
    if not primary:
        settle_upstream(hands, order)
    return (ended, brought_up(hands, order))


def established(plan: Plan, before: Facts, now: Facts, crossed: bool) -> Established:
    """Tell from the process whether the PostgreSQL that ran has ended, and whether another runs."""
    del plan
    if not crossed:
        return NOT_CROSSED
    old, new = before.instance, now.instance
    if old is None or new is None or new.state in {State.UNREACHABLE, State.UNREADABLE}:
        return SILENT
    if new.state is not State.RUNNING:
        return Established(
            result="executed", evidence=f"{says_down(new)}; IT DOES NOT RUN: request start to have it run again"
        )
    if new.started is not None and old.started is not None and new.started != old.started:
        return Established(
            result="executed", evidence=f"the PostgreSQL of {old.started} is gone, and another runs since {new.started}"
        )
    return not_shut_down(before, now)


ACTION = Action(
    name="restart",
    title="Restart {node}",
    summary="A running node's PostgreSQL shuts down cleanly and starts again, in the standing it has.",
    target="running primary or standby",
    arguments=(),
    authority=Role.OPERATOR,
    of_class=ActionClass.RUNNING,
    invariants=(
        Invariant.IN_CHARGE,
        Invariant.CONFIGURATION_AGREES,
        Invariant.JOURNAL_SETTLED,
        Invariant.ROLE_FITS,
        Invariant.POLICY_KNOWN,
        Invariant.RECEIVER_KNOWN,
        Invariant.RUNNING_FITS,
        Invariant.SETTINGS_LOADABLE,
        Invariant.NO_HIGHER_GRANT,
    ),
    effects=(
        "PostgreSQL on {node} shuts down cleanly and starts again, with the settings that its files hold now.",
        "A primary goes on in the term it holds. A standby streams from the upstream it had where that is proven, as "
        "for start; else it comes back detached, and the notes say why.",
    ),
    irreversible=("Every session on {node} is disconnected.",),
    notes=notes,
    loss=no_loss,
    commit_point="The end of the PostgreSQL that runs on {node} now.",
    failures=(
        Failure(
            when="PostgreSQL does not shut down in time.",
            leaves="Unknown until it has: the shutdown goes on by itself, and nothing starts it again afterwards.",
            then="Look at PostgreSQL's server log, ask for the outcome, then request start.",
        ),
        Failure(
            when="PostgreSQL shuts down, and does not start: for want of memory, or by a setting that is sound in "
            "its files and cannot be had, as a library that is not there.",
            leaves="Executed, and DOWN: its server log says why; the error repeats the end of it.",
            then="Mend the cause, then request start.",
        ),
        Failure(
            when="The agent dies after the shutdown.",
            leaves="Executed; a primary stays DOWN, a standby starts with its agent where the configuration says so.",
            then="Ask for the outcome, then request start.",
        ),
    ),
    outage="On a primary, writes stop from its shutdown until it runs again. On a standby, commits wait where too few "
    "synchronous standbys are left.",
    term=no_term,
    judge=judge,
    operate=operate,
    established=established,
    settle=settle,
    writes=restarted,
    since=2,
)
