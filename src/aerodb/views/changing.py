"""What a person asks for in order to change the configuration, as the command line and the pages take it.

- The kinds of change are one table: what goes with each, and how it becomes a change. Options, forms and checks read
  it; none of them knows a kind by itself.
- The step is computed from the version that the node has taken, never from what somebody typed of it.

Pure: no I/O, no clock.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

from msgspec import Struct

from aerodb.actions import catalogue
from aerodb.errors import AeroError
from aerodb.protocol.authenticator import short_name
from aerodb.protocol.chain import REVOKED, Chain, step_of
from aerodb.protocol.change import ASKED, NOT_ASKED, Change, VersionStep
from aerodb.protocol.classes import ActionClass
from aerodb.protocol.cluster import Cluster, Operator
from aerodb.protocol.credentials import Authenticator
from aerodb.protocol.facts import Facts
from aerodb.protocol.sshkey import parse_line
from aerodb.rules.versions import taken
from aerodb.views.enrolling import awaiting, enrolling, revoking

ChangePart = Literal["name", "role", "key", "of"]
PARTS: tuple[ChangePart, ...] = get_args(ChangePart)
TAKE = "take"


class ChangeUnclear(AeroError):
    """Which change of the configuration is meant cannot be told, or the node has nothing to take."""

    code = "input.change-unclear"
    status = 400
    title = "Which change is meant cannot be told"


class Wanted(Struct, frozen=True, kw_only=True):
    """What a person typed: the kind of change, and what goes with it; what was not typed is empty.

    `key` is the line of an SSH public key, with or without its comment. `of` is whose an authenticator is.
    `registered` is nothing that is typed: the authenticators that the control plane lists.
    """

    kind: str
    name: str = ""
    role: str = ""
    key: str = ""
    of: str = ""
    registered: tuple[Authenticator, ...] = ()


@dataclass(frozen=True, kw_only=True)
class KindOfChange:
    """One kind of change.

    `summary` says it in a few words, without a full stop. `needs` goes with it, and so does `may` where there is such
    a thing. `named` is how its name stands in usage lines. `names` lists what it can be of in a version, and among the
    authenticators that the control plane lists; None where the name is typed. `makes` returns the change; None of a
    kind that makes none of its own.
    """

    summary: str
    needs: tuple[ChangePart, ...] = ()
    may: tuple[ChangePart, ...] = ()
    named: str = "NAME"
    names: Callable[[Cluster, tuple[Authenticator, ...]], tuple[str, ...]] | None = None
    makes: Callable[[Cluster, Wanted], Change] | None = None


def standing(cluster: Cluster, _: tuple[Authenticator, ...] = ()) -> tuple[str, ...]:
    """Return the names of all who are enrolled, and not revoked."""
    return tuple(person.name for person in cluster.operators if not person.revoked)


def _person(before: Cluster, wanted: Wanted) -> Operator:
    person = before.operator(wanted.name)
    if person is None:
        names = ", ".join(standing(before))
        raise ChangeUnclear(f"nobody of the name {wanted.name!r} is enrolled; there are {names}", field="name")
    return person


def _key(wanted: Wanted) -> str:
    """Return the public key as the configuration has keys: without the comment.

    Raises:
        KeyMalformed: it is none.
    """
    try:
        line = parse_line(wanted.key).line
    except AeroError as error:
        error.field = "key"
        raise
    return " ".join(line.split(" ")[:2])


def _enrols(_: Cluster, wanted: Wanted) -> Change:
    key = _key(wanted) if wanted.key else ""
    return Change(kind="enrol", name=wanted.name, before="", after=f"{wanted.role} {key}".strip())


def _revokes(before: Cluster, wanted: Wanted) -> Change:
    return Change(kind="revoke", name=wanted.name, before=_person(before, wanted).role, after=REVOKED)


def _rekeys(before: Cluster, wanted: Wanted) -> Change:
    return Change(kind="re-key", name=wanted.name, before=_person(before, wanted).ssh_key, after=_key(wanted))


def _reroles(before: Cluster, wanted: Wanted) -> Change:
    return Change(kind="re-role", name=wanted.name, before=_person(before, wanted).role, after=wanted.role)


def _enrols_authenticator(before: Cluster, wanted: Wanted) -> Change:
    return enrolling(before, wanted.registered, wanted.name, wanted.of)


def _revokes_authenticator(before: Cluster, wanted: Wanted) -> Change:
    return revoking(before, wanted.name, wanted.of)


def _awaiting(cluster: Cluster, listed: tuple[Authenticator, ...]) -> tuple[str, ...]:
    return tuple(each.name for each in awaiting(cluster, listed))


def _enrolled(cluster: Cluster, _: tuple[Authenticator, ...]) -> tuple[str, ...]:
    return tuple(short_name(each.credential) for each in cluster.enrolled if not each.revoked)


def _asks(cluster: Cluster, wanted: Wanted, after: str) -> Change:
    before = NOT_ASKED if after == ASKED else ASKED
    if wanted.name in set(ActionClass) and (wanted.name in cluster.second_asked) is (after == ASKED):
        for_now = ", ".join(cluster.second_asked) or "none"
        raise ChangeUnclear(
            f"that is so already of {wanted.name}; the classes that take two people now: {for_now}", field="name"
        )
    return Change(kind="second-person", name=wanted.name, before=before, after=after)


def _asked(cluster: Cluster, _: tuple[Authenticator, ...]) -> tuple[str, ...]:
    return cluster.second_asked


def _not_asked(cluster: Cluster, _: tuple[Authenticator, ...]) -> tuple[str, ...]:
    return tuple(str(each) for each in ActionClass if each not in cluster.second_asked)


KINDS: dict[str, KindOfChange] = {
    "enrol": KindOfChange(summary="Enrol a person", needs=("name", "role"), may=("key",), makes=_enrols),
    "revoke": KindOfChange(summary="Revoke a person, for good", needs=("name",), names=standing, makes=_revokes),
    "re-key": KindOfChange(
        summary="Give a person another key", needs=("name", "key"), names=standing, makes=_rekeys
    ),
    "re-role": KindOfChange(
        summary="Give a person another role", needs=("name", "role"), names=standing, makes=_reroles
    ),
    "enrol-authenticator": KindOfChange(
        summary="Enrol a registered authenticator, by its short name", needs=("name",), may=("of",),
        named="CREDENTIAL", names=_awaiting, makes=_enrols_authenticator,
    ),
    "revoke-authenticator": KindOfChange(
        summary="Revoke one authenticator, for good", needs=("name",), may=("of",),
        named="CREDENTIAL", names=_enrolled, makes=_revokes_authenticator,
    ),
    "second-person": KindOfChange(
        summary="Ask for a second person for actions of a class", needs=("name",), named="CLASS",
        names=_not_asked, makes=partial(_asks, after=ASKED),
    ),
    "no-second-person": KindOfChange(
        summary="Ask for a second person no more for actions of a class", needs=("name",), named="CLASS",
        names=_asked, makes=partial(_asks, after=NOT_ASKED),
    ),
    TAKE: KindOfChange(summary="Take the next version that the primary has taken"),
}  # fmt: skip
"""Every kind of change, by what it is called."""


def notes_on(kind: KindOfChange, cluster: Cluster, listed: tuple[Authenticator, ...]) -> dict[str, str]:
    """Return what is said beside what a kind of change can be of: a class's actions, or whose an authenticator is."""
    if kind.named == "CLASS":
        return {str(each): ", ".join(_actions_of(each)) for each in ActionClass}
    if kind.named == "CREDENTIAL":
        enrolled = {short_name(each.credential): f"of {each.person}" for each in cluster.enrolled}
        return {**{each.name: f"of {each.operator}" for each in listed}, **enrolled}
    return {}


