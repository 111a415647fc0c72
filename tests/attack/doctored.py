"""Histories as they would be if a fault had happened: one fault each, on the history of a quiet failover. Pure.

Each is what the harness would have written down; the checker must say so of the named property, and of no other. And
each has a twin with the circumstance that excuses it, of which the checker must say nothing.
"""

from collections.abc import Callable

from msgspec.structs import replace

from tests.attack.exclusions import PROMOTED, STARTED, WEAKENED_FILE, WEAKENED_RUNNING
from tests.attack.history import Ack, Begun, Call, Deed, Final, Hand, Happened, History, Logged, Seen, Told, Way, Word

OLD_UNTIL, FENCED, PROMOTED_AT, END = 10.0, 12.0, 14.0, 20.0


def ack(number: int, node: str, timeline: int, at: float, weak: str = "") -> Ack:
    """Return a row that was acknowledged within ten milliseconds."""
    return Ack(number=number, writer="w", node=node, timeline=timeline, weak=weak, begin=at, end=at + 0.01)


def call(request: str, action: str, target: str, at: float, term: int = 0, **arguments: str) -> Call:
    """Return a request that was asked, confirmed and executed within a second."""
    return Call(
        request=request, action=action, target=target, arguments={k.rstrip("_"): v for k, v in arguments.items()},
        term=term, claim="none", statement="", accepted=True, asked=at - 0.2, confirmed=at, answered=at + 0.8,
        result="executed",
    )  # fmt: skip


def logged(request: str, at: float) -> Logged:
    """Return the record of a confirmation."""
    return Logged(log="control", event="confirmed", request=request, plan=f"plan of {request}", at=at + 0.01)


def word(request: str, node: str, result: str = "executed") -> Word:
    """Return a signed outcome."""
    return Word(request=request, node=node, result=result, established=False, source="the journal")


def begun(request: str, node: str, at: float) -> Begun:
    """Return a journal's entry."""
    return Begun(node=node, request=request, plan=f"plan of {request}", at=at + 0.05)


def seen(node: str, at: float, granted: tuple[int, str], *pledges: tuple[int, str], upstream: str = "") -> Seen:
    """Return a sight of a node."""
    return Seen(
        node=node, at=at, pledges=pledges, granted=granted, role="standby", upstream=upstream, folder="data-0001"
    )


CALLS = (
    call("f2", "fence", "n2", FENCED, 2, for_="n2"),
    call("f3", "fence", "n3", FENCED + 1, 2, for_="n2"),
    call("p2", "promote", "n2", PROMOTED_AT, 2),
    call("w3", "follow", "n3", PROMOTED_AT + 1, upstream="n2"),
)
FAILOVER = History(
    seed=0,
    shape="three",
    quorum=1,
    acks=(
        *(ack(number, "n1", 1, number / 10) for number in range(1, 100)),
        *(ack(number, "n2", 2, 15.5 + number / 100) for number in range(100, 200)),
    ),
    calls=CALLS,
    logged=tuple(logged(each.request, each.confirmed or 0) for each in CALLS),
    words=tuple(word(each.request, each.target) for each in CALLS),
    begun=tuple(begun(each.request, each.target, each.confirmed or 0) for each in CALLS),
    happened=(Happened(node="n2", at=PROMOTED_AT + 0.2, kind="timeline", detail="2"),),
    seen=(
        *(seen(node, 0, (1, "n1"), upstream="" if node == "n1" else "n1") for node in ("n1", "n2", "n3")),
        seen("n2", FENCED + 0.3, (1, "n1"), (2, "n2")),
        seen("n3", FENCED + 1.3, (1, "n1"), (2, "n2")),
        seen("n2", PROMOTED_AT + 0.5, (2, "n2"), (2, "n2")),
        seen("n3", PROMOTED_AT + 1.5, (2, "n2"), (2, "n2"), upstream="n2"),
    ),
    told=(
        Told(node="n1", begin=5, end=5.01, primary=True),
        Told(node="n1", begin=18, end=18.01, primary=False),
        Told(node="n2", begin=18, end=18.01, primary=True),
    ),
    deeds=(Deed(what="postgres", node="n1", deed="killed hard", at=OLD_UNTIL),),
    way=Way(found=True, primary="n2", steps=()),
    final=Final(rows=tuple(range(1, 200)), terms={"n2": ((1, "n1"), (2, "n2")), "n3": ((1, "n1"), (2, "n2"))}),
)
"""n1 dies, n2 is elected with n3's pledge, n3 follows: everything is as it should be."""


