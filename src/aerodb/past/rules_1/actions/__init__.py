"""The closed catalogue of actions: one file an action, found by being here.

Adding a file adds the action everywhere: help, pages, API, documentation, the tests' matrix.
"""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from aerodb.past.rules_1.errors import AeroError
from aerodb.past.rules_1.protocol.marks import Gap
from aerodb.past.rules_1.protocol.plan import Request
from aerodb.past.rules_1.rules.specification import Action


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
