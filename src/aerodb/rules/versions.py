"""Who has taken which version of the configuration, and what that means for a judgement.

- A node judges by its own version. Of two nodes one may be behind the other on one and the same chain; where neither
  chain is the beginning of the other they are on two branches, and agree on nothing.
- An election, and what brings a cluster back after one, looks at the epoch alone: people never block a failover. Every
  other action is refused where a report shows a later version than the target's.
- The granted primary takes a version first. Another node takes it only by a statement of the granted primary, in its
  signed report, that it has taken that very version.

Pure: no I/O, no clock.
"""

from collections.abc import Mapping

from aerodb.protocol.change import VersionStep
from aerodb.protocol.facts import Facts
from aerodb.protocol.plan import Verdict
from aerodb.rules.invariants import Invariant, holds, unknown, violated
from aerodb.rules.promises import authority_stands
from aerodb.rules.view import View

Path = tuple[str, ...]
"""The digests of the versions that a node has taken, from version 1 on."""


def taken(facts: Facts) -> Path:
    """Return the versions that a node has taken."""
    return facts.versions or (facts.configuration,)


def _begins(path: Path, begin: Path) -> bool:
    return path[: len(begin)] == begin


def contradicts(own: Facts, other: Facts, *, elects: bool) -> str:
    """Return why a judgement by `own` cannot rest on `other`, for their versions; empty where it can.

    `elects` is of an action that looks at the epoch alone.
    """
    here, there = taken(own), taken(other)
    if _begins(here, there) and other.epoch == own.epoch:
        return ""
    if not (_begins(there, here) or _begins(here, there)):
        return f"{other.node} runs another configuration"
    if other.epoch != own.epoch:
        return f"{other.node} is of epoch {other.epoch} of the configuration, and {own.node} of epoch {own.epoch}"
    if elects:
        return ""
    return (
        f"{other.node} has taken version {len(there)} of the configuration, and {own.node} version {len(here)}: take "
        f"version {len(here) + 1} first (aerodb configure {own.node} --take)"
    )


def differ(view: View) -> bool:
    """Tell whether those who report have not all taken the same versions."""
    return len({taken(peer.facts) for peer in view.everyone().values()}) > 1


def agreement(view: View) -> str:
    """Return who has taken which version, as evidence where they differ."""
    each = ", ".join(f"{name} version {len(taken(peer.facts))}" for name, peer in view.everyone().items())
    return (
        "all who report agree on rules, epoch and database system, and are on one chain of configurations: "
        f"{each}"
    )  # fmt: skip


def untaken(everyone: Mapping[str, Facts]) -> tuple[str, ...]:
    """Return where the newest version that anybody reports does not hold yet; nothing where it holds everywhere."""
    versions = {name: len(taken(facts)) for name, facts in everyone.items()}
    newest = max(versions.values(), default=1)
    return tuple(
        f"{name} has taken version {version} of the configuration, of {newest}: what changed since does not hold there "
        f"yet. Who was revoked since can still confirm what {name} does."
        for name, version in versions.items()
        if version < newest
    )


# Taking a version -------------------------------------------------------------------------------------------------


def branches_agree(view: View, step: VersionStep) -> str:
    """Return who has taken another version in the place of the one that is to be taken; empty where nobody has."""
    wanted = (*taken(view.own.facts), step.digest)
    for name, peer in view.peers.items():
        path = taken(peer.facts)
        if not (_begins(wanted, path) or _begins(path, wanted)):
            at = next(at for at, pair in enumerate(zip(path, wanted, strict=False), 1) if pair[0] != pair[1])
            return f"{name} has taken another version {at} of the configuration ({path[at - 1]}): a fork"
    return ""


def primary_first(view: View, step: VersionStep) -> Verdict:
    """Judge whether the target is the granted primary, or the granted primary states that it has taken the version."""
    everyone = view.everyone()
    standings = {name: peer.facts.standing for name, peer in everyone.items()}
    newest = max(standing.granted.term for standing in standings.values())
    holders = [
        name
        for name, standing in standings.items()
        if standing.role == "primary" and standing.granted.node == name and standing.granted.term == newest
    ]
    if not holders:
        return unknown(
            Invariant.PRIMARY_FIRST,
            f"nobody who reports is the primary to whom term {newest} is granted: without it no version is made or "
            "taken",
        )
    authority = authority_stands(view.cluster, holders[0], standings)
    if authority.result != "holds":
        return Verdict(
            invariant=Invariant.PRIMARY_FIRST, result=authority.result,
            evidence=f"whether {holders[0]} is still the granted primary: {authority.evidence}",
        )  # fmt: skip
    if holders[0] == view.node:
        return holds(Invariant.PRIMARY_FIRST, f"{view.node} is the primary to whom term {newest} is granted")
    return _stated(everyone[holders[0]].facts, step, newest)


def _stated(primary: Facts, step: VersionStep, term: int) -> Verdict:
    """Judge whether the granted primary states that it has taken a version."""
    path, said = taken(primary), f"{primary.node}, the primary to whom term {term} is granted,"
    if len(path) >= step.version and path[step.version - 1] == step.digest:
        return holds(Invariant.PRIMARY_FIRST, f"{said} states that it has taken version {step.version}, {step.digest}")
    return violated(
        Invariant.PRIMARY_FIRST,
        f"{said} has taken version {len(path)}, and not this version {step.version}: the primary takes it first",
    )
