"""The second lock of a request that gives up what was seen of the log: it opens for the log that is named, alone."""

import base64
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from aerodb.actions import catalogue
from aerodb.audit.note import sign_checkpoint, stated_size
from aerodb.audit.tree import consistency_path, hashes_of, leaf_hash
from aerodb.errors import AeroError
from aerodb.kernel import locks
from aerodb.kernel.seen import LogSeen
from aerodb.protocol.marks import mark_of
from aerodb.protocol.plan import Order, Plan
from aerodb.rules.explain import explain
from tests.unit.kernel.test_locks import LOG_KEY, OURS, order_of, root_of
from tests.unit.rules.scenes import having_seen, healthy, request_for, snapshot_of

LOST = [leaf_hash(each) for each in (b"a", b"b", b"c", b"x", b"y", b"z")]
"""The log that the node saw, at 2 and at 6 records; that of `order_of` is the same up to the third."""


def seen_at(size: int) -> str:
    """Return the checkpoint of the lost log at a size."""
    return sign_checkpoint(OURS.origin, size, root_of(LOST[:size]), LOG_KEY)


SEEN = LogSeen(size=6, checkpoint=seen_at(6), earlier=(seen_at(2),))


def plan_for(restored: int, root: bytes | None = None) -> Plan:
    """Return a plan by which the node gives up what it saw, for a log that begins with so many records."""
    named = mark_of(restored, root_of(LOST[:restored]) if root is None else root)
    arguments = {"seen": str(mark_of(6, root_of(LOST))), "restored": str(named)}
    action, scene = catalogue()["accept-log"], having_seen(healthy(OURS), seen_at(6))
    return explain(OURS, action, request_for(action, "n3", arguments), snapshot_of(scene, OURS))


def ordered(plan: Plan, restored: int, earlier: tuple[bytes, ...] = (b"a", b"b", b"c"), within: int = 2) -> Order:
    """Return the order of a plan in a log that has `earlier` before it, with both paths."""
    order = order_of(plan, earlier=earlier)
    leaves = [leaf_hash(each) for each in (*earlier, order.record.encode())]

    def path(size: int) -> tuple[str, ...]:
        found = consistency_path(hashes_of(leaves), size, len(leaves))
        return tuple(base64.b64encode(each).decode() for each in found)

    return replace(order, consistency=path(within) if within else (), restored=path(restored))


def opened(order: Order, plan: Plan, seen: LogSeen = SEEN) -> LogSeen:
    """Open the second lock."""
    return locks.check_logged(OURS, plan, order, seen)


def test_the_log_that_is_named_is_accepted() -> None:
    """What is then remembered: that log, what was seen within its beginning, what was given up and by which request."""
    plan = plan_for(3)
    found = opened(ordered(plan, 3), plan)
    assert (found.size, [stated_size(text) for text in found.checkpoints]) == (4, [4, 2])
    assert [(each.request, each.checkpoint) for each in found.given_up] == [(plan.request.id, SEEN.checkpoint)]


def test_a_node_that_saw_nothing_within_it_has_the_name_alone() -> None:
    """Nothing of it is proven to it; the beginning that the operator names is demanded all the same."""
    plan, seen = plan_for(3), replace(SEEN, earlier=())
    assert opened(ordered(plan, 3, within=0), plan, seen).earlier == ()
    with pytest.raises(AeroError):
        opened(replace(ordered(plan, 3, within=0), restored=()), plan, seen)


def _forked_within() -> tuple[Order, Plan]:
    """Another log from the second record on, that the operator was told is the one restored at 3."""
    lie = (b"a", b"lie", b"c")
    plan = plan_for(3, root_of([leaf_hash(each) for each in lie]))
    return ordered(plan, 3, lie), plan


def _named_otherwise() -> tuple[Order, Plan]:
    plan = plan_for(3)
    return ordered(plan, 3, (b"a", b"b", b"lie")), plan


def _longer_than_it_is() -> tuple[Order, Plan]:
    plan = plan_for(5)
    return replace(ordered(plan, 3), restored=()), plan


def _without(**changes: object) -> Callable[[], tuple[Order, Plan]]:
    def case() -> tuple[Order, Plan]:
        plan = plan_for(3)
        return replace(ordered(plan, 3), **changes), plan

    return case


CASES: dict[str, Callable[[], tuple[Order, Plan]]] = {
    "a fork before what was seen": _forked_within,
    "another beginning than is named": _named_otherwise,
    "more restored than the log has": _longer_than_it_is,
    "no path from what was seen": _without(consistency=()),
    "no path from what is named": _without(restored=()),
    "no base64": _without(restored=("?",)),
}


@pytest.mark.parametrize("name", CASES)
def test_any_other_is_refused(name: str) -> None:
    """By what the node remembers, or by what the operator names; the node remembers what it did."""
    order, plan = CASES[name]()
    with pytest.raises(AeroError) as error:
        opened(order, plan)
    assert (error.value.code, error.value.executed) == ("kernel.log-rewritten", "not executed")


def test_no_other_action_gives_anything_up() -> None:
    """The same log, the same paths, and another action: the log is held to the newest that was seen."""
    action = catalogue()["stop"]
    plan = explain(OURS, action, request_for(action, "n3", {}), snapshot_of(healthy(OURS), OURS))
    with pytest.raises(AeroError) as error:
        opened(ordered(plan, 3), plan)
    assert error.value.code == "kernel.log-rewritten"