def without(history: History, *rows: int) -> History:
    """Return the history in which the last primary lacks some rows."""
    left = tuple(row for row in history.final.rows or () if row not in rows)
    return replace(history, final=replace(history.final, rows=left))


def told_otherwise(history: History, request: str, result: str) -> History:
    """Return the history in which a request's only signed outcome, and what the person was told, is another."""
    return replace(
        history,
        words=tuple(replace(each, result=result) if each.request == request else each for each in history.words),
        calls=tuple(replace(each, result=result) if each.request == request else each for each in history.calls),
    )


def with_acks(history: History, *acks: Ack) -> History:
    """Return the history with more rows, which the last primary has too."""
    rows = (*(history.final.rows or ()), *(each.number for each in acks))
    return replace(history, acks=(*history.acks, *acks), final=replace(history.final, rows=rows))


def unlogged(history: History, request: str) -> History:
    """Return the history in which a confirmation was never logged."""
    return replace(history, logged=tuple(each for each in history.logged if each.request != request))


def of_hand(history: History, kind: str, node: str, at: float, timeline: int = 0) -> History:
    """Return the history with a hand in it."""
    hand = Hand(kind=kind, node=node, begin=at, end=at + 0.1, timeline=timeline, detail="a hand's")
    return replace(history, hands=(*history.hands, hand))


def alone(history: History) -> History:
    """Return the history in which n1's last rows were acknowledged under a weaker policy, and are lost."""
    acks = tuple(replace(each, weak="''") if each.number in {98, 99} else each for each in history.acks)
    return without(replace(history, acks=acks), 98, 99)


def _late(history: History) -> History:
    """Return the history in which the old primary acknowledges after the new one has."""
    return with_acks(history, ack(900, "n1", 1, 19.0))


def _started_since(history: History) -> History:
    """Return the history in which a request started n1 before its last rows."""
    more = call("s1", "start", "n1", 9.0)
    return replace(
        history, calls=(more, *history.calls), logged=(logged("s1", 9.0), *history.logged),
        words=(word("s1", "n1"), *history.words), begun=(begun("s1", "n1", 9.0), *history.begun),
        happened=(Happened(node="n1", at=9.2, kind="ready", detail="writable"), *history.happened),
    )  # fmt: skip


