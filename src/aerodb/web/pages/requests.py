"""A request in the browser: choose, read the plan by weight, and see what became of it.

- Nothing is chosen beforehand. A form's id is in its address, and is the request's: reloading, going back, a double
  click and a second tab all lead to the one request that was made, never to another.
- What a page shows is the log's, and what awaits a confirmation is the process's; the browser keeps nothing.
"""

import hashlib
import hmac
import unicodedata
import uuid
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import msgspec

from aerodb.actions import action_named, catalogue, needs_second
from aerodb.audit.checks import Asked, check_outcome
from aerodb.audit.proof import fault_of
from aerodb.audit.record import Record, decode_record
from aerodb.control.errors import RequestKnown
from aerodb.control.roles import Right
from aerodb.errors import AeroError
from aerodb.protocol.api import AWAITS_SECOND, NOT_HELD, Ask, Cell, Decision
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.plan import plan_digest, plan_in
from aerodb.protocol.words import words_of
from aerodb.rules.arguments import KINDS
from aerodb.rules.explain import REASON_CHARACTERS_MAX, REQUEST_ID
from aerodb.rules.second import who_could
from aerodb.rules.specification import Action
from aerodb.views.matrix import misfits, unnamed
from aerodb.views.observed import Remark, observe, step_of
from aerodb.views.proofs import proofs_remarks
from aerodb.views.render import Line, outcome_lines, unsigned_outcome_lines
from aerodb.views.requests import CONFIRMING, LAPSED, NOTHING_ASKED, state_style
from aerodb.views.sheet import sheet
from aerodb.views.watching import REJECTED, watched_notice
from aerodb.web.errors import FormMalformed
from aerodb.web.pages.cluster import status_of
from aerodb.web.pages.sequence import before, choices_before, sequence_of
from aerodb.web.visit import Json, Onward, Page, Visit

REQUESTS_A_PAGE = 100
OWN_FORMS = {"configure": "/configuration/change"}
"""The actions that are asked for by a form of their own, since nobody types what they take as it is."""


def listing(visit: Visit) -> Page:
    """Answer with the requests, the newest first."""
    found = visit.access.requests(visit.before(), REQUESTS_A_PAGE)
    values = {"lines": found.requests, "next": found.next, "newest": visit.before() is None, "none": NOTHING_ASKED}
    return Page(template="requests.html", here="/requests", values=values)


def path_of(request: str) -> str:
    """Return the path of a request's page; whatever was typed stays one segment of it."""
    return f"/requests/{quote(request, safe='', errors='replace')}"


def options_for(visit: Visit, plan_text: str) -> str:
    """Return what the browser needs in order to have a plan confirmed, as JSON; nothing where it cannot."""
    try:
        return msgspec.json.encode(visit.access.confirming_options(plan_text)).decode()
    except AeroError:
        return ""


# Asking ---------------------------------------------------------------------------------------------------------------


def form_id(visit: Visit, action: str) -> str:
    """Return the id of a new form: the same for every tab of a session until the log has grown."""
    text = f"request {action} {visit.access.log_size}".encode()
    return str(uuid.UUID(bytes=hmac.digest(visit.session.encode(), text, hashlib.sha256)[:16], version=4))


def new(visit: Visit) -> Page | Onward:
    """Answer with the choice of an action, or with its form, or with the request that the form became.

    An action that has a form of its own leads there.
    """
    visit.access.require(Right.REQUEST)
    if "action" not in visit.query:
        values = {"actions": list(catalogue().values()), "notice": watched_notice(visit.access.cluster)}
        return Page(template="request_choice.html", here="/requests", values=values)
    action = action_named(visit.query["action"])
    if action.name in OWN_FORMS:
        return Onward(to=OWN_FORMS[action.name])
    request, first = visit.query.get("id", ""), before(visit, visit.query["then"]) if "then" in visit.query else None
    if first is not None and (request, action.name) != (first.request, first.action):
        asked = {"action": first.action, "id": first.request, "then": visit.query["then"]}
        return Onward(to="/requests/new?" + urlencode(asked))
    if not request:
        return Onward(to="/requests/new?" + urlencode({"action": action.name, "id": form_id(visit, action.name)}))
    if not REQUEST_ID.fullmatch(request):
        raise FormMalformed("a request's id is a UUID in lower case", field="id")
    if visit.access.knows(request) and not (first is not None and _comes_again(visit, request)):
        return Onward(to=path_of(request))
    values = form_values(visit.access.cluster, action, request, _cells(visit))
    return Page(template="request_form.html", here="/requests", values={**values, "first": first})


