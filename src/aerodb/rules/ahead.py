"""Signed ahead: the judgement of a request that comes after another one, on what that one is foreseen to leave.

- What is judged foreseen is a pure function of the state of now and of the earlier request, which its action's own file
  gives. Nothing else is foreseen: no other node does anything meanwhile.
- Only what needs the earlier request's pledge may be foreseen. All else holds now, and would still hold then.
- It counts for nothing when the order is run: then every invariant is judged on what is so.

Pure: no I/O, no clock.
"""

from msgspec.structs import replace

from aerodb.protocol.ahead import AFTER, THEN, Earlier, Held, read_earlier, read_later
from aerodb.protocol.plan import Request, Result, Verdict
from aerodb.rules.charge import judge_in_charge, out_of_charge
from aerodb.rules.invariants import Invariant, holds, unknown, violated
from aerodb.rules.specification import Action, Foreseen
from aerodb.rules.view import View

FORESEEABLE = frozenset(
    {Invariant.PLEDGES_KEPT, Invariant.ELECTION_QUORUM, Invariant.COMMIT_QUORUM, Invariant.WAL_PREFIX}
)
"""What needs the pledge that the earlier request makes: only this may be foreseen."""
AGREED = frozenset({Result.HOLDS, Result.FORESEEN})
"""The verdicts with which a plan is accepted. Foreseen is never said but where the plan names an earlier request."""


def earlier_of(request: Request) -> Earlier | None:
    """Return the request that another one comes after; None if it comes after none."""
    text = request.arguments.get(AFTER)
    return None if text is None else read_earlier(text)


def foreseen(view: View, action: Action) -> Foreseen | None:
    """Return what the earlier request would leave; None where the request comes after none."""
    earlier = earlier_of(view.request)
    if earlier is None or action.foresees is None:
        return None
    return action.foresees(view, earlier)


def judged(view: View, action: Action, ahead: Foreseen | None) -> tuple[Verdict, ...]:
    """Return the verdicts on a request: on what is so now and, where it comes after another one, `ahead` too."""
    now, earlier = judge_in_charge(action, view), earlier_of(view.request)
    if ahead is None or earlier is None or out_of_charge(view.cluster, view.own.facts):
        return now
    if ahead.view is None:
        return tuple(_blind(verdict, ahead.why) for verdict in now)
    then = {each.invariant: each for each in action.judge(ahead.view)}
    return tuple(_both(verdict, then[verdict.invariant], earlier) for verdict in now)


def _both(now: Verdict, then: Verdict, earlier: Earlier) -> Verdict:
    said = f"once {earlier.words} is executed: {then.evidence}"
    if then.result is not Result.HOLDS:
        return replace(then, evidence=said)
    if Invariant(now.invariant) not in FORESEEABLE or now == then:
        return now
    return replace(now, result=Result.FORESEEN, evidence=said)


def _blind(now: Verdict, why: str) -> Verdict:
    """Return a verdict where nothing can be foreseen: what would have to be stays as it is now, and says why."""
    if Invariant(now.invariant) not in FORESEEABLE:
        return now
    return replace(now, result=Result.VIOLATED, evidence=f"nothing can be foreseen: {why}")


def held_of(view: View, node: str) -> Held | None:
    """Return the order that a node reports to hold; None if it holds none, or does not report."""
    peer = view.everyone().get(node)
    return (peer.facts.held or None) if peer is not None else None


def successor_holds(view: View, successor: str) -> Verdict:
    """Judge whether the successor holds the order that the request names as the one after it."""
    text = view.request.arguments.get(THEN)
    if text is None:
        return holds(Invariant.SUCCESSOR_HOLDS, f"{successor} is to act by a request of its own, which is not made yet")
    if successor not in view.everyone():
        return unknown(Invariant.SUCCESSOR_HOLDS, f"{successor} did not report")
    wanted, held = read_later(text), held_of(view, successor)
    if held is None:
        return violated(Invariant.SUCCESSOR_HOLDS, f"{successor} holds no order")
    if (held.request, held.plan) != (wanted.request, wanted.plan):
        return violated(
            Invariant.SUCCESSOR_HOLDS, f"{successor} holds the order of request {held.request}, not of {wanted.request}"
        )
    this = str(Earlier(action=view.request.action, target=view.node, request=view.request.id))
    if held.after != this:
        return violated(Invariant.SUCCESSOR_HOLDS, f"the order that {successor} holds comes after {held.after}")
    if held.term != view.term:
        return violated(
            Invariant.SUCCESSOR_HOLDS,
            f"the order that {successor} holds is for term {held.term}; this would pledge term {view.term}",
        )
    return holds(
        Invariant.SUCCESSOR_HOLDS,
        f"{successor} holds the order to {held.action}, for term {held.term} and this request",
    )


def foreseen_writes(now: str, earlier: Earlier, then: tuple[str, ...]) -> tuple[str, ...]:
    """Return what a plan says of the writes: now, and in the sentences `then` once the earlier request is executed."""
    return (now, *(each.replace("Writes now", f"Writes once {earlier.words} is executed", 1) for each in then))


def sequence_notes(view: View) -> tuple[str, ...]:
    """Say what follows this request, or what it follows, and what becomes of it where that is not executed."""
    earlier, then = earlier_of(view.request), view.request.arguments.get(THEN)
    if earlier is not None:
        return (
            f"IT COMES AFTER {earlier.words} (request {earlier.request}), and is signed before it. {view.node} holds "
            f"the order in memory, and runs it once {earlier.target} has signed that it executed that request, and has "
            "pledged; every invariant is judged again then.",
            f"Unless that request is executed, this one never is. Where no outcome of it comes although "
            f"{earlier.target} is down, fence {view.node} first: that drops the order.",
            f"What is said here of writes, loss and what stays behind is of the state that {earlier.words} is foreseen "
            "to leave.",
        )
    successor = view.request.arguments.get("for", "")
    held = held_of(view, successor)
    if held is None:
        return ()
    if then is None:
        return _not_run(view, successor, held)
    return (
        f"THEN {successor} runs the order that it holds: {held.action} {successor}, request {held.request}, by the "
        f"plan of digest {held.plan}, which is signed already. Nobody is asked again.",
    )


def _not_run(view: View, successor: str, held: Held) -> tuple[str, ...]:
    """Say of a demotion which order that its successor holds for one it will not run."""
    before, _, asked = held.after.rpartition(":")  # A node may say anything: not parsed.
    if view.request.action != "demote" or before != f"demote:{view.node}":
        return ()
    return (
        f"{successor} HOLDS AN ORDER THAT THIS DOES NOT RUN: {held.action} {successor}, request {held.request}, which "
        f"is signed already and comes after another request, {asked}. This one leaves writes stopped until {successor} "
        f"is promoted by one more request. To run both at once, decline this, and type: aerodb demote {view.node} "
        f"--for {successor} --then {held.request}.",
    )


def over_sentence(later: str) -> str:
    """Say what becomes of a held order where the request before it will not be executed: that one's id is used."""
    return (
        f"The order that was to follow has no other turn, and is withdrawn: aerodb show {later}. "
        f"Where it is held still: aerodb decline {later}. Ask for both anew."
    )
