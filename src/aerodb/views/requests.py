"""Requests for people: the style of each state, and the words of a confirmation. Pure: no I/O, no clock."""

from collections.abc import Mapping

from aerodb.protocol.api import AWAITS_SECOND
from aerodb.protocol.change import StepMalformed, read_step, said

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


def spoken(arguments: Mapping[str, str], action: str) -> tuple[tuple[str, str], ...]:
    """Return a request's arguments as people read them: a step of the configuration as what it changes."""
    return tuple(
        (name, _step(value) if (action, name) == ("configure", "change") else value)
        for name, value in arguments.items()
    )


def _step(text: str) -> str:
    try:
        step = read_step(text, "change")
    except StepMalformed:
        return text
    return f"version {step.version}: {said(step.change)}"


def state_style(state: str) -> str:
    """Return the style of a request's state; a warning's if the state is not known here."""
    return STATE_STYLES.get(state, "warn")
