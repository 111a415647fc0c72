"""Which versions of the rules this build holds, and what they are asked.

- The living rules are one; each frozen copy beside this file is another. A copy is imported when it is first asked, so
  that nobody waits for the past who does not need it.
- What a copy refuses with is of its own types: it is told on as an error of the living code, with its own words.
- Of rules that are not held nothing is said but which they are, and which release has them.

Pure, but that it looks in its own folder which copies are there, once.
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
    """The plan was made by a version of the rules that this build does not hold: nothing is said against the plan."""

    code = "control.rules-other"
    status = 409
    title = "The plan was made by other rules"


class PastRefused(AeroError):
    """Rules of an earlier release, asked about what they were asked about then, refuse it."""

    code = "control.past-rules-refused"
    status = 409
    title = "The rules of then make no plan from it"


class Version(Protocol):
    """One frozen version: see `aerodb.past.entry`, which each copy holds as it was."""

    NAME: str
    RulesRefuse: type[Exception]

    def explained(self, configuration: str, request: str, snapshot: str) -> str:
        """Return the plan of a request."""
        ...

    def judged(self, view: str, late: str) -> str:
        """Return the verdicts on a view."""
        ...


def number_of(rules: str) -> int | None:
    """Return the number in a version's name, or None where it is the name of none."""
    found = _NAME.fullmatch(rules)
    return int(found[1]) if found else None


@cache
def frozen() -> tuple[str, ...]:
    """Return the names of the frozen versions, the newest first; none is imported for it."""
    found = (_FOLDER.fullmatch(each.name) for each in iter_modules(past.__path__))
    return tuple(f"aerodb-rules/{number}" for number in sorted((int(each[1]) for each in found if each), reverse=True))


def held() -> tuple[str, ...]:
    """Return the names of all versions that this build holds: the living one first, and then the frozen ones."""
    return (RULES, *(each for each in frozen() if each != RULES))


def holds(rules: str) -> bool:
    """Tell whether this build holds a version of the rules."""
    return rules in held()


def refuse_unheld(rules: str) -> None:
    """Refuse rules that this build does not hold.

    Raises:
        RulesOther: it says which they are, and with which release to verify.
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
    """Return the text of the plan that a frozen version makes of a request, from texts.

    Raises:
        RulesOther: it is not held.
        PastRefused: it makes no plan from it, or reads no such text.
    """
    version = _version(rules)
    try:
        return version.explained(configuration, request, snapshot)
    except version.RulesRefuse as error:
        raise PastRefused(f"{rules} refuse: {error}") from error


def judged(rules: str, view: str, late: str) -> str:
    """Return the text of the verdicts of a frozen version on a view, from texts.

    Raises:
        RulesOther: it is not held.
        PastRefused: it cannot judge that, or reads no such text.
    """
    version = _version(rules)
    try:
        return version.judged(view, late)
    except version.RulesRefuse as error:
        raise PastRefused(f"{rules} refuse: {error}") from error