def _actions_of(of_class: ActionClass) -> list[str]:
    return [action.name for action in catalogue().values() if action.of_class is of_class]


def kind_called(name: str) -> KindOfChange:
    """Return the kind of change that is called so.

    Raises:
        ChangeUnclear: there is none.
    """
    kind = KINDS.get(name)
    if kind is None:
        raise ChangeUnclear(f"{name!r} is no change; there are {', '.join(KINDS)}", field="change")
    return kind


def kind_of(wanted: Wanted) -> KindOfChange:
    """Return the kind of what a person typed, where all of it goes together.

    Raises:
        ChangeUnclear: it does not; naming the part.
    """
    kind = kind_called(wanted.kind)
    for part in PARTS:
        given = bool(getattr(wanted, part))
        if given and part not in (*kind.needs, *kind.may):
            raise ChangeUnclear(f"no {part} goes with {wanted.kind}", field=part)
        if not given and part in kind.needs:
            raise ChangeUnclear(f"{wanted.kind} needs a {part}", field=part)
    return kind


def version_taken(chain: Chain, facts: Facts) -> int:
    """Return which version of a chain a node has taken.

    Raises:
        ChangeUnclear: it has taken one that is not of this chain.
    """
    path = taken(facts)
    if path != chain.path[: len(path)]:
        raise ChangeUnclear(f"{facts.node} has taken {path[-1]}, which is not of the chain that is shown", field="node")
    return len(path)


def silent_text(node: str) -> str:
    """Return why no version of a node's can be changed that does not report."""
    return f"{node} does not report, so which version it has is not known"


def step_at(chain: Chain, version: int, wanted: Wanted) -> VersionStep:
    """Return the step from a version of a chain that a person means, for a node that has taken just that version.

    Raises:
        ChangeUnclear: what was typed does not go together, or there is nothing to take.
        KeyMalformed, ChangeRefused, CredentialUnclear, CredentialAltered: the change cannot be made.
    """
    kind = kind_of(wanted)
    if not 1 <= version <= len(chain.versions):
        raise ChangeUnclear(f"the chain that is shown has no version {version}", field="node")
    before = chain.versions[version - 1]
    if kind.makes is not None:
        return step_of(before, kind.makes(before, wanted))
    after = chain.versions[version] if version < len(chain.versions) else before
    if after.link is None or after is before:
        raise ChangeUnclear(f"version {version} is the newest there is: there is nothing to take", field="take")
    return VersionStep(version=after.version, digest=after.digest, change=after.link.change)
