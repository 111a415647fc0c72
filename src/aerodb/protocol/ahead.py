"""One request after another: how each of the two names the other, and what a node says of an order that it holds.

- The later request names the earlier one by its action, its target and its id, which is chosen beforehand; its plan is
  signed first, and its node holds the order.
- The earlier request names the later one by its id and by the digest of its plan.

Pure: no I/O, no clock.
"""

import re

import msgspec

from aerodb.errors import AeroError

AFTER, THEN = "after", "then"
"""The names of the two arguments."""
_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
EARLIER_PATTERN = f"[a-z]+(?:-[a-z]+)*:[^: ]{{1,63}}:{_UUID}"
LATER_PATTERN = f"{_UUID}:sha256:[0-9a-f]{{64}}"
_EARLIER = re.compile(f"([a-z]+(?:-[a-z]+)*):([^: ]{{1,63}}):({_UUID})")
_LATER = re.compile(f"({_UUID}):(sha256:[0-9a-f]{{64}})")


class SequenceMalformed(AeroError):
    """A request does not name the one before or after it in the one form that there is for it."""

    code = "input.sequence-malformed"
    status = 400
    title = "The request before or after this one is not named as it must be"


class Earlier(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The request that another one comes after: its action, its target, and its id."""

    action: str
    target: str
    request: str

    def __str__(self) -> str:
        """Return its one form."""
        return f"{self.action}:{self.target}:{self.request}"

    @property
    def words(self) -> str:
        """Return it for people, without its id."""
        return f"{self.action} {self.target}"


class Later(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The request that comes after another one: its id, and the digest of its plan's bytes."""

    request: str
    plan: str

    def __str__(self) -> str:
        """Return its one form."""
        return f"{self.request}:{self.plan}"


class Held(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An order that a node holds in memory, checked, until the request before it is executed.

    `plan` is the digest of its plan's bytes, `after` the request before it in its one form, `term` the plan's.
    """

    request: str
    action: str
    plan: str
    after: str
    term: int


def read_earlier(text: str, field: str = "") -> Earlier:
    """Parse what names the request before this one.

    Raises:
        SequenceMalformed: it does not.
    """
    found = _EARLIER.fullmatch(text)
    if found is None:
        raise SequenceMalformed(
            f"the request before is named by its action, its node and its id, as in demote:n1:ID; {text!r} is not that",
            field=field,
        )
    return Earlier(action=found[1], target=found[2], request=found[3])


def read_later(text: str, field: str = "") -> Later:
    """Parse what names the request after this one.

    Raises:
        SequenceMalformed: it does not.
    """
    found = _LATER.fullmatch(text)
    if found is None:
        raise SequenceMalformed(
            f"the request after is named by its id and its plan's digest, as in ID:sha256:HEX; {text!r} is not that",
            field=field,
        )
    return Later(request=found[1], plan=found[2])
