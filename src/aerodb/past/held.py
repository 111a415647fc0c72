"""Which versions of the rules this build holds, and calling them.

- It holds the living rules and each frozen copy beside this file. A copy is imported when it is first called, so that
  nobody waits for it who does not need it.
- A copy raises errors of its own types, which are raised again as an error of the living code, with their words.
- Rules that are not held are refused by name, with the release that has them.

Pure, except that it once lists the copies in its own folder.
"""

import re
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Protocol, cast

from aerodb import past
from aerodb.errors import AeroError
from aerodb.past.releases import MADE_BY
from aerodb.rules.invariants import RULES

_FOLDER = re.compile(r"rules_([1-9][0-9]*)")
_NAME = re.compile(r"aerodb-rules/([1-9][0-9]*)")


class RulesOther(AeroError):
    """The plan was made by a version of the rules that this build does not hold; the plan itself may be fine."""

    code = "control.rules-other"
    status = 409
    title = "The plan was made by other rules"


class PastRefused(AeroError):
    """The rules of an earlier release refuse what they were given."""

    code = "control.past-rules-refused"
    status = 409
    title = "The rules of then make no plan from it"


class Version(Protocol):
    """One frozen version: its copy of `aerodb.past.entry`."""

    NAME: str
    RulesRefuse: type[Exception]

    def explained(self, configuration: str, request: str, snapshot: str) -> str:
        """Return the plan of a request."""
        ...

    def judged(self, view: str, late: str) -> str:
        """Return the verdicts on a view."""
        ...


def number_of(rules: str) -> int | None:
    """Return the number in a version's name; None if it is not such a name."""
    found = _NAME.fullmatch(rules)
    return int(found[1]) if found else None


@cache
def frozen() -> tuple[str, ...]:
    """Return the names of the frozen versions, the newest first, without importing them."""
    found = (_FOLDER.fullmatch(each.name) for each in iter_modules(past.__path__))
    return tuple(f"aerodb-rules/{number}" for number in sorted((int(each[1]) for each in found if each), reverse=True))


def held() -> tuple[str, ...]:
    """Return the names of all versions that this build holds: the living one, then the frozen ones, newest first."""
    return (RULES, *(each for each in frozen() if each != RULES))


def holds(rules: str) -> bool:
    """Tell whether this build holds a version of the rules."""
    return rules in held()


def refuse_unheld(rules: str) -> None:
    """Refuse rules that this build does not hold.

    Raises:
        RulesOther: they are not held; the message names them, and the release to verify with.
    """
    if holds(rules):
        return
    number, newest = number_of(rules), number_of(RULES) or 0
    if rules in MADE_BY:
        where = f"verify with AeroDB {MADE_BY[rules]}"
    elif number is not None and number > newest:
        where = "they are newer: verify with a later release of AeroDB"
    else:
        where = "no release that is known here has them"
    raise RulesOther(f"made by {rules}, which this build does not hold (it has {', '.join(held())}): {where}")


@cache
def _version(rules: str) -> Version:
    refuse_unheld(rules)
    return cast("Version", import_module(f"{past.__name__}.rules_{number_of(rules)}.entry"))


def explained(rules: str, configuration: str, request: str, snapshot: str) -> str:
    """Return the text of the plan that a frozen version makes of a request, given as texts.

    Raises:
        RulesOther: this build does not hold that version.
        PastRefused: the version makes no plan from it, or cannot read a text.
    """
    version = _version(rules)
    try:
        return version.explained(configuration, request, snapshot)
    except version.RulesRefuse as error:
        raise PastRefused(f"{rules} refuse: {error}") from error


def judged(rules: str, view: str, late: str) -> str:
    """Return the text of a frozen version's verdicts on a view, given as texts.

    Raises:
        RulesOther: this build does not hold that version.
        PastRefused: the version cannot judge it, or cannot read a text.
    """
    version = _version(rules)
    try:
        return version.judged(view, late)
    except version.RulesRefuse as error:
        raise PastRefused(f"{rules} refuse: {error}") from error
