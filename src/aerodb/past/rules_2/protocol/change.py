"""What one version of the configuration changes, and the link by which it hangs on the version before.

Pure: no I/O, no clock.
"""

from typing import Literal

import msgspec

from aerodb.past.rules_2.errors import AeroError
from aerodb.past.rules_2.protocol import canonical
from aerodb.past.rules_2.protocol.authenticator import fingerprint, read_enrolment, short_name

ChangeKind = Literal[
    "enrol", "revoke", "re-key", "re-role", "enrol-authenticator", "revoke-authenticator", "second-person"
]
ASKED, NOT_ASKED = "asked", "not asked"
"""Whether a second person is asked for a class of actions."""


class Change(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Exactly one change: of what kind, of whom, what was so before and what is so afterwards.

    enrol: before is empty, after the role and, where there is one, the SSH public key ("operator ssh-ed25519 AAAA").
    revoke: before is the role, after "revoked". re-key: both are SSH public keys; before is empty where there was none.
    re-role: both are roles. enrol-authenticator: before is empty, after its credential, its key and whether that may be
    copied ("AbC MFkw impossible"); `name` is whose it is. revoke-authenticator: before is its credential, after
    "revoked". second-person: `name` is a class of actions, and both are "asked" or "not asked".
    """

    kind: ChangeKind
    name: str
    before: str
    after: str


class Link(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a version stands in the chain: its number, its epoch, the digest of the version before, and its change.

    `epoch` rises only where members, node keys or k change.
    """

    version: int
    epoch: int
    previous: str
    change: Change


class VersionStep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a request names: the change, the number of the version that it makes, and that version's digest."""

    version: int
    digest: str
    change: Change


class StepMalformed(AeroError):
    """The text names no step of the configuration's chain."""

    code = "input.step-malformed"
    status = 400
    title = "The change of the configuration is malformed"


def step_text(step: VersionStep) -> str:
    """Return the one form of a step, as a request names it."""
    return canonical.encode(step).decode()


def read_step(text: str, field: str) -> VersionStep:
    """Return the step that `text` is the one form of; `field` names it in a refusal.

    Raises:
        StepMalformed: it is none.
    """
    try:
        return canonical.decode(canonical.utf8(text), VersionStep)
    except canonical.NotCanonical as error:
        raise StepMalformed(f"it names no step of the configuration's chain: {error.message}", field=field) from error


def said(change: Change) -> str:
    """Return a change as one sentence without a full stop."""
    match change.kind:
        case "enrol":
            role, _, key = change.after.partition(" ")
            return f"enrols {change.name} as {role}, {f'with the key {key}' if key else 'without a key'}"
        case "revoke":
            return f"revokes {change.name}, {change.before}"
        case "re-key":
            return f"gives {change.name} the key {change.after} in place of {change.before or 'none'}"
        case "re-role":
            return f"makes {change.name} {change.after}; before: {change.before}"
        case "enrol-authenticator":
            found = read_enrolment(change.name, change.after)
            which = f"{short_name(found.credential)}, key {fingerprint(found.public_key)}" if found else change.after
            return f"enrols the authenticator {which} of {change.name}"
        case "revoke-authenticator":
            return f"revokes the authenticator {short_name(change.before)} of {change.name}"
        case "second-person":
            asks = "asks for a second person" if change.after == ASKED else "asks no more for a second person"
            return f"{asks} for actions of the class {change.name}"
