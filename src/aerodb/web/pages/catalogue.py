"""The closed catalogue, from the catalogue itself: what each action needs, does, and can leave behind."""

from aerodb.actions import action_named
from aerodb.actions import catalogue as actions
from aerodb.control.roles import Right
from aerodb.rules.invariants import STATEMENTS
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
