"""Requests as people read them: each state's mark, and the words around a confirmation. Pure: no I/O, no clock."""

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
"""The style of each state of a request, and so of each result."""


def state_style(state: str) -> str:
    """Return the style of a request's state; of one that is not known here, a warning's."""
    return STATE_STYLES.get(state, "warn")
