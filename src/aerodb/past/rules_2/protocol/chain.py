"""The chain of the configuration's versions: each differs from the one before by exactly one change.

- Version 1 is the founding document, and has no link. Every later one names its number, its epoch, the digest of the
  version before, and its change; everything else in it is computed again from these, and refused if it differs.
- The same version before and the same change give the same bytes, whoever makes them: so whether two nodes have taken
  the same version is whether two digests are equal.
- A name is used once, for ever: who was revoked keeps their entry. So is a key: nobody is enrolled with a key that
  anybody in the version before has.
- So is an authenticator's credential, and its key: they are one person's, and were nobody's before. It confirms for as
  long as it is not revoked and its person is an operator who is not.
- Somebody can always act: at least one operator with a key is left, and at least two, whose keys differ, where a second
  person is asked for anything.
- The epoch stands still: a change of people is no change of members, node keys or k.

Pure: no I/O, no clock.
"""

import re
from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from aerodb.past.rules_2.errors import AeroError
from aerodb.past.rules_2.protocol import canonical, webauthn
from aerodb.past.rules_2.protocol.authenticator import EnrolledAuthenticator, read_enrolment, short_name
from aerodb.past.rules_2.protocol.change import ASKED, NOT_ASKED, Change, Link, VersionStep
from aerodb.past.rules_2.protocol.classes import ActionClass
from aerodb.past.rules_2.protocol.cluster import Cluster, LaterCluster, Operator, Role, read_configuration
from aerodb.past.rules_2.protocol.sshkey import parse_line, refuse_weak

OPERATORS_MIN, OPERATORS_SECOND_MIN = 1, 2
"""How many operators with a key any version has, and how many where a second person is asked for anything."""
NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
REVOKED = "revoked"


class ChangeRefused(AeroError):
    """The change cannot be made to this version of the configuration; the message says why."""

    code = "input.change-refused"
    status = 409
    title = "The configuration cannot be changed so"


class VersionRefused(AeroError):
    """The document is not the version of the configuration that follows; the message says why."""

    code = "kernel.version-refused"
    status = 409
    title = "This is not the next version of the configuration"


# Changes ----------------------------------------------------------------------------------------------------------


def changed(before: Cluster, change: Change) -> Cluster:
    """Return the version that follows `before` by `change`.

    Raises:
        ChangeRefused: it cannot be made: naming why.
    """
    people, authenticators, second = before.operators, before.enrolled, before.second_asked
    if change.kind == "second-person":
        second = _asking(second, change)
    elif change.kind in _PEOPLE:
        people = _PEOPLE[change.kind](before, change)
    else:
        authenticators = _AUTHENTICATORS[change.kind](before, change)
    _refuse_too_few(people, second, change)
    link = Link(version=before.version + 1, epoch=before.epoch, previous=before.digest, change=change)
    said = {name: getattr(before, name) for name in Cluster.__struct_fields__}
    return LaterCluster(**{**said, "operators": people}, authenticators=authenticators, chain=link, second=second)


def step_of(before: Cluster, change: Change) -> VersionStep:
    """Return what a request names in order to make `change` to `before`.

    Raises:
        ChangeRefused: it cannot be made.
    """
    after = changed(before, change)
    return VersionStep(version=after.version, digest=after.digest, change=change)


def _asking(before: tuple[str, ...], change: Change) -> tuple[str, ...]:
    """Return the classes for which a second person is asked after a change of them."""
    if change.name not in list(ActionClass):
        raise ChangeRefused(f"{change.name!r} is no class of actions; there are {', '.join(ActionClass)}", field="name")
    was = ASKED if change.name in before else NOT_ASKED
    _require((was, NOT_ASKED if was == ASKED else ASKED), change)
    return tuple(sorted({*before} ^ {change.name}))


def _refuse_too_few(people: tuple[Operator, ...], second: tuple[str, ...], change: Change) -> None:
    """Refuse a change after which nobody could act, or nobody could be the second person: one key is one person."""
    able = (each for each in people if each.role is Role.OPERATOR and each.ssh_key and not each.revoked)
    acting = {key_blob(each) for each in able}
    if len(acting) < OPERATORS_MIN:
        raise ChangeRefused(f"{change.kind} {change.name} would leave no operator with a key: nobody could act again")
    if second and len(acting) < OPERATORS_SECOND_MIN:
        raise ChangeRefused(
            f"{change.kind} {change.name} would leave fewer than two operators with a key of their own, and a second "
            f"person is asked for {', '.join(second)}: nobody could be it"
        )