def _comes_again(visit: Visit, request: str) -> bool:
    """Tell whether nothing was planned under an id yet, which a held order names: it is asked for under it again."""
    return visit.access.decision(request, sensitive=False).line.state == "refused"


def _cells(visit: Visit) -> tuple[Cell, ...]:
    """Return what would be accepted now; nothing where that cannot be judged now."""
    try:
        return visit.access.status(sensitive=False, judged=True).matrix
    except AeroError:
        return ()


def form_values(cluster: Cluster, action: Action, request: str, cells: tuple[Cell, ...] = ()) -> dict[str, Any]:
    """Return what the form of a request for `action` shows: nothing is chosen in it.

    By the `cells` of the matrix, nodes are not offered that cannot act, or be named, now; each with why not.
    """
    names = [member.name for member in cluster.members]
    misfitting, unoffered = misfits(action.name, names, cells), dict[str, dict[str, str]]()
    if cluster.watched:  # No request of some actions is among the cells.
        misfitting = dict.fromkeys(names, REJECTED) | misfitting
    choices = dict[str, tuple[str, ...] | None]()
    before_this = dict[str, dict[str, str]]()
    for argument in action.arguments:
        values = argument.values(cluster)
        if argument.kind == "node" and values is not None:
            unoffered[argument.name] = unnamed(action.name, argument.name, values, cells)
            values = tuple(each for each in values if each not in unoffered[argument.name])
        if argument.choices_before:
            apart = {
                f"{earlier} {name}": why
                for earlier in argument.choices_before
                for name, why in misfits(earlier, cluster.data_nodes, cells).items()
            }
            found = choices_before(cluster, argument, request)
            before_this[argument.name] = {text: words for text, words in found.items() if words not in apart}
            unoffered[argument.name] = apart
        choices[argument.name] = values
    return {
        "action": action,
        "request": request,
        "members": [member for member in cluster.members if member.name not in misfitting],
        "misfitting": misfitting,
        "unoffered": unoffered,
        "choices": choices,
        "before": before_this,
        "first": None,
        "kinds": KINDS,
        "reason_characters_max": REASON_CHARACTERS_MAX,
        "notice": watched_notice(cluster),
    }


def ask(visit: Visit) -> Onward:
    """Ask for one action, once, and go on to its plan; where the request is there already, go on to that.

    Raises:
        FormMalformed: something was not chosen; nothing was asked for.
        AeroError: as the control plane says.
    """
    action = action_named(visit.sent("action"))
    request = visit.sent("id")
    asked = Ask(
        action=action.name,
        target=visit.sent("target"),
        arguments={
            argument.name: text
            for argument in action.arguments
            if (text := visit.sent(f"argument.{argument.name}", optional=argument.optional))
        },
        reason=unicodedata.normalize("NFC", visit.sent("reason")).replace("\r\n", " ").strip(),
    )
    try:
        visit.access.ask(request, asked)
    except RequestKnown:
        return Onward(to=path_of(request))
    except AeroError as error:
        error.request = error.request or request
        raise
    return Onward(to=path_of(request))


# Whose turn it is -----------------------------------------------------------------------------------------------------


class Turn(NamedTuple):
    """Who signs a plan next: `waits` for a signature at all, `two` are due, the requester has signed `first`.

    `mine` is of who asked, `signs` of whose turn it is; `could` are who could be the second person.
    """

    waits: bool
    two: bool
    first: bool
    mine: bool
    signs: bool
    could: tuple[str, ...]


def turn_of(visit: Visit, decision: Decision) -> Turn:
    """Return whose signature a request awaits, as the person who looks sees it."""
    line, name = decision.line, visit.person.name
    plan = shown_plan(decision)["plan"]
    mine, first = line.operator == name, line.state == AWAITS_SECOND
    waits = plan is not None and (first or line.state == "planned")
    under = visit.access.configuration(plan.configuration) if waits else visit.access.cluster
    two = waits and needs_second(under, plan.request)
    could = who_could(under, line.operator) if two else ()
    signs = waits and (name in could if first else mine)
    return Turn(waits=waits, two=two, first=first, mine=mine, signs=signs, could=could)


