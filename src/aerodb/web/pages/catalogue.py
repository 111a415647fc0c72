"""The closed catalogue, from the catalogue itself: what each action needs, does, and can leave behind."""

from aerodb.actions import action_named
from aerodb.actions import catalogue as actions
from aerodb.control.roles import Right
from aerodb.rules.invariants import STABILITY, STATEMENTS
from aerodb.views.invariants import DIFFERENT, JUDGED, relied_on_by
from aerodb.web.errors import InvariantUnknown
from aerodb.web.visit import Page, Visit


def catalogue(visit: Visit) -> Page:
    """Answer with the list of actions."""
    visit.access.require(Right.LOOK)
    return Page(template="actions.html", here="/actions", values={"actions": list(actions().values())})


def action(visit: Visit) -> Page:
    """Answer with one action.

    Raises:
        ActionUnknown: the catalogue has none of that name.
    """
    visit.access.require(Right.LOOK)
    found = action_named(visit.path["action"])
    return Page(template="action.html", here="/actions", values={"action": found, "statements": STATEMENTS})


def invariant(visit: Visit) -> Page:
    """Answer with one invariant: what it demands, where it holds, when it is judged, and which actions rely on it.

    Raises:
        InvariantUnknown: these rules have none of that name.
    """
    visit.access.require(Right.LOOK)
    asked = visit.path["invariant"]
    found = next((each for each in STATEMENTS if each.value == asked), None)
    if found is None:
        raise InvariantUnknown(f"these rules have no invariant {asked!r}", field="invariant")
    name, statement = STATEMENTS[found]
    values = {
        "invariant": found.value,
        "name": name,
        "statement": statement,
        "different": DIFFERENT[found],
        "judged": JUDGED[STABILITY[found]],
        "actions": relied_on_by(found),
    }
    return Page(template="invariant.html", here="/actions", values=values)
