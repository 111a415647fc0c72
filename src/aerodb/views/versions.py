"""The chain of configurations as people read it: each change, who may act, and which node has taken what.

Pure: no I/O, no clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from aerodb.actions import catalogue
from aerodb.audit.makers import VersionMaker
from aerodb.protocol.api import Status
from aerodb.protocol.authenticator import EnrolledAuthenticator, fingerprint, short_name
from aerodb.protocol.chain import Chain
from aerodb.protocol.change import ASKED, Change, said
from aerodb.protocol.cluster import Cluster, Operator, Role
from aerodb.protocol.sshkey import parse_line
from aerodb.protocol.words import whole_words_of
from aerodb.rules.second import second_due
from aerodb.rules.versions import taken
from aerodb.views.credentials import counts
from aerodb.views.observed import Observed, Remark
from aerodb.views.requests import take_command

ASKING_NONE = "asked for nothing: one operator confirms alone"
"""What is said where no second person is asked for."""
FOUNDING_SAID = "the founding document, trusted outright"
"""What version 1 is, in words."""
UNHELD = frozenset({"revoke", "re-key", "re-role", "revoke-authenticator", "second-person"})
"""The kinds of change of which people must know where they do not hold: somebody has lost something, or two sign."""


@dataclass(frozen=True, kw_only=True)
class VersionShown:
    """One version after the first: its number, its digest, what it changed, and who made it."""

    version: int
    digest: str
    said: str
    maker: VersionMaker


@dataclass(frozen=True, kw_only=True)
class PersonShown:
    """One person: their role, their key by its fingerprint (empty: none), and whether they are revoked.

    `replaced` are the fingerprints of the keys that they had before, which count no more. `authenticators` are those
    that are or were enrolled, each as a line, and whether it counts.
    """

    name: str
    role: Role
    key: str
    revoked: bool
    replaced: tuple[str, ...]
    authenticators: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, kw_only=True)
class ChainShown:
    """Everything of a chain that people are shown.

    `words` are version 1's digest as words, line by line. `asking` are the actions for which the newest version asks
    for a second person, each with its class. `taken` says of each node which version it has taken;
    `behind` are those that have not taken the newest, and `unheld` says where what somebody lost is not taken from
    them yet.
    """

    founding: str
    words: tuple[str, ...]
    versions: tuple[VersionShown, ...]
    people: tuple[PersonShown, ...]
    asking: tuple[tuple[str, str], ...]
    taken: tuple[tuple[str, Remark], ...]
    behind: tuple[str, ...]
    unheld: tuple[str, ...]


def maker_text(maker: VersionMaker) -> str:
    """Return in one line who made a version, when, where and why."""
    return f"{maker.operator}, {maker.at}, on {maker.target}: {maker.reason}"


def chain_shown(chain: Chain, makers: Sequence[VersionMaker], observed: Observed) -> ChainShown:
    """Return a chain as people are shown it; `makers` are of its versions after the first, in order."""
    later = zip(chain.versions[1:], makers, strict=True)
    names = [member.name for member in chain.founding.members]
    return ChainShown(
        founding=chain.founding.digest,
        words=tuple(whole_words_of(chain.founding.digest)),
        versions=tuple(
            VersionShown(version=each.version, digest=each.digest, said=said(each.link.change), maker=maker)
            for each, maker in later
            if each.link is not None
        ),
        people=tuple(_person(person, chain) for person in chain.newest.operators),
        asking=tuple(
            (each.name, str(each.of_class)) for each in catalogue().values() if second_due(chain.newest, each)
        ),
        taken=tuple((name, taken_remark(chain, observed, name)) for name in names),
        behind=tuple(name for name in names if _untaken(chain, observed, name)),
        unheld=tuple(sentence for name in names for sentence in _unheld(chain, observed, name)),
    )


def changes_of(versions: Sequence[Cluster]) -> tuple[Change, ...]:
    """Return what each of these versions changed."""
    return tuple(each.link.change for each in versions if each.link is not None)


def _person(person: Operator, chain: Chain) -> PersonShown:
    before = [
        each.before
        for each in changes_of(chain.versions)
        if (each.kind, each.name) == ("re-key", person.name) and each.before
    ]
    return PersonShown(
        name=person.name, role=person.role, key=_fingerprint(person.ssh_key), revoked=person.revoked,
        replaced=tuple(_fingerprint(each) for each in before),
        authenticators=tuple(
            (authenticator_text(each), counts(chain.newest, each.credential))
            for each in chain.newest.enrolled
            if each.person == person.name
        ),
    )  # fmt: skip


def authenticator_text(each: EnrolledAuthenticator) -> str:
    """Return an authenticator in one line: its short name, its key's fingerprint, and whether it is revoked."""
    name = f"authenticator {short_name(each.credential)}  {fingerprint(each.public_key)}"
    return f"{name}  revoked" if each.revoked else name


