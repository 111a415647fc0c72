"""Whether every effect has its logged confirmation before it, and none comes of a request that is over. Pure.

An effect is what PostgreSQL logs of itself (a new timeline, a clean shutdown, ready), what the journal begins, what
the standing pledges or knows to be granted, what the settings and the link name. Each must have a reason: a request
that was confirmed and logged before, a hand, or the start and end of a host.
"""

from collections.abc import Iterator

from tests.attack.exclusions import MADE_PRIMARY, PROMOTED, SERVICE, STARTED
from tests.attack.history import SLACK_SECONDS, Call, Finding, Happened, History, Seen

BY_ACTION = {
    "timeline": {"promote"},
    "shutdown": {"stop", "demote", "reclone"},
    "ready": {"start", "follow", "reclone"},
}
BY_HAND = {
    "timeline": {PROMOTED, MADE_PRIMARY},
    "shutdown": {"stop by hand", MADE_PRIMARY, STARTED},
    "ready": {STARTED, MADE_PRIMARY, SERVICE},
}
BY_DEED = {"timeline": set[str](), "shutdown": {"interrupted"}, "ready": {"started", "killed", "frozen"}}
UNDONE_MAY = {"shutdown": {"reclone"}, "ready": {"follow", "reclone"}}
"""What a request that is not executed may have done all the same, as its page says."""
AFTERWARDS_SECONDS = 400.0
"""How long after a host's start, or a hand's work, its PostgreSQL's own recovery may end."""


def confirmations(history: History) -> dict[str, float]:
    """Return when each request's confirmation was logged, first."""
    found: dict[str, float] = {}
    for each in history.logged:
        if each.event == "confirmed":
            found[each.request] = min(each.at, found.get(each.request, each.at))
    return found


def results(history: History) -> dict[str, set[str]]:
    """Return the definite results that nodes have signed, by request."""
    found: dict[str, set[str]] = {}
    for word in history.words:
        if word.result != "unknown":
            found.setdefault(word.request, set()).add(word.result)
    return found


class Reasons:
    """What could have caused something on a node at a time."""

    def __init__(self, history: History) -> None:
        """Read when the requests were confirmed, and what became of them."""
        self._history = history
        self._confirmed, self._results = confirmations(history), results(history)

    def requests(self, node: str, at: float, actions: set[str]) -> Iterator[tuple[Call, str]]:
        """Yield the requests that were confirmed before and are not over, each with its definite result, if any."""
        for call in self._history.calls:
            since = self._confirmed.get(call.request)
            if call.target != node or call.action not in actions or since is None or since > at + SLACK_SECONDS:
                continue
            result = "/".join(sorted(self._results.get(call.request, set())))
            over = result == "executed" and call.answered is not None and at > call.answered + SLACK_SECONDS
            if not over or call.result != "executed":
                yield call, result

    def hand(self, node: str, at: float, kinds: set[str]) -> bool:
        """Tell whether a hand did it."""
        return any(
            hand.node == node
            and hand.kind in kinds
            and hand.begin - SLACK_SECONDS <= at <= hand.end + AFTERWARDS_SECONDS
            for hand in self._history.hands
        )

    def deed(self, node: str, at: float, deeds: set[str]) -> bool:
        """Tell whether a host's start or end, or a crash, did it."""
        return any(
            deed.node == node and deed.deed in deeds and 0 <= at - deed.at + SLACK_SECONDS <= AFTERWARDS_SECONDS
            for deed in self._history.deeds
        )


def _happened(reasons: Reasons, each: Happened) -> str:
    named = f"{each.node}: {each.kind} {each.detail} at {each.at:.3f}"
    if reasons.hand(each.node, each.at, BY_HAND[each.kind]) or reasons.deed(each.node, each.at, BY_DEED[each.kind]):
        return ""
    calls = list(reasons.requests(each.node, each.at, BY_ACTION[each.kind]))
    if not calls:
        return f"{named}, and no confirmation was logged before that is a reason for it"
    if all(result == "not executed" and call.action not in UNDONE_MAY.get(each.kind, set()) for call, result in calls):
        return f"{named}, though {calls[-1][0].request} ({calls[-1][0].action}) is signed as not executed"
    return ""


def _pledged(reasons: Reasons, seen: Seen, term: int, candidate: str) -> str:
    calls = [
        (call, result)
        for call, result in reasons.requests(seen.node, seen.at, {"fence", "demote", "promote", "renew"})
        if (call.term, call.candidate) == (term, candidate)
    ]
    named = f"{seen.node} pledged term {term} to {candidate} by {seen.at:.3f}"
    if not calls:
        return f"{named}, and no confirmation was logged before that asks for it"
    if all(result == "not executed" and call.action in {"fence", "demote"} for call, result in calls):
        return f"{named}, though {calls[-1][0].request} ({calls[-1][0].action}) is signed as not executed"
    return ""


def _granted(history: History, reasons: Reasons, seen: Seen) -> str:
    term, node = seen.granted
    calls = [
        (call, result) for call, result in reasons.requests(node, seen.at, {"promote", "renew"}) if call.term == term
    ]
    calls += [
        (call, "executed") for call in history.calls
        if (call.target, call.term, call.result) == (node, term, "executed") and call.action in {"promote", "renew"}
    ]  # fmt: skip
    if not calls:
        return f"{seen.node} knows term {term} granted to {node}, and no confirmation was logged that asks for it"
    if all(result == "not executed" for _, result in calls):
        return f"{seen.node} knows term {term} granted to {node}, though that is signed as not executed"
    return ""


def changes(history: History) -> Iterator[tuple[Seen, Seen]]:
    """Yield each two successive sights of one node."""
    last: dict[str, Seen] = {}
    for seen in sorted(history.seen, key=lambda each: each.at):
        if seen.node in last:
            yield last[seen.node], seen
        last[seen.node] = seen


def _sights(history: History, reasons: Reasons) -> Iterator[str]:
    for before, after in changes(history):
        for term, candidate in after.pledges:
            if (term, candidate) not in before.pledges:
                yield _pledged(reasons, after, term, candidate)
        if after.granted != before.granted:
            yield _granted(history, reasons, after)


def _journals(history: History) -> Iterator[str]:
    logged = confirmations(history)
    plans = {each.request: each.plan for each in history.logged if each.event == "confirmed"}
    for begun in history.begun:
        if begun.request not in logged:
            yield f"{begun.node} began {begun.request}, which no log holds a confirmation of"
        elif logged[begun.request] > begun.at + SLACK_SECONDS:
            yield f"{begun.node} began {begun.request} at {begun.at:.3f}, before its confirmation was logged"
        elif plans[begun.request] != begun.plan:
            yield f"{begun.node} began {begun.request} with another plan than the confirmed one"


def _turns(history: History) -> Iterator[str]:
    """Yield what was begun although the request that it comes after is not signed as executed."""
    after = {call.request: call.arguments["after"] for call in history.calls if "after" in call.arguments}
    known = results(history)
    for begun in history.begun:
        earlier = after.get(begun.request)
        if earlier is not None and "executed" not in known.get(earlier.rpartition(":")[2], set()):
            yield f"{begun.node} began {begun.request}, which comes after {earlier}; that is not signed as executed"


def confirmed_first(history: History) -> tuple[Finding, ...]:
    """Judge every effect."""
    reasons = Reasons(history)
    found = [*(_happened(reasons, each) for each in history.happened), *_sights(history, reasons), *_journals(history)]
    found += _turns(history)
    return tuple(Finding(property="confirmed first", text=text) for text in found if text)
