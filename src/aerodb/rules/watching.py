"""A cluster that is only watched: who takes writes there, and what a commit waits for, as PostgreSQL itself says.

No term has been founded, so nothing proves that there is one primary alone: what is not seen is said to be unknown, and
two that take writes are named. Pure: no I/O, no clock. Source: PostgreSQL manual 19.6.2 (synchronous_standby_names).
"""

import re
from collections.abc import Mapping

from msgspec.structs import replace

from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import Facts, Instance, State
from aerodb.protocol.watched import OVERRIDES, Watched
from aerodb.protocol.writes import Writes

SYNCHRONOUS = frozenset({"quorum", "sync"})
ABLE = frozenset({*SYNCHRONOUS, "potential"})
"""How the primary counts a standby that a commit waits for, or would once another one is lost."""
WAITS = frozenset({"on", "remote_apply", "true", "yes", "1"})
"""The values of synchronous_commit with which a commit waits until standbys have flushed it."""
STRANGER = "a receiver that is no member"
WAIT_SECONDS = 5
"""If a commit waits this long although standbys stream, they do not flush."""
_COUNTED = re.compile(r"\s*(?:(?:first|any)\s+)?([0-9]+)\s*\(", re.IGNORECASE)


def watched_of(facts: Facts) -> Watched | None:
    """Return what the agent of a node that is only watched says beside the facts; None of any other node."""
    return facts.watched if isinstance(facts.watched, Watched) else None


def sees_upstream(facts: Facts) -> bool:
    """Tell whether a node's agent sees from whom PostgreSQL receives; of one that is only watched it may not."""
    watched = watched_of(facts)
    return watched is None or watched.survey is not None


def role_of(facts: Facts) -> str:
    """Return what a node is: its standing's role; of one that is only watched what its PostgreSQL runs as.

    That is "unknown" where it is not seen: such a node stands for nothing.
    """
    if watched_of(facts) is None:
        return facts.standing.role
    recovery = facts.instance.recovery if facts.instance else None
    return "unknown" if recovery is None else "standby" if recovery else "primary"


def taking_writes(facts: Mapping[str, Facts]) -> tuple[str, ...]:
    """Return the nodes whose PostgreSQL is seen to run out of recovery."""
    return tuple(
        name
        for name, each in facts.items()
        if each.instance is not None and each.instance.state is State.RUNNING and each.instance.recovery is False
    )


def waited_for(names: str, commits: str) -> int:
    """Return for how many standbys a commit waits.

    `names` is the value of synchronous_standby_names, `commits` that of synchronous_commit.
    """
    if not names.strip() or commits not in WAITS:
        return 0
    counted = _COUNTED.match(names)
    return int(counted[1]) if counted else 1


def _answer(answer: str, headline: str, *details: str, node: str = "") -> Writes:
    return Writes(
        acknowledged="unknown" if answer == "unknown" else "no",
        node=node,
        term=0,
        serves=False,
        needed=0,
        standbys=(),
        survives=0,
        headline=headline,
        details=details,
    )


def watched_writes(cluster: Cluster, facts: Mapping[str, Facts]) -> Writes:
    """Return whether commits are acknowledged in a watched cluster, as far as the reports in `facts` tell."""
    found, unseen = taking_writes(facts), _unseen(cluster, facts)
    if len(found) > 1:
        split = f"{' and '.join(found)} take writes at once, so their histories part: whom clients reach is not known"
        return _answer("unknown", f"unknown: {split}")
    if not found:
        seen = "no node that reports takes writes"
        if unseen:
            return _answer("unknown", f"unknown: {seen}; {', '.join(unseen)} {_is_not(unseen)}")
        return _answer("no", "no node takes writes", "All run in recovery: nobody has been promoted.")
    node = found[0]
    instance = facts[node].instance
    told = _serving(node, facts[node], instance) if instance is not None else _answer("unknown", "unknown")
    if not unseen:
        return told
    doubt = f"{', '.join(unseen)} {_is_not(unseen)}: whether another node takes writes as well is not known."
    return replace(told, details=(*told.details, doubt))


def _is_not(names: tuple[str, ...]) -> str:
    return "is not observed" if len(names) == 1 else "are not observed"


def _unseen(cluster: Cluster, facts: Mapping[str, Facts]) -> tuple[str, ...]:
    """Return the data nodes of which it is not seen whether they take writes."""

    def seen(each: Facts | None) -> bool:
        instance = each.instance if each else None
        return instance is not None and instance.state is State.RUNNING and instance.recovery is not None

    return tuple(name for name in cluster.data_nodes if not seen(facts.get(name)))


def _serving(node: str, facts: Facts, instance: Instance) -> Writes:
    """Judge a PostgreSQL that takes writes, by its own settings and by who streams from it."""
    watched = watched_of(facts)
    survey = watched.survey if watched else None
    need = survey.waits_for if survey else None
    base = Writes(
        acknowledged="yes",
        node=node,
        term=0,
        serves=True,
        needed=0,
        standbys=(),
        survives=0,
        headline=f"acknowledged by {node} alone",
        details=("A commit waits for no standby: what the primary alone has is lost with it.",),
    )
    if need is None or watched is None:
        said = f"unknown: {node} takes writes, and what a commit waits for is not known"
        return _answer("unknown", said, node=node)
    if need == 0:
        return base
    streaming = [(each.node, each.sync_state) for each in instance.senders if each.state == "streaming"]
    streaming += [(STRANGER, each.sync_state) for each in watched.strangers if each.state == "streaming"]
    able = tuple(name for name, sync in streaming if sync in ABLE)
    base = replace(base, needed=need, standbys=able, details=())
    if len(able) < need:
        said = f"{len(able)} synchronous standby(s) stream, {need} needed"
        return replace(base, acknowledged="no", headline=f"waiting at {node}; {said}")
    waits_seconds = instance.load.longest_wait_seconds if instance.load else 0
    if waits_seconds >= WAIT_SECONDS:
        said = f"commits wait at {node} though {', '.join(able)} stream, the oldest for {waits_seconds} s"
        return replace(base, acknowledged="unknown", headline=f"unknown: {said}")
    spare = len(able) - need
    survives = f"survives the loss of {spare} more node{'' if spare == 1 else 's'}"
    waits = f"A commit waits for {need} of {', '.join(able)}."
    lower = survey is not None and any(each.name == OVERRIDES for each in survey.settings)
    but = ("Not those of roles or databases whose synchronous_commit is set lower: they wait for none.",)
    details = (waits, *(but if lower else ()))
    return replace(base, survives=spare, headline=f"acknowledged by {node}, {survives}", details=details)