def _enrolled(before: Cluster, change: Change) -> tuple[Operator, ...]:
    if not NAME.fullmatch(change.name):
        raise ChangeRefused(
            f"{change.name!r} is no name for a person: lower case letters, digits and . _ - between them, at most 64",
            field="name",
        )
    known = before.operator(change.name)
    if known is not None:
        why = "is revoked, and a name is never used again" if known.revoked else "is enrolled already"
        raise ChangeRefused(f"{change.name} {why}", field="name")
    if change.before:
        raise ChangeRefused(f"{change.name} was nothing before, and the change says {change.before!r}")
    said, space, line = change.after.partition(" ")
    if space and not line:
        raise ChangeRefused(f"{change.after!r} is not in its one form: a role, and a key where there is one")
    role = _role(said)
    key = _new_key(before, change.name, line) if line else ""
    if role is Role.OPERATOR and not key:
        raise ChangeRefused(f"{change.name} would be an operator who cannot sign: name their key", field="key")
    return (*before.operators, Operator(name=change.name, role=role, ssh_key=key))


def _revoked(before: Cluster, change: Change) -> tuple[Operator, ...]:
    person = _standing(before, change.name)
    _require((person.role, REVOKED), change)
    return _with(before, replace(person, revoked=True))


def _rekeyed(before: Cluster, change: Change) -> tuple[Operator, ...]:
    person = _standing(before, change.name)
    _require((person.ssh_key, change.after), change)
    return _with(before, replace(person, ssh_key=_new_key(before, change.name, change.after)))


def _reroled(before: Cluster, change: Change) -> tuple[Operator, ...]:
    person = _standing(before, change.name)
    _require((person.role, change.after), change)
    role = _role(change.after)
    if role is person.role:
        raise ChangeRefused(f"{person.name} is {role} already", field="role")
    if role is Role.OPERATOR and not person.ssh_key:
        raise ChangeRefused(f"{person.name} would be an operator who cannot sign: give them a key first", field="role")
    return _with(before, replace(person, role=role))


_PEOPLE = {"enrol": _enrolled, "revoke": _revoked, "re-key": _rekeyed, "re-role": _reroled}


def _standing(before: Cluster, name: str) -> Operator:
    """Return somebody who is enrolled, and not revoked."""
    person = before.operator(name)
    if person is None:
        raise ChangeRefused(f"nobody of the name {name!r} is enrolled", field="name")
    if person.revoked:
        raise ChangeRefused(f"{name} is revoked, for good; enrol them under a new name", field="name")
    return person


def _require(due: tuple[str, str], change: Change) -> None:
    if (change.before, change.after) != due:
        raise ChangeRefused(
            f"the change says {change.before!r} before and {change.after!r} afterwards; it is {due[0]!r} and {due[1]!r}"
        )


def _with(before: Cluster, person: Operator) -> tuple[Operator, ...]:
    return tuple(person if each.name == person.name else each for each in before.operators)


def _role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError as error:
        raise ChangeRefused(f"{text!r} is no role; there are {', '.join(Role)}", field="role") from error


def key_blob(person: Operator) -> bytes:
    """Return what tells a person's key from others': its bytes, whatever comment it has. No key is its text."""
    try:
        return parse_line(person.ssh_key).blob
    except AeroError:
        return person.ssh_key.encode()


def _new_key(before: Cluster, name: str, line: str) -> str:
    """Return a sound public key in its one form, which nobody has."""
    try:
        key = parse_line(line)
        refuse_weak(key)
        held = {parse_line(each.ssh_key).blob: each.name for each in before.operators if each.ssh_key}
    except AeroError as error:
        raise ChangeRefused(f"the key of {name} cannot be enrolled: {error.message}", field="key") from error
    if key.comment or key.line != line:
        raise ChangeRefused(f"the key of {name} is not in its one form: an algorithm and its base64 alone", field="key")
    if key.blob in held:
        raise ChangeRefused(f"the key is enrolled already, as that of {held[key.blob]}", field="key")
    return line


# Authenticators ---------------------------------------------------------------------------------------------------


def _enrolled_authenticator(before: Cluster, change: Change) -> tuple[EnrolledAuthenticator, ...]:
    person = _standing(before, change.name)
    if person.role is not Role.OPERATOR:
        raise ChangeRefused(f"{person.name} is an {person.role}, and only operators confirm", field="name")
    if not before.web_origin:
        raise ChangeRefused("the configuration names no admin UI, so no authenticator can confirm anything")
    new = read_enrolment(person.name, change.after)
    if change.before or new is None:
        raise ChangeRefused(
            f"the authenticator of {person.name} is not in its one form: nothing before, and afterwards a credential, "
            "a key, and whether that may be copied",
            field="credential",
        )
    _refuse_unsound(new)
    for each in before.enrolled:
        if each.credential == new.credential or each.public_key == new.public_key:
            what = "credential" if each.credential == new.credential else "key"
            state = "was enrolled, and is revoked" if each.revoked else "is enrolled already"
            raise ChangeRefused(f"the authenticator's {what} {state}, as that of {each.person}", field="credential")
    return (*before.enrolled, new)


def _refuse_unsound(new: EnrolledAuthenticator) -> None:
    """Refuse a credential's id or key that is malformed, or could not confirm."""
    try:
        webauthn.from_base64url(new.credential, "credential's id", webauthn.CREDENTIAL_BYTES_MAX)
        webauthn.public_key(new.public_key)
    except AeroError as error:
        raise ChangeRefused(
            f"the authenticator of {new.person} cannot be enrolled: {error.message}", field="credential"
        ) from error


