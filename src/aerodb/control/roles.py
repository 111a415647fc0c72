"""Who may do what: deny by default, one person, one role. Pure: no I/O, no clock."""

from enum import StrEnum

from aerodb.control.errors import CallerRevoked
from aerodb.protocol.cluster import Cluster, Operator, Role
from aerodb.transport.errors import CallerRefused, CallerUnknown
from aerodb.transport.tls import Caller


class Right(StrEnum):
    """One thing that may be allowed."""

    LOOK = "look"
    READ_REQUESTS = "read requests"
    READ_AUDIT = "read audit log"
    READ_SENSITIVE = "read sensitive facts"
    REQUEST = "request"
    CONFIRM = "confirm"
    ASK_OUTCOME = "ask for outcome"
    REGISTER = "register own authenticator"
    SIGN_IN = "sign in to the admin UI"
    END_SESSIONS = "end others' sessions"


ALLOWED: dict[Role, frozenset[Right]] = {
    Role.OBSERVER: frozenset({Right.LOOK, Right.READ_REQUESTS, Right.SIGN_IN}),
    Role.OPERATOR: frozenset(Right),
    Role.AUDITOR: frozenset({Right.LOOK, Right.READ_REQUESTS, Right.READ_AUDIT, Right.READ_SENSITIVE, Right.SIGN_IN}),
}


def person_of(cluster: Cluster, caller: Caller) -> Operator:
    """Return the enrolled person who called.

    Raises:
        CallerUnknown, CallerRevoked: there is none, or no more.
    """
    person = cluster.operator(caller.name) if caller.kind == "person" else None
    if person is None:
        raise CallerUnknown(f"{caller.name} ({caller.kind}) is not enrolled")
    if person.revoked:
        raise CallerRevoked(f"{person.name} is revoked")
    return person


def require(person: Operator, right: Right) -> None:
    """Refuse what the person's role does not allow.

    Raises:
        CallerRefused: so it is.
    """
    if right not in ALLOWED.get(person.role, frozenset()):
        raise CallerRefused(f"{person.name} is an {person.role}, who may not {right}")


def require_authority(person: Operator, action: str, authority: Role) -> None:
    """Refuse who is not of the role that an action itself demands.

    Raises:
        CallerRefused: so it is.
    """
    if person.role is not authority:
        raise CallerRefused(f"{person.name} is an {person.role}, and {action} is for the {authority} alone")


def matrix_text() -> str:
    """Return the permissions as a table that an auditor can read."""
    width = max(len(right) for right in Right)
    lines = [" " * width + "".join(f"  {role:<9}" for role in Role)]
    for right in Right:
        marks = "".join(f"  {'yes' if right in ALLOWED[role] else '-':<9}" for role in Role)
        lines.append(f"{right:<{width}}{marks}".rstrip())
    return "\n".join([lines[0].rstrip(), *lines[1:], ""])