# One request ----------------------------------------------------------------------------------------------------------


def one(visit: Visit) -> Page:
    """Answer with a request: its plan, its state, and what a person can do about it.

    Raises:
        RequestNotFound: the log knows none of that id.
    """
    decision = visit.access.decision(visit.path["request"], sensitive=False)
    line, turn, step = decision.line, turn_of(visit, decision), step_now(visit, decision)
    values = {
        **shown_plan(decision),
        "line": line,
        "turn": turn,
        "records": [*records_of(decision), *((each.sequence, each) for each in decision.events)],
        "proofs": proofs_of(visit.access.cluster, decision),
        "redacted": bool(decision.events),
        "outcome": outcome_of(visit.access.cluster, decision),
        "confirming": CONFIRMING,
        "lapsed": LAPSED,
        "over": line.state if line.state in {"declined", "lapsed"} else "",
        "words": words_of(line.plan).split(" ") if line.plan else [],
        "options": options_for(visit, decision.plan) if turn.signs and decision.plan else "",
        "step": step,
        **sequence_of(visit, decision),
        "may_ask_outcome": visit.person.role == "operator"
        and line.state in {"confirmed", "triggered", "unknown", NOT_HELD}
        and not step,
    }
    return Page(template="request.html", here="/requests", values=values)


def step_now(visit: Visit, decision: Decision) -> str:
    """Return what a node does for a request that is confirmed and has no outcome; empty if it is not at work at it.

    The nodes are looked at for it, which records nothing.
    """
    line = decision.line
    if line.state != "confirmed":
        return ""
    return step_of(observe(visit.access.cluster, status_of(visit, judged=False)), line.target, line.request)


def progress(visit: Visit) -> Json:
    """Answer with what a node does for a request now.

    Raises:
        RequestNotFound: the log knows none of that id.
    """
    return Json(value={"step": step_now(visit, visit.access.decision(visit.path["request"], sensitive=False))})


def shown_plan(decision: Decision) -> dict[str, Any]:
    """Return a decision's plan, as a document by weight, and as its exact text; None where it has none."""
    if decision.shown is not None:
        made = sheet(decision.shown, decision.line.plan or "", redacted=True)
        return {"plan": decision.shown, "plan_text": "", "sheet": made}
    if decision.plan is None:
        return {"plan": None, "plan_text": "", "sheet": None}
    plan = plan_in(decision.plan)
    return {"plan": plan, "plan_text": decision.plan, "sheet": sheet(plan, plan_digest(decision.plan))}


def records_of(decision: Decision) -> list[tuple[int, Record]]:
    """Return a decision's records with their numbers."""
    return [(entry.sequence, decode_record(entry.record.encode())) for entry in decision.records]


def proofs_of(cluster: Cluster, decision: Decision) -> list[Remark]:
    """Return what the proofs of a decision's records are worth, verified here."""
    pairs = zip(decision.records, decision.proofs, strict=True)
    return proofs_remarks(
        {each.sequence: fault_of(proof, cluster.log_key, each.sequence, each.record) for each, proof in pairs}
    )


def outcome_of(cluster: Cluster, decision: Decision) -> list[Line]:
    """Return the last outcome of a request as lines; what no agent signed is said to be so."""
    seen = [each for each in decision.events if each.event in {"outcome", "established"}]
    if seen:
        result = seen[-1].result
        return [Line(state_style(result), f"{result.upper()}. What the node said is redacted for your role.")]
    ended = [record for _, record in records_of(decision) if record.event in {"outcome", "established"}]
    if not ended:
        return []
    last = ended[-1]
    if last.outcome is None:
        return unsigned_outcome_lines(last.result, last.code, last.message)
    try:
        asked = Asked(last.request, last.target, last.plan)
        return outcome_lines(check_outcome(cluster, asked, last.result, last.outcome))
    except AeroError as error:
        return [Line("bad", f"The outcome on record does not verify: {error.message}")]


def ask_outcome(visit: Visit) -> Onward:
    """Ask the agent what became of a request, and go back to its page; nothing is tried again.

    Raises:
        AeroError: the agent does not say, or there is nothing to ask for.
    """
    request = visit.path["request"]
    try:
        visit.access.outcome(request)
    except AeroError as error:
        error.request = error.request or request
        raise
    return Onward(to=path_of(request))
