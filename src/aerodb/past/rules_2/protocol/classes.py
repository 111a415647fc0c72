"""The classes of actions: for which kinds of them a configuration may ask for a second person.

Pure: no I/O, no clock.
"""

from enum import StrEnum


class ActionClass(StrEnum):
    """What kind of thing an action changes; each action is of exactly one class."""

    AUTHORITY = "authority"
    DATA = "data"
    RUNNING = "running"
    LOG = "log"
    CONFIGURATION = "configuration"


MEANINGS = {
    ActionClass.AUTHORITY: "who may take writes: terms, pledges and grants",
    ActionClass.DATA: "which data a node has: its folder is replaced",
    ActionClass.RUNNING: "whether and how a node's PostgreSQL runs, and from whom it streams",
    ActionClass.LOG: "which audit log a node takes for the one that it saw",
    ActionClass.CONFIGURATION: "who may act, and by what rules for people",
}
"""Each class in words."""