def _fingerprint(line: str) -> str:
    return parse_line(line).fingerprint if line else ""


def person_text(person: PersonShown) -> str:
    """Return a person in one line: their role or that they are revoked, their key, and the keys that they had."""
    state = "revoked" if person.revoked else str(person.role)
    gone = f"; before: {', '.join(person.replaced)}" if person.replaced else ""
    return f"{state:<10}{person.key or 'no key'}{gone}"


def _untaken(chain: Chain, observed: Observed, name: str) -> tuple[Cluster, ...]:
    """Return the versions of the chain that a node has not taken yet; nothing where that is not known."""
    facts = observed.facts.get(name)
    path = taken(facts) if facts is not None else chain.path
    return chain.versions[len(path) :] if path == chain.path[: len(path)] else ()


def _unheld(chain: Chain, observed: Observed, name: str) -> tuple[str, ...]:
    """Say of what was taken away, and of what takes two, that it does not hold on a node that has not taken it yet."""
    return tuple(
        f"On {name} version {each.version} does not hold yet ({_label(change)}): {_still(change)}."
        for each in _untaken(chain, observed, name)
        for change in changes_of((each,))
        if change.kind in UNHELD
    )


def _label(change: Change) -> str:
    """Return a change in a few words: its kind, and what it is of."""
    if change.kind != "revoke-authenticator":
        return f"{change.kind} {change.name}"
    return f"{change.kind} {short_name(change.before)} of {change.name}"


def _still(change: Change) -> str:
    """Return what goes on where a change does not hold yet."""
    if change.kind == "revoke-authenticator":
        return "what it could confirm there before, it still can"
    if change.kind != "second-person":
        return f"what {change.name} could confirm there before, they still can"
    alone = "one operator still confirms alone there" if change.after == ASKED else "two still sign there"
    return f"for actions of the class {change.name} {alone}"


def taken_remark(chain: Chain, observed: Observed, name: str) -> Remark:
    """Return what is to be said of the version that a node has taken, as it signed its report."""
    facts = observed.facts.get(name)
    if facts is None:
        return "warn", "not known: it does not report"
    path = taken(facts)
    if path != chain.path[: len(path)]:
        return "bad", f"version {len(path)} ({path[-1]}), which is not of this chain"
    if len(path) < len(chain.versions):
        return "warn", f"version {len(path)}; version {len(path) + 1} is not taken yet: {take_command(name)}"
    return "good", f"version {len(path)}"


def is_foreign(chain: Chain, status: Status) -> bool:
    """Tell whether the control plane works with a configuration that is not of the chain.

    A role that is shown no signed reports is not shown what proves a version either, and is told so.
    """
    return chain.named(status.configuration) is None and not status.facts


def chain_remarks(chain: Chain, status: Status, observed: Observed) -> list[Remark]:
    """Return how the configuration of a status stands to the chain that a person has verified."""
    if is_foreign(chain, status):
        said = "The control plane works with another configuration than the profile's cluster.json."
        return [("bad", said)]
    if chain.named(status.configuration) is None:
        return [("warn", "That the configuration follows from the profile's is not shown to your role either.")]
    remarks = ((name, taken_remark(chain, observed, name)) for name in observed.facts)
    return [("bad", f"{name} has taken {text}") for name, (style, text) in remarks if style == "bad"]
