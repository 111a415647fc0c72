"""The closed catalogue of actions: one file an action, found by being here.

Adding a file adds the action everywhere: help, pages, API, documentation, the tests' matrix.
"""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from aerodb.past.rules_2.errors import AeroError
from aerodb.past.rules_2.protocol.cluster import Cluster
from aerodb.past.rules_2.protocol.confirmation import Confirmed
from aerodb.past.rules_2.protocol.marks import Gap
from aerodb.past.rules_2.protocol.plan import Confirmation, Request
from aerodb.past.rules_2.rules.second import check_seconded, second_due
from aerodb.past.rules_2.rules.specification import Action


class ActionUnknown(AeroError):
    """The request names an action that the catalogue does not have."""

    code = "input.action-unknown"
    status = 404
    title = "The catalogue has no such action"


def gap_of(request: Request) -> Gap | None:
    """Return what a request has its target give up of the audit log, or None, as of every action but one.

    Raises:
        ActionUnknown, MarkMalformed: it is not well formed.
    """
    gives_up = action_named(request.action).gives_up
    return gives_up(request) if gives_up else None


def needs_second(cluster: Cluster, request: Request) -> bool:
    """Tell whether a second person must sign a request's plan under a version; of an unknown action, no.

    A request for an action that there is not is refused for that.
    """
    action = catalogue().get(request.action)
    return action is not None and second_due(cluster, action)


def second_of(cluster: Cluster, request: Request, signed: Confirmation) -> Confirmed | None:
    """Return what the second signature over a request's plan proves; None where none is asked, and none is there.

    Raises:
        SecondMissing, SecondRefused: see `check_seconded`.
    """
    action = catalogue().get(request.action)
    return check_seconded(cluster, action, request, signed) if action is not None else None


@cache
def catalogue() -> dict[str, Action]:
    """Return every action by its name, in the names' order."""
    names = sorted(module.name for module in iter_modules(__path__))
    found = [import_module(f"{__name__}.{name}").ACTION for name in names]
    return {action.name: action for action in found}


def action_named(name: str) -> Action:
    """Return the action called `name`.

    Raises:
        ActionUnknown: the catalogue has none.
    """
    found = catalogue().get(name)
    if found is None:
        raise ActionUnknown(f"there is no action {name!r}; there are {', '.join(catalogue())}", field="action")
    return found