def _revoked_authenticator(before: Cluster, change: Change) -> tuple[EnrolledAuthenticator, ...]:
    person = _standing(before, change.name)
    found = before.authenticator(change.before)
    if found is None or found.person != person.name:
        raise ChangeRefused(f"{person.name} has no authenticator {change.before!r}", field="credential")
    if found.revoked:
        raise ChangeRefused(f"the authenticator {short_name(found.credential)} is revoked already", field="credential")
    _require((found.credential, REVOKED), change)
    return tuple(replace(each, revoked=True) if each == found else each for each in before.enrolled)


_AUTHENTICATORS = {"enrol-authenticator": _enrolled_authenticator, "revoke-authenticator": _revoked_authenticator}


# Documents --------------------------------------------------------------------------------------------------------


def opened(before: Cluster, document: str) -> Cluster:
    """Return the configuration in `document`, if it is the version that follows `before`.

    Everything in it is computed again from the version before and its change, and compared byte for byte.

    Raises:
        VersionRefused: it is not; the message says whether it is a step back, another branch, or something else.
    """
    try:
        found = read_configuration(canonical.utf8(document))
    except canonical.NotCanonical as error:
        raise VersionRefused(f"it is no configuration: {error.message}") from error
    _refuse_misplaced(before, found)
    if found.link is None:
        raise VersionRefused("it is a founding document, which follows nothing")
    try:
        wanted = changed(before, found.link.change)
    except ChangeRefused as error:
        raise VersionRefused(f"version {found.version} makes a change that is none: {error.message}") from error
    if found.epoch != wanted.epoch:
        raise VersionRefused(
            f"version {found.version} says epoch {found.epoch}, and a change of people leaves it at {wanted.epoch}"
        )
    if canonical.encode(wanted) != document.encode():
        raise VersionRefused(f"version {found.version} is not what its change makes of version {before.version}")
    return wanted


def _refuse_misplaced(before: Cluster, found: Cluster) -> None:
    """Refuse a document that does not stand right behind `before`."""
    if (found.id, found.log_key) != (before.id, before.log_key):
        raise VersionRefused(f"it is of another cluster, or of another log: {found.id}")
    if found.version < before.version:
        raise VersionRefused(f"it is version {found.version}, a step back behind version {before.version}")
    if found.version == before.version:
        same = found.digest == before.digest
        raise VersionRefused(
            f"it is version {found.version}, which is here already" if same
            else f"it is another version {found.version} ({found.digest}) than the one here ({before.digest}): a fork"
        )  # fmt: skip
    if found.version > before.version + 1:
        raise VersionRefused(f"it is version {found.version}, and version {before.version + 1} comes first")
    if found.previous != before.digest:
        raise VersionRefused(
            f"version {found.version} follows another version {before.version} ({found.previous}) than the one here "
            f"({before.digest}): a fork"
        )


class Chain(msgspec.Struct, frozen=True):
    """Versions of the configuration that follow one another, from version 1 on."""

    versions: tuple[Cluster, ...]

    @property
    def founding(self) -> Cluster:
        """Return version 1."""
        return self.versions[0]

    @property
    def newest(self) -> Cluster:
        """Return the newest version that is known here."""
        return self.versions[-1]

    @property
    def path(self) -> tuple[str, ...]:
        """Return the digests of all versions, from version 1 on."""
        return tuple(each.digest for each in self.versions)

    def named(self, digest: str) -> Cluster | None:
        """Return the version with a digest, or None."""
        return next((each for each in reversed(self.versions) if each.digest == digest), None)

    def judging(self, digest: str) -> Cluster:
        """Return the version with a digest, or the newest where none has it: under that, nothing of it agrees."""
        return self.named(digest) or self.newest

    def extended(self, document: str) -> "Chain":
        """Return the chain with the version in `document` at its end.

        Raises:
            VersionRefused: it does not follow.
        """
        return Chain((*self.versions, opened(self.newest, document)))


def founded(cluster: Cluster) -> Chain:
    """Return the chain of which only version 1 is known.

    Raises:
        VersionRefused: it is a later version, and so nothing to trust outright.
    """
    if cluster.link is not None:
        raise VersionRefused(f"it is version {cluster.version}: only version 1 is trusted outright")
    return Chain((cluster,))


def read_founding(data: bytes) -> Cluster:
    """Return version 1, which is to be trusted outright, from its bytes.

    Raises:
        NotCanonical, MadeLater: it is no configuration, or of a later format than this build reads.
        VersionRefused: it is a later version.
    """
    return founded(read_configuration(data)).founding


def chained(founding: Cluster, documents: Iterable[str]) -> Chain:
    """Return the chain that begins with version 1 and goes on with `documents`.

    Raises:
        VersionRefused: one of them does not follow the one before.
    """
    chain = founded(founding)
    for document in documents:
        chain = chain.extended(document)
    return chain
