"""Signed ahead, in the browser: what a request comes after, and what follows it, on its form and on its page."""

import hashlib
import uuid
from typing import Any, NamedTuple

from aerodb.errors import AeroError
from aerodb.protocol.ahead import AFTER, THEN, Earlier, Later, read_earlier, read_later
from aerodb.protocol.api import AWAITS_TURN, Decision, RequestLine
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.plan import Plan, plan_digest, plan_in
from aerodb.protocol.words import words_of
from aerodb.rules.ahead import over_sentence
from aerodb.rules.arguments import Argument
from aerodb.views.sequence import turn_sentence
from aerodb.web.errors import FormMalformed
from aerodb.web.visit import Visit


class Before(NamedTuple):
    """The request that comes first: its id, and what its form holds; its reason is that of the one after it."""

    request: str
    action: str
    target: str
    arguments: dict[str, str]
    then: str
    reason: str


def choices_before(cluster: Cluster, argument: Argument, request: str) -> dict[str, str]:
    """Return what the request of a form may come after, by its text: each has an id that is this form's own."""
    found = {}
    for action in argument.choices_before:
        for node in cluster.data_nodes:
            drawn = hashlib.sha256(f"{request} after {action} {node}".encode()).digest()[:16]
            earlier = Earlier(action=action, target=node, request=str(uuid.UUID(bytes=drawn, version=4)))
            found[str(earlier)] = earlier.words
    return found


def before(visit: Visit, later: str) -> Before:
    """Return the request that the request `later` comes after, as its plan names it.

    Raises:
        FormMalformed: it comes after none.
        RequestNotFound: the log knows none of that id.
    """
    decision = visit.access.decision(later, sensitive=False)
    plan = _plan(decision)
    if plan is None or AFTER not in plan.request.arguments:
        raise FormMalformed("that request comes after no other one", field="then")
    earlier = read_earlier(plan.request.arguments[AFTER])
    then = Later(request=later, plan=plan_digest(decision.plan or ""))
    return Before(
        request=earlier.request, action=earlier.action, target=earlier.target,
        arguments={"for": plan.request.target, THEN: str(then)}, then=f"{plan.request.action} {plan.request.target}",
        reason=plan.request.reason,
    )  # fmt: skip


def sequence_of(visit: Visit, decision: Decision) -> dict[str, Any]:
    """Return what a request's page says of the one before it, and of the one after it."""
    arguments = decision.line.arguments
    after, then = arguments.get(AFTER), arguments.get(THEN)
    return {
        "after": read_earlier(after) if after else None,
        "turn_sentence": turn_sentence(decision.line.target, read_earlier(after)) if after else "",
        "awaits_turn": decision.line.state == AWAITS_TURN,
        "then": _following(visit, read_later(then)) if then else None,
        "over_sentence": over_sentence(read_later(then).request) if then else "",
    }


class Following(NamedTuple):
    """The request that follows: its line, where it is on record, and its plan's digest words."""

    request: str
    line: RequestLine | None
    words: list[str]


def _following(visit: Visit, later: Later) -> Following:
    try:
        line = visit.access.decision(later.request, sensitive=False).line
    except AeroError:
        line = None
    return Following(later.request, line, words_of(later.plan).split(" "))


def _plan(decision: Decision) -> Plan | None:
    return plan_in(decision.plan) if decision.plan else None
