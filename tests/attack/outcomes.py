"""Whether an outcome is what happened, and there is one a request. Pure."""

from collections.abc import Iterator

from tests.attack.effects import changes, confirmations, results
from tests.attack.history import SLACK_SECONDS, Call, Finding, History, Seen


def one_outcome(history: History) -> tuple[Finding, ...]:
    """Judge whether the signed words on a request agree, and agree with what the person was told."""
    found = []
    for request, said in results(history).items():
        if len(said) > 1:
            words = [word for word in history.words if word.request == request and word.result != "unknown"]
            sources = "; ".join(f"{word.result} ({word.node}, {word.source})" for word in words)
            found.append(f"{request} has contradictory signed outcomes: {sources}")
    known = results(history)
    for call in history.calls:
        if call.result in {"", "unknown", "held"} or call.request not in known or call.result in known[call.request]:
            continue
        found.append(
            f"{call.request} ({call.action} {call.target}) was told as {call.result!r} ({call.code}), and is signed as "
            f"{'/'.join(sorted(known[call.request]))}"
        )
    return _together(found)


def _together(found: list[str]) -> tuple[Finding, ...]:
    """Return one finding for what is wrong in one way."""
    if not found:
        return ()
    return (Finding(property="outcome", text=f"{len(found)}: {'; '.join(found[:3])}"),)


def sights_since(history: History, node: str, since: float) -> list[Seen]:
    """Return how a node looked at a time, and each time that this changed afterwards."""
    sights = [seen for seen in history.seen if seen.node == node]
    before = [seen for seen in sights if seen.at < since - SLACK_SECONDS]
    return [*before[-1:], *(seen for seen in sights if seen.at >= since - SLACK_SECONDS)]


def _executed(history: History, call: Call, since: float) -> str:
    """Return what is missing of a request that is said to be executed."""
    wanted = {"promote": "timeline", "stop": "shutdown", "demote": "shutdown", "start": "ready"}.get(call.action)
    if wanted is not None:
        there = any(
            each.node == call.target and each.kind == wanted and each.at >= since - SLACK_SECONDS
            for each in history.happened
        )
        return "" if there else f"PostgreSQL's log shows no {wanted}"
    sights = sights_since(history, call.target, since)
    if not sights:
        return ""
    if call.action == "fence":
        pledged = any((call.term, call.candidate) in seen.pledges or seen.granted[0] >= call.term for seen in sights)
        above = any(term > call.term for seen in sights for term, _ in seen.pledges)
        return "" if pledged or above else f"no pledge of term {call.term} to {call.candidate} is in its standing"
    if call.action in {"follow", "reclone"}:
        upstream = call.arguments["upstream"]
        return "" if any(seen.upstream == upstream for seen in sights) else f"its settings never named {upstream}"
    return ""


def _effects_of(history: History, call: Call, since: float) -> Iterator[str]:
    """Yield the effects of a request that is said not to be executed."""
    known = results(history)

    def another(actions: set[str], upstream: str = "") -> bool:
        return any(
            other.request != call.request
            and other.target == call.target
            and other.action in actions
            and other.confirmed is not None
            and known.get(other.request) != {"not executed"}
            and (not upstream or other.arguments.get("upstream") == upstream)
            for other in history.calls
        )

    for before, after in changes(history):
        if after.node != call.target or after.at < since:
            continue
        if call.action == "reclone" and before.folder != after.folder and not another({"reclone"}):
            yield f"the folder in use changed from {before.folder} to {after.folder}"
        upstream = call.arguments.get("upstream", "")
        changed = after.upstream == upstream != before.upstream
        if call.action == "follow" and changed and not another({"follow", "reclone", "start"}, ""):
            yield f"its settings came to name {upstream}"
    if call.action in {"promote", "renew"}:
        rows = {row for node in history.final.terms.values() for row in node}
        if (call.term, call.target) in rows and not any(
            other.request != call.request
            and (other.target, other.term) == (call.target, call.term)
            and other.confirmed is not None
            and known.get(other.request) != {"not executed"}
            for other in history.calls
        ):
            yield f"the row of term {call.term} is there"


def outcome_is_effect(history: History) -> tuple[Finding, ...]:
    """Judge each request whose outcome is definite against what PostgreSQL and the files show."""
    logged, known, found = confirmations(history), results(history), []
    for call in history.calls:
        since, said = logged.get(call.request), known.get(call.request, set())
        if since is None or len(said) != 1:
            continue
        named = f"{call.request} ({call.action} {call.target}) is signed as {next(iter(said))}"
        if said == {"executed"}:
            missing = _executed(history, call, since)
            found += [f"{named}: {missing}"] if missing else []
        else:
            found += [f"{named}: {effect}" for effect in _effects_of(history, call, since)]
    return _together(found)
