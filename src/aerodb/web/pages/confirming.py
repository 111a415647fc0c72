"""Confirming in the browser: by an authenticator of the operator's, over the plan's exact bytes.

The page holds no key and signs nothing; what the authenticator says is carried to the control plane, which verifies
it, as the node's agent does again. Without an authenticator the same request is confirmed in a terminal.
"""

from aerodb.control.authenticators import PENDING_A_PERSON_MAX
from aerodb.control.errors import ConfirmationReplayed
from aerodb.control.roles import Right
from aerodb.errors import AeroError
from aerodb.views.credentials import endorsement_words, holding
from aerodb.views.observed import observe, primary_of
from aerodb.views.render import Line
from aerodb.web.errors import NotTyped
from aerodb.web.pages.cluster import status_of
from aerodb.web.pages.requests import path_of, turn_of
from aerodb.web.visit import Json, Onward, Page, Visit


def confirm(visit: Visit) -> Onward:
    """Carry a confirmation to the control plane, once, and go on to the request's page, where its outcome stands.

    Where a second person is due, the requester's is a signature that awaits theirs.

    Raises:
        NotTyped: the name of the node was not typed.
        AeroError: as the control plane says.
    """
    request = visit.path["request"]
    decision = visit.access.decision(request, sensitive=False)
    if visit.form.get("typed", "") != decision.line.target:
        raise NotTyped(f"type {decision.line.target} to confirm", field="typed", request=request)
    try:
        signature = visit.access.assertion(request, visit.sent("response"))
        turn = turn_of(visit, decision)
        if turn.two and turn.mine:
            visit.access.sign_first(request, signature)
        else:
            visit.access.confirm(request, signature)
    except ConfirmationReplayed:
        return Onward(to=path_of(request))
    except AeroError as error:
        error.request = error.request or request
        raise
    return Onward(to=path_of(request))


def decline(visit: Visit) -> Onward:
    """Let a plan go unconfirmed, for good, and go on to the request's page; so too where it was declined already.

    Raises:
        AeroError: as the control plane says.
    """
    request = visit.path["request"]
    line = visit.access.decision(request, sensitive=False).line
    if line.state == "declined" and line.operator == visit.person.name:
        return Onward(to=path_of(request))
    try:
        visit.access.decline(request)
    except AeroError as error:
        error.request = error.request or request
        raise
    return Onward(to=path_of(request))


def authenticators(visit: Visit) -> Page:
    """Answer with all authenticators, where each holds by now, and what awaits its enrolment."""
    visit.access.require(Right.LOOK)
    cluster, allowed = visit.access.cluster, visit.person.role == "operator"
    values: dict[str, object] = {
        "allowed": allowed, "local": cluster.web_is_local, "origin": cluster.web_origin, "rows": (), "pending": (),
        "endorsed": (), "waiting": 0, "full": False, "primary": "",
    }  # fmt: skip
    if allowed:
        values |= _listed(visit)
    return Page(template="authenticators.html", here="/authenticators", values=values)


def _listed(visit: Visit) -> dict[str, object]:
    """Return what the page lists; where something holds is by what the nodes report now."""
    known, chain = visit.access.authenticators(), visit.access.enrolments()
    observed = observe(chain.founding, status_of(visit, judged=False))
    enrolled = {each.credential: holding(chain, observed.facts, each) for each in chain.newest.enrolled}
    pending = [each for each in known if each.state == "pending"]
    waiting = sum(each.operator == visit.person.name for each in pending)
    primary = primary_of(observed)
    return {
        "rows": [(each, Line(*enrolled[each.credential])) for each in known if each.credential in enrolled],
        "pending": [(each, endorsement_words(each.endorsement.encode())) for each in pending],
        "endorsed": [each for each in known if each.state == "endorsed"],
        "waiting": waiting,
        "full": waiting >= PENDING_A_PERSON_MAX,
        "primary": primary.node if primary else "PRIMARY",
    }


def begin(visit: Visit) -> Json:
    """Answer with what the browser needs in order to make a credential.

    Raises:
        AeroError: the person may have none.
    """
    return Json(value=visit.access.begin_registration())


def register(visit: Visit) -> Onward:
    """Take the browser's new credential, which then awaits its enrolment.

    Raises:
        AeroError: it is none.
    """
    visit.access.finish_registration(visit.sent("response"))
    return Onward(to="/authenticators")
