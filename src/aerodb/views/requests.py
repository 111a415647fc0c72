"""Requests for people: the style of each state, and the words of a confirmation. Pure: no I/O, no clock."""

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from aerodb.errors import AeroError, Executed
from aerodb.protocol.ahead import AFTER, THEN, SequenceMalformed, read_earlier, read_later
from aerodb.protocol.api import AWAITS_SECOND, AWAITS_TURN, NOT_HELD, RequestLine
from aerodb.protocol.change import Change, StepMalformed, read_step, said
from aerodb.protocol.sshkey import parse_line
from aerodb.views.proofs import short

NOTHING_ASKED = "There is no request yet."
CONFIRMING = "To confirm, type the node's name"
LAPSED = (
    "its node has taken another version of the configuration since, or the process that made it is gone or could not "
    "record its confirmation"
)
"""Why a plan that lapsed awaits nothing any more."""

ID_CHARACTERS = 8
"""How much of a request's id stands in a list."""

REASON_OPTION = '--reason "..."'
"""What every command that asks for something takes, as it stands in the commands that are shown."""

STATE_STYLES = {
    "planned": "plain",
    AWAITS_SECOND: "warn",
    AWAITS_TURN: "warn",
    NOT_HELD: "warn",
    "triggered": "warn",
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


def executed_of(state: str) -> Executed:
    """Return whether a request was executed, by its state: what was sent and has no answer is unknown."""
    if state == "executed":
        return "executed"
    return "unknown" if state in {"unknown", "confirmed", "triggered", AWAITS_TURN, NOT_HELD} else "not executed"


def concerns(line: RequestLine, node: str) -> bool:
    """Tell whether a request is of a node, or names it among its arguments."""
    return line.target == node or node in line.arguments.values()


def spoken(arguments: Mapping[str, str], action: str) -> tuple[tuple[str, str], ...]:
    """Return a request's arguments as people read them: a step of the configuration as what it changes.

    So is the request before or after this one.
    """
    return tuple((name, _spoken(name, value, action, brief=False)) for name, value in arguments.items())


def spoken_briefly(arguments: Mapping[str, str], action: str) -> tuple[tuple[str, str], ...]:
    """Return a request's arguments for a list of requests: SSH keys stand as their fingerprints, and ids are cut."""
    return tuple((name, _spoken(name, value, action, brief=True)) for name, value in arguments.items())


def _spoken(name: str, value: str, action: str, *, brief: bool) -> str:
    if (action, name) == ("configure", "change"):
        return _step(value, _brief if brief else lambda change: change)
    try:
        if name == AFTER:
            earlier = read_earlier(value)
            return earlier.words if brief else f"{earlier.words} (request {earlier.request})"
        if name == THEN:
            later = read_later(value)
            return later.request[:ID_CHARACTERS] if brief else f"request {later.request} (plan {short(later.plan)})"
    except SequenceMalformed:
        return value
    return value


def _step(text: str, form: Callable[[Change], Change]) -> str:
    try:
        step = read_step(text, "change")
    except StepMalformed:
        return text
    return f"version {step.version}: {said(form(step.change))}"


def _brief(change: Change) -> Change:
    """Return a change to be said, with the fingerprints of SSH keys in the keys' places."""
    if change.kind == "re-key":
        return replace(change, before=_fingerprint(change.before), after=_fingerprint(change.after))
    if change.kind == "enrol":
        role, _, key = change.after.partition(" ")
        return replace(change, after=f"{role} {_fingerprint(key)}".strip())
    return change


def _fingerprint(line: str) -> str:
    try:
        return parse_line(line).fingerprint
    except AeroError:
        return line


def take_command(node: str) -> str:
    """Return the command by which a node takes the next version of the configuration."""
    return f"aerodb configure {node} --take {REASON_OPTION}"


def state_style(state: str) -> str:
    """Return the style of a request's state; a warning's if the state is not known here."""
    return STATE_STYLES.get(state, "warn")
