"""Which acknowledged commits a hand alone answers for: named one by one, never a round as a whole.

A hand that weakens the synchronous policy of a running primary, or makes a primary of its own, acknowledges in nobody's
name. What the product could have seen before it acted is not excused: a weakened policy in the files of a node that a
request then started, or a server against its pledge that ran before the next election was confirmed. Pure.
"""

from tests.attack.history import SLACK_SECONDS, Ack, Call, Hand, History

WEAKENED_RUNNING = "weaken running"
WEAKENED_ROLE = "weaken role"
WEAKENED_FILE = "weaken file"
PROMOTED = "promote by hand"
MADE_PRIMARY = "make a primary by hand"
STARTED = "start by hand"
SERVICE = "start by a service manager"
"""It asks the gate first, so nothing that comes of it is excused."""
WAIT_CANCELLED = "cancel a wait"


def _started_by_request(history: History, node: str, after: float, before: float) -> bool:
    """Tell whether a request that was confirmed after a hand's work was executed on the node, and started it."""
    return any(
        call.target == node
        and call.action in {"start", "follow", "reclone", "promote", "renew"}
        and call.result == "executed"
        and call.confirmed is not None
        and after <= call.confirmed <= before
        for call in history.calls
    )


def _weakened(history: History, ack: Ack, hand: Hand) -> bool:
    if hand.begin > ack.end + SLACK_SECONDS:
        return False
    if hand.kind == WEAKENED_ROLE:
        return bool(ack.weak)
    if hand.node != ack.node:
        return False
    if ack.weak:
        return not _started_by_request(history, ack.node, hand.end, ack.begin)
    in_flight = ack.begin <= hand.end + SLACK_SECONDS and hand.begin - SLACK_SECONDS <= ack.end
    return hand.kind == WEAKENED_RUNNING and in_flight


def elections(history: History) -> tuple[Call, ...]:
    """Return the requests by which somebody became a primary, as far as is known or may be."""
    return tuple(
        call for call in history.calls
        if call.action in {"promote", "renew"} and call.confirmed is not None and call.result != "not executed"
    )  # fmt: skip


def _against_its_term(history: History, ack: Ack, hand: Hand) -> bool:
    """Tell whether a hand started a deposed server, after the election of another had been confirmed."""
    if hand.node != ack.node or hand.begin > ack.begin + SLACK_SECONDS:
        return False
    own = max((call.confirmed or 0.0 for call in elections(history) if call.target == ack.node), default=0.0)
    own = own if own <= hand.begin else 0.0
    ended = min((each.at for each in history.happened if _ends(each.node, each.kind, each.at, hand)), default=ack.begin)
    deposed = any(
        call.target != ack.node and own < (call.confirmed or 0.0) <= hand.end + SLACK_SECONDS
        for call in elections(history)
    )
    return deposed and ack.begin <= ended


def _ends(node: str, kind: str, at: float, hand: Hand) -> bool:
    return node == hand.node and kind == "shutdown" and at > hand.end


def _of_hands_making(history: History, ack: Ack, hand: Hand) -> bool:
    if hand.node != ack.node or hand.begin > ack.end:
        return False
    if hand.kind == PROMOTED and hand.timeline:
        return ack.timeline == hand.timeline
    ended = min((each.at for each in history.happened if _ends(each.node, each.kind, each.at, hand)), default=ack.begin)
    return ack.begin <= ended


def excuse(history: History, ack: Ack) -> str:
    """Return the hand that answers for an acknowledged commit; empty where none does."""
    for hand in history.hands:
        if hand.kind in {WEAKENED_RUNNING, WEAKENED_ROLE, WEAKENED_FILE} and _weakened(history, ack, hand):
            return f"{hand.kind} on {hand.node}: {hand.detail}"
        if hand.kind in {PROMOTED, MADE_PRIMARY} and _of_hands_making(history, ack, hand):
            return f"{hand.kind} on {hand.node}"
        if hand.kind == STARTED and _against_its_term(history, ack, hand):
            return f"{hand.kind} on {hand.node}, after the election of another"
    return ""


def stated(history: History, ack: Ack) -> str:
    """Return the executed plan that said beforehand that such a commit could be lost; empty where none did."""
    for call in history.calls:
        if call.claim != "cannot be proven" or call.confirmed is None or call.result == "not executed":
            continue
        source = call.arguments.get("upstream", call.target)
        if ack.node != source and ack.begin <= (call.answered or ack.begin):
            return f"the plan of {call.action} {call.target} said: {call.claim}"
    return ""
