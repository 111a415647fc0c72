"""Confirming in the browser: by an authenticator that the operator's SSH key endorsed, over the plan's exact bytes.

The page holds no key and signs nothing; what the authenticator says is carried to the control plane, which verifies
it, as the node's agent does again. Without an authenticator the same request is confirmed in a terminal.
"""

from aerodb.control.authenticators import PENDING_A_PERSON_MAX
from aerodb.control.errors import ConfirmationReplayed
from aerodb.control.roles import Right
from aerodb.errors import AeroError
from aerodb.views.credentials import endorsement_words
from aerodb.web.errors import NotTyped
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
        signature = visit.access.assertion(visit.sent("response"))
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
    """Let a plan go unconfirmed, for good, and go on to the request's page.

    Raises:
        AeroError: as the control plane says.
    """
    request = visit.path["request"]
    try:
        visit.access.decline(request)
    except AeroError as error:
        error.request = error.request or request
        raise
    return Onward(to=path_of(request))


def authenticators(visit: Visit) -> Page:
    """Answer with the person's own authenticators."""
    visit.access.require(Right.LOOK)
    allowed = visit.person.role == "operator"
    mine = visit.access.authenticators() if allowed else ()
    waiting = [each for each in mine if each.state == "pending"]
    values = {
        "allowed": allowed,
        "endorsed": [each for each in mine if each.state == "endorsed"],
        "pending": [(each, endorsement_words(each.endorsement.encode())) for each in waiting],
        "full": len(waiting) >= PENDING_A_PERSON_MAX,
        "local": visit.access.cluster.web_is_local,
        "origin": visit.access.cluster.web_origin,
    }
    return Page(template="authenticators.html", here="/authenticators", values=values)


def begin(visit: Visit) -> Json:
    """Answer with what the browser needs in order to make a credential.

    Raises:
        AeroError: the person may have none.
    """
    return Json(value=visit.access.begin_registration())


def register(visit: Visit) -> Onward:
    """Take the browser's new credential, which then awaits its owner's endorsement.

    Raises:
        AeroError: it is none.
    """
    visit.access.finish_registration(visit.sent("response"))
    return Onward(to="/authenticators")
