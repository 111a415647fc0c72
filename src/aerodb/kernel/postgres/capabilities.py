"""PostgreSQL features that only some versions have: one table, with the first version of each and its use.

No other code asks for the version: every difference that the agent knows of is a line here.

Pure: no I/O, no clock. Source: PostgreSQL's release notes, section E of each version.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

OLDEST = 15
"""The oldest major version that was still supported by the PostgreSQL project when this was written."""


class Capability(StrEnum):
    """One feature that only some versions have; the value is a setting's name."""

    ALLOW_ALTER_SYSTEM = "allow_alter_system"
    EVENT_TRIGGERS = "event_triggers"
    TRANSACTION_TIMEOUT = "transaction_timeout"


@dataclass(frozen=True, kw_only=True)
class Introduced:
    """One line of the table: the first major version with it, what it is used for, and what happens without it."""

    since: int
    used: str
    without: str


TABLE: dict[Capability, Introduced] = {
    Capability.ALLOW_ALTER_SYSTEM: Introduced(
        since=17,
        used="ALTER SYSTEM is refused, so that nobody changes by accident what proofs rest on",
        without="ALTER SYSTEM is found afterwards only, as drift; an earlier version does not start with the setting",
    ),
    Capability.EVENT_TRIGGERS: Introduced(
        since=17,
        used="the agent's own sessions fire no event trigger that somebody left",
        without="a broken event trigger can make the agent's statements that define something fail",
    ),
    Capability.TRANSACTION_TIMEOUT: Introduced(
        since=17,
        used="the agent's own sessions are ended by no time limit that somebody set",
        without="there is no such limit",
    ),
}
"""Every difference between the versions that the agent knows."""


def has(major: int, capability: Capability) -> bool:
    """Tell whether a major version has `capability`."""
    return major >= TABLE[capability].since


def had(major: int, values: Iterable[tuple[Capability, str]]) -> dict[str, str]:
    """Return, by name, those of the settings that a major version has; PostgreSQL refuses unknown ones."""
    return {str(name): value for name, value in values if has(major, name)}
