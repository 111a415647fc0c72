"""accept-log: a node gives up what it saw of the audit log, and takes a restored one for the real one.

- It names the gap: the log as the node saw it, and the beginning of it that was restored, each by size and root. The
  node holds both against what it remembers itself: the locks show it that the log in which this very confirmation
  stands begins with what is named, and with the newest that it saw within that. Nothing else is accepted by it.
- It rests on the node's own memory alone, and on nothing of PostgreSQL or of the other nodes: it is the way out where
  everything else is refused.
- It changes no authority, and no id that the node has used becomes free.
"""

from aerodb.protocol.classes import ActionClass
from aerodb.protocol.cluster import Role
from aerodb.protocol.facts import Facts
from aerodb.protocol.marks import Gap, read_mark, stated_mark
from aerodb.protocol.plan import Plan, Request, Verdict
from aerodb.rules.arguments import Argument
from aerodb.rules.charge import in_charge
from aerodb.rules.foresight import unchanged
from aerodb.rules.hands import Hands
from aerodb.rules.invariants import Invariant, holds, violated
from aerodb.rules.specification import (
    NOT_CROSSED,
    Action,
    Established,
    Failure,
    Order,
    no_loss,
    no_term,
    same_standing,
)
from aerodb.rules.view import View


def gives_up(request: Request) -> Gap:
    """Return what a request names.

    Raises:
        MarkMalformed: one of the two is malformed.
    """
    seen, restored = (read_mark(request.arguments.get(name, ""), f"arguments.{name}") for name in ("seen", "restored"))
    return Gap(seen=seen, restored=restored)


def gap_named(view: View) -> Verdict:
    """Judge whether the request names what the target saw of the log, and a shorter beginning of it."""
    gap, newest = gives_up(view.request), stated_mark(view.own.facts.checkpoint)
    if newest is None:
        return violated(
            Invariant.GAP_NAMED, f"{view.node} has seen nothing of the audit log: it has nothing to give up"
        )
    if newest != gap.seen:
        return violated(Invariant.GAP_NAMED, f"{view.node} has seen {newest}; the request gives up {gap.seen}")
    if gap.restored.size >= gap.seen.size:
        return violated(
            Invariant.GAP_NAMED,
            f"what is named as restored has {gap.restored.size} records, and {view.node} has seen {gap.seen.size}: how "
            "far the two logs are the same is less",
        )
    return holds(Invariant.GAP_NAMED, f"{view.node} has seen {newest}, as the request says")


def judge(view: View) -> tuple[Verdict, ...]:
    """Judge whether the target may give up what the request names."""
    return (in_charge(view), gap_named(view))


def lost(gap: Gap) -> str:
    """Return which records are given up, in words."""
    first, last = gap.restored.size, gap.seen.size - 1
    return f"record {first}" if first == last else f"records {first} to {last}"


def notes(view: View) -> tuple[str, ...]:
    """Say what is given up, and what stays."""
    gap, entries = gives_up(view.request), view.own.facts.entries
    if gap.restored.size >= gap.seen.size:
        return ()
    return (
        f"Given up: {lost(gap)} of the log that {view.node} saw. From then on it refuses any log that has them.",
        f"Kept: the ids of all requests in the journal of {view.node} ({entries}) stay used, with their outcomes "
        "(aerodb audit gap).",
    )


def operate(hands: Hands, order: Order) -> tuple[str, ...]:
    """Write down, in one write, what is given up and what is accepted: the commit point."""
    gap, node, request = gives_up(order.plan.request), order.view.node, order.plan.request.id
    hands.cross(request)
    within = hands.accept_log(request)
    after = hands.look()
    proven = (
        f"of what {node} had seen of it, the log of {within} records is the newest within that beginning, and is in it"
        if within
        else f"{node} had seen nothing within that beginning: nothing that it saw is proven to be in it"
    )
    return (
        f"{node} gave up the log {gap.seen} that it saw: {lost(gap)} of it",
        f"it took the log {stated_mark(after.checkpoint)}, which begins with {gap.restored}",
        proven,
        f"the ids of all requests in its journal ({after.entries}) stay used",
    )


def established(plan: Plan, before: Facts, now: Facts, crossed: bool) -> Established:
    """Tell from what the node remembers of the log whether it was accepted: it is one write, or none."""
    del before
    if not crossed:
        return NOT_CROSSED
    if plan.request.id in now.gave_up:
        return Established(
            result="executed", evidence=f"{now.node} has given up the log {plan.request.arguments['seen']}"
        )
    return Established(result="not executed", evidence=f"{now.node} has given up nothing by this request")


ACTION = Action(
    name="accept-log",
    title="Accept a restored audit log on {node}",
    summary="A node gives up what it saw of the audit log beyond what was restored, and acts by the restored log from "
    "then on.",
    target="node that has seen more of the audit log, or another one, than there is",
    arguments=(
        Argument(
            name="seen",
            option="--seen",
            help="the log as the node saw it, by size and root",
            word="giving up",
            itself=True,
            kind="log",
        ),
        Argument(
            name="restored",
            option="--restored",
            help="how far the log was restored, by size and root",
            word="for",
            itself=True,
            kind="log",
        ),
    ),
    authority=Role.OPERATOR,
    of_class=ActionClass.LOG,
    invariants=(Invariant.IN_CHARGE, Invariant.GAP_NAMED),
    effects=(
        "{node} gives up the audit log {seen} that it saw.",
        "It takes the log in which this confirmation stands for the real one, if that begins with {restored}, and with "
        "the newest that {node} itself saw within it.",
    ),
    irreversible=(
        "{node} refuses, from then on, the log that it gave up. What only that one held is in no log any more.",
    ),
    notes=notes,
    loss=no_loss,
    commit_point="{node} has written down, in one write, which log it gave up and which it took.",
    failures=(
        Failure(
            when="The log does not begin with what is named as restored, or with what {node} saw within it.",
            leaves="Not executed; {node} remembers what it did.",
            then="Compare the logs: somebody shows another one than was restored. See aerodb audit gap.",
        ),
        Failure(
            when="The agent dies, or the disk is full, before the one write.",
            leaves="Not executed.",
            then="Ask for the outcome, then request accept-log anew.",
        ),
        Failure(
            when="The agent dies after it.",
            leaves="Executed.",
            then="Ask for the outcome.",
        ),
    ),
    outage="None.",
    term=no_term,
    judge=judge,
    operate=operate,
    established=established,
    settle=same_standing,
    writes=unchanged,
    gives_up=gives_up,
)
