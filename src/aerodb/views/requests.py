"""Requests for people: the style of each state, and the words of a confirmation. Pure: no I/O, no clock."""

from aerodb.protocol.api import AWAITS_SECOND

NOTHING_ASKED = "There is no request yet."
CONFIRMING = "To confirm, type the node's name"

STATE_STYLES = {
    "planned": "plain",
    AWAITS_SECOND: "warn",
    "confirmed": "warn",
    "declined": "dim",
    "lapsed": "dim",
    "executed": "good",
    "unknown": "warn",
    "not executed": "bad",
    "rejected": "bad",
    "refused": "bad",
}
"""The style of each state of a request; results are states too."""


def state_style(state: str) -> str:
    """Return the style of a request's state; a warning's if the state is not known here."""
    return STATE_STYLES.get(state, "warn")
