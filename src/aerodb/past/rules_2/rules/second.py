"""A second person: whether a request needs one, who could be it, and whether somebody was.

- They are asked for the classes of actions that the configuration names. Where it names any, a change of the
  configuration needs one too: else one operator could enrol another self, or drop the rule, alone.
- The second person signs the very bytes that the requester signed. They are another operator, enrolled, with a key, and
  not revoked, in the version that the plan names. Two names with one key are one person; an
  authenticator is one person's by the rules of the chain.
- Control plane, node, command line and verification ask these functions, so that they never differ.

Pure: no I/O, no clock.
"""

from aerodb.past.rules_2.errors import AeroError
from aerodb.past.rules_2.protocol import canonical, confirmation
from aerodb.past.rules_2.protocol.chain import key_blob
from aerodb.past.rules_2.protocol.classes import ActionClass
from aerodb.past.rules_2.protocol.cluster import Cluster, Operator, Role
from aerodb.past.rules_2.protocol.confirmation import Confirmed
from aerodb.past.rules_2.protocol.plan import Confirmation, Request, Second
from aerodb.past.rules_2.protocol.refusals import SecondMissing, SecondRefused
from aerodb.past.rules_2.rules.specification import Action
from aerodb.past.rules_2.rules.view import View


def second_due(cluster: Cluster, action: Action) -> bool:
    """Tell whether a second person must sign what somebody asks for under a version of the configuration."""
    asked = cluster.second_asked
    return action.of_class in asked or (bool(asked) and action.of_class is ActionClass.CONFIGURATION)


def who_could(cluster: Cluster, requester: str) -> tuple[str, ...]:
    """Return who could be the second person to somebody's request, in the configuration's order."""
    first = cluster.operator(requester)
    held = key_blob(first) if first else b""
    able = (each for each in cluster.operators if each.name != requester and not _unable(each))
    return tuple(each.name for each in able if key_blob(each) != held)


def _unable(person: Operator) -> str:
    """Return why somebody confirms nothing at all; empty where they may."""
    if person.revoked:
        return "is revoked"
    if person.role is not Role.OPERATOR:
        return f"is an {person.role}, not an operator"
    return "" if person.ssh_key else "has no key enrolled"


# In a plan's words ----------------------------------------------------------------------------------------------------


def second_notes(view: View, action: Action) -> tuple[str, ...]:
    """Say, where a second person must sign, why, and who could."""
    if not second_due(view.cluster, action):
        return ()
    requester, asked = view.request.operator, ", ".join(view.cluster.second_asked)
    why = (
        f"version {view.cluster.version} of the configuration asks for that for actions of the class {action.of_class}"
        if action.of_class in view.cluster.second_asked
        else f"a change of the configuration needs that wherever it is asked for anything ({asked})"
    )
    could = ", ".join(who_could(view.cluster, requester)) or "nobody"
    return (f"A SECOND PERSON must sign this plan after {requester}, before anything is sent: {why}. Could: {could}.",)


# What was signed ------------------------------------------------------------------------------------------------------


def check_seconded(cluster: Cluster, action: Action, request: Request, signed: Confirmation) -> Confirmed | None:
    """Return what a confirmation's second signature proves; None where none is asked, and none is there.

    `request` is that of the plan which was signed; the requester's own signature is another check.

    Raises:
        SecondMissing: one is asked, and there is none.
        SecondRefused: it is not another operator's, over exactly this plan; or none is asked.
    """
    second = signed.seconded
    if not second_due(cluster, action):
        if second is not None:
            raise SecondRefused("a second person signed, and the configuration asks for none here")
        return None
    if second is None:
        could = ", ".join(who_could(cluster, request.operator)) or "nobody"
        raise SecondMissing(
            f"the configuration (version {cluster.version}) asks for a second person to {action.name}, and none has "
            f"signed after {request.operator}; could: {could}"
        )
    person = _other_person(cluster, request.operator, second)
    try:
        return confirmation.verify(cluster, person, second.signature, canonical.utf8(signed.plan))
    except AeroError as error:
        raise SecondRefused(f"it is not {person.name}'s signature over this plan: {error.message}") from error


def _other_person(cluster: Cluster, requester: str, second: Second) -> Operator:
    """Return the operator who is said to have signed second, where that can be another person than the requester."""
    if second.operator == requester:
        raise SecondRefused(f"{requester} asked for it and signed it first: the second person is another one")
    person, first = cluster.operator(second.operator), cluster.operator(requester)
    if person is None:
        raise SecondRefused(f"{second.operator!r} is not enrolled in the version that the plan names")
    if _unable(person):
        raise SecondRefused(f"{person.name} {_unable(person)} in the version that the plan names")
    if first is not None and key_blob(first) == key_blob(person):
        raise SecondRefused(f"{person.name} and {requester} have one key: they are one person")
    return person