FAULTS: dict[str, tuple[str, Callable[[History], History]]] = {
    "an acknowledged row is lost": ("lost", lambda h: without(h, 98)),
    "rows are lost under a weaker policy that no hand made": ("lost", alone),
    "a request started the node whose files a hand had weakened": (
        "lost", lambda h: alone(_started_since(of_hand(h, WEAKENED_FILE, "n1", 5.0))),
    ),
    "a hand on another node excuses nothing": ("lost", lambda h: alone(of_hand(h, WEAKENED_RUNNING, "n3", 9.0))),
    "a hand that came later excuses nothing": ("lost", lambda h: alone(of_hand(h, WEAKENED_RUNNING, "n1", 11.0))),
    "two nodes on one timeline": ("one writer", lambda h: with_acks(h, ack(900, "n3", 2, 15.0))),
    "an older primary acknowledges after a newer one": ("one writer", _late),
    "a deposed server was running before the election was confirmed": (
        "one writer", lambda h: _late(of_hand(h, STARTED, "n1", PROMOTED_AT - 1)),
    ),
    "two nodes hold a term": (
        "one writer", lambda h: replace(h, final=replace(h.final, terms={**h.final.terms, "n1": ((2, "n1"),)})),
    ),
    "a promotion whose confirmation nobody logged": ("confirmed first", lambda h: unlogged(h, "p2")),
    "a pledge whose confirmation nobody logged": ("confirmed first", lambda h: unlogged(h, "f3")),
    "a timeline that nobody asked for": (
        "confirmed first",
        lambda h: replace(h, happened=(*h.happened, Happened(node="n3", at=16.0, kind="timeline", detail="3"))),
    ),
    "a clean shutdown that nobody asked for": (
        "confirmed first",
        lambda h: replace(h, happened=(*h.happened, Happened(node="n3", at=16.0, kind="shutdown", detail="fast"))),
    ),
    "an operation that began before its confirmation was logged": (
        "confirmed first", lambda h: replace(h, begun=(*h.begun[1:], replace(h.begun[0], at=FENCED - 0.5))),
    ),
    "an operation with another plan": (
        "confirmed first", lambda h: replace(h, begun=(*h.begun[1:], replace(h.begun[0], plan="another"))),
    ),
    "a promotion signed as not executed": ("confirmed first", lambda h: told_otherwise(h, "p2", "not executed")),
    "a pledge signed as not executed": ("confirmed first", lambda h: told_otherwise(h, "f3", "not executed")),
    "a promotion whose turn never came": (
        "confirmed first",
        lambda h: replace(
            h, calls=tuple(replace(c, arguments={"after": "demote:n1:d1"}) if c.request == "p2" else c for c in h.calls)
        ),
    ),
    "a follow signed as not executed": ("outcome", lambda h: told_otherwise(h, "w3", "not executed")),
    "two contradictory outcomes": (
        "outcome", lambda h: replace(h, words=(*h.words, word("p2", "n2", "not executed"))),
    ),
    "the person was told otherwise": (
        "outcome",
        lambda h: replace(
            h, calls=tuple(replace(c, result="not executed") if c.request == "w3" else c for c in h.calls)
        ),
    ),
    "a promotion signed as executed that never was": (
        "outcome", lambda h: replace(h, happened=(), seen=h.seen),
    ),
    "/primary is 200 on a node that was replaced": (
        "told", lambda h: replace(h, told=(*h.told, Told(node="n1", begin=19, end=19.01, primary=True))),
    ),
    "/primary is 200 and nothing is acknowledged": (
        "told",
        lambda h: replace(
            h, told=(*h.told, *(Told(node="n2", begin=at, end=at + 0.01, primary=True) for at in range(30, 60)))
        ),
    ),
    "no way out": ("way out", lambda h: replace(h, way=Way(found=False, primary="", steps=("start n1",)))),
}  # fmt: skip
"""By what happened: the property that it breaks, and the history."""

EXCUSED: dict[str, Callable[[History], History]] = {
    "a hand weakened the running primary": lambda h: alone(of_hand(h, WEAKENED_RUNNING, "n1", 9.0)),
    "a hand weakened a folder and started it itself": lambda h: alone(of_hand(h, WEAKENED_FILE, "n1", 5.0)),
    "a hand promoted a standby, which acknowledged": lambda h: without(
        with_acks(
            replace(
                of_hand(h, PROMOTED, "n3", 15.0, 7),
                happened=(*h.happened, Happened(node="n3", at=15.05, kind="timeline", detail="7")),
            ),
            ack(900, "n3", 7, 15.2),
        ),
        900,
    ),
    "a hand started a deposed server after the election": lambda h: without(
        _late(of_hand(h, STARTED, "n1", PROMOTED_AT + 2)), 900
    ),
    "a frozen sender kept /primary on": lambda h: replace(
        h,
        told=(*h.told, Told(node="n1", begin=19, end=19.01, primary=True)),
        deeds=(*h.deeds, Deed(what="walsender", node="n1", deed="frozen", at=9.0)),
    ),
    "a stopped receiver kept /primary on": lambda h: replace(
        h,
        told=(*h.told, *(Told(node="n2", begin=at, end=at + 0.01, primary=True) for at in range(30, 60))),
        deeds=(*h.deeds, *(Deed(what="walreceiver", node="n3", deed="frozen", at=at) for at in (30.0, 45.0))),
    ),
    "it is not known what the last primary holds": lambda h: replace(h, final=replace(h.final, rows=None)),
}
