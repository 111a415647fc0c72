"""What stands between watching a node and taking charge of it, one thing each, with what a person would have to do.

Nothing here changes anything, and nothing is asked of anybody: it is judged on what the agents see. What an agent may
not see is unknown, and said to be. Pure: no I/O, no clock.

Source: PostgreSQL manual 20.5 (pg_rewind's needs), 26.2 (standbys), 54.7 (logical slots on standbys, from 17 on).
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping

import msgspec

from aerodb.protocol.carrying import Carrying
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import Facts, Instance, State
from aerodb.protocol.plan import Result
from aerodb.protocol.watched import OVERRIDES, Survey, Watched
from aerodb.rules.carrying import Fate, carrying_of, copy_text, fate
from aerodb.rules.watching import taking_writes, watched_of

MAJORS = range(15, 19)
"""The major versions of PostgreSQL that AeroDB can take charge of."""
SLOTS_KEPT_FROM = 17
"""The major version from which on a standby can keep logical slots for what comes after a switchover."""
AUTO = "postgresql.auto.conf"
_MAJOR = re.compile(r"[0-9]+")


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """One thing about a node: whether it is as it has to be, what is seen of it, and what a person would have to do.

    `do` is empty where it holds.
    """

    subject: str
    result: Result
    said: str
    do: str = ""


def readiness(cluster: Cluster, facts: Mapping[str, Facts]) -> dict[str, tuple[Readiness, ...]]:
    """Return, by node, what stands between watching the cluster and taking charge of it."""
    return {
        name: (
            *_of_node(name, facts.get(name), facts),
            *_carried(name, {each: facts.get(each) for each in cluster.data_nodes}),
        )
        for name in cluster.data_nodes
    }


def stands_between(found: Mapping[str, tuple[Readiness, ...]]) -> int:
    """Return how many things do not hold, or are unknown."""
    return sum(each.result is not Result.HOLDS for every in found.values() for each in every)


def _holds(subject: str, said: str) -> Readiness:
    return Readiness(subject=subject, result=Result.HOLDS, said=said)


def _violated(subject: str, said: str, do: str) -> Readiness:
    return Readiness(subject=subject, result=Result.VIOLATED, said=said, do=do)


def _unknown(subject: str, said: str, do: str) -> Readiness:
    return Readiness(subject=subject, result=Result.UNKNOWN, said=said, do=do)


def _of_node(name: str, own: Facts | None, facts: Mapping[str, Facts]) -> Iterator[Readiness]:
    if own is None:
        yield _unknown("report", "it gives no report", f"see that the agent of {name} runs and can be reached")
        return
    watched, instance = watched_of(own), own.instance
    if watched is None or instance is None:
        yield _holds("charge", "AeroDB has taken charge of it")
        return
    if instance.state is not State.RUNNING or watched.survey is None:
        why = "; ".join(each.partition(": ")[2] for each in instance.damage) or "PostgreSQL does not answer"
        yield _unknown("PostgreSQL", why, "let its agent log in: all else is unknown until then")
        return
    yield _version(instance)
    yield from _system(name, instance, facts)
    yield from _streams(name, instance, watched, facts)
    yield from _settings(watched.survey)
    yield _managers(watched.survey)
    yield from _kept(watched.survey)
    for sentence in watched.unseen:
        yield _unknown("not seen", sentence, "look yourself: the agent has no right to")


def _major(version: str) -> int:
    found = _MAJOR.match(version)
    return int(found[0]) if found else 0


def _version(instance: Instance) -> Readiness:
    if _major(instance.version) in MAJORS:
        return _holds("version", f"PostgreSQL {instance.version}")
    do = f"upgrade it: {MAJORS[0]} to {MAJORS[-1]} can be taken charge of"
    return _violated("version", f"PostgreSQL {instance.version or 'of an unknown version'}", do)


def _system(name: str, instance: Instance, facts: Mapping[str, Facts]) -> Iterator[Readiness]:
    """Judge whether the nodes hold one database, and one of them takes writes."""
    others = {
        other: each.instance.system
        for other, each in facts.items()
        if other != name and each.instance is not None and each.instance.system
    }
    apart = [other for other, system in others.items() if system != instance.system]
    if not instance.system:
        yield _unknown("one database", "its system identifier is not seen", "look yourself: pg_control_system()")
    elif apart:
        said = f"its system identifier is {instance.system}, another one than that of {', '.join(apart)}"
        yield _violated("one database", said, "admit only nodes of one cluster")
    else:
        yield _holds("one database", f"system identifier {instance.system}")
    alone = taking_writes(facts)
    if len(alone) > 1 and name in alone:
        said = f"{' and '.join(alone)} take writes at once"
        yield _violated("one primary", said, "find out which one clients reach, and end the others")


def _streams(name: str, instance: Instance, watched: Watched, facts: Mapping[str, Facts]) -> Iterator[Readiness]:
    survey = watched.survey
    if instance.recovery is False and survey is not None:
        if survey.waits_for is None:
            yield _unknown("synchronous", "what a commit waits for is not seen", "look yourself")
        elif survey.waits_for == 0:
            said = "a commit waits for no standby: what the primary alone has would be lost with it"
            yield _violated("synchronous", said, "let each standby stream under a name of its own, then set the policy")
        else:
            yield _holds("synchronous", f"a commit waits for {survey.waits_for} standby(s)")
    named = Counter(each.application for each in survey.names) if survey else Counter[str]()
    named.update(each.application for each in watched.strangers)
    for application, count in sorted(named.items()):
        if count > 1:
            said = f"{count} receivers are all called {application}, so a commit cannot wait for one of them"
            do = "give each its own application_name in primary_conninfo, or its own cluster_name"
            yield _violated("names", said, do)
    for each in watched.strangers:
        said = f"{each.address or 'a local socket'} ({each.application}) receives WAL, and is no member"
        yield _violated("strangers", said, "admit it, or know that it is not counted")
    if instance.recovery and instance.attached is None and instance.receiver is None:
        yield _violated("streams", "it is a standby that receives from nobody", "connect it to the primary")
    elif instance.recovery and instance.attached not in facts:
        upstream = instance.attached or (instance.receiver.upstream if instance.receiver else "somebody")
        said = f"it streams from {upstream}, which is no member that reports"
        yield _violated("streams", said, f"admit that node, or let {name} stream from a member")


def _settings(survey: Survey) -> Iterator[Readiness]:
    """Judge where the settings that proofs rest on are set, and whether commits reach the disk at all."""
    auto = [each.name for each in survey.settings if AUTO in each.place]
    if auto:
        do = "move them to the settings files: " + "; ".join(f"alter system reset {name}" for name in auto)
        yield _violated("settings", f"set by ALTER SYSTEM, which wins over every file: {', '.join(auto)}", do)
    values = {each.name: each.value for each in survey.settings}
    unsafe = [name for name in ("fsync", "full_page_writes") if values.get(name) == "off"]
    if unsafe:
        said = f"{' and '.join(unsafe)} off: a crash can lose or damage what was acknowledged"
        yield _violated("settings", said, "switch on, and make the standbys anew if it ever crashed")
    if values.get("wal_level") == "minimal":
        yield _violated("settings", "wal_level is minimal: nothing can be streamed", "set it to replica, and restart")
    lower = OVERRIDES in values
    if lower:
        said = f"synchronous_commit is set to wait for no flush for {values[OVERRIDES]} role(s) or database(s)"
        do = "alter role, or alter database, ... reset synchronous_commit; or know that those commits can be lost"
        yield _violated("settings", said, do)
    if not auto and not unsafe and not lower and values.get("wal_level") != "minimal":
        yield _holds("settings", "those that proofs would rest on are set in files")


def _managers(survey: Survey) -> Readiness:
    if survey.managers:
        said = f"another manager is at work: {', '.join(survey.managers)}"
        return _violated("sole manager", said, "hand over first: pause it, stop it, and see that it stays stopped")
    return _holds("sole manager", "no Patroni, repmgrd, Pacemaker or pg_auto_failover is seen on the host")


def _kept(survey: Survey) -> Iterator[Readiness]:
    """Judge what a new copy of the data, a switchover, and the way back of a former primary would meet."""
    if survey.tablespaces is None:
        yield _unknown("tablespaces", "not seen", "look yourself: \\db+")
    elif survey.tablespaces:
        said = f"tablespaces beside PostgreSQL's own: {', '.join(survey.tablespaces)}"
        yield _violated("tablespaces", said, "say where each is to lie on every node")
    else:
        yield _holds("tablespaces", "none beside PostgreSQL's own")
    if survey.wal_apart is None:
        yield _unknown("pg_wal", "whether it is a volume of its own is not seen", "look yourself: readlink pg_wal")
    elif survey.wal_apart:
        yield _violated("pg_wal", "it lies outside the data folder", "say where it is to lie on every node")
    else:
        yield _holds("pg_wal", "it lies in the data folder")
    if survey.rewindable is None:
        yield _unknown("way back", "neither data checksums nor wal_log_hints are seen", "look yourself")
    elif survey.rewindable:
        yield _holds("way back", "data checksums, or wal_log_hints, are on: pg_rewind could be used")
    else:
        said = "neither data checksums nor wal_log_hints are on: a diverged primary comes back by a whole copy alone"
        yield _violated("way back", said, "set wal_log_hints, and restart; or know it")
    if survey.archiving == "off" or survey.archive_command is False:
        yield _violated("archive", "no WAL is archived: backups and point-in-time recovery are yours", "know it")
    elif survey.archive_command is None:
        yield _unknown("archive", f"archive_mode is {survey.archiving}, and by what is not seen", "look yourself")
    else:
        yield _holds("archive", f"archive_mode is {survey.archiving}")


def _carried(name: str, facts: Mapping[str, Facts | None]) -> Iterator[Readiness]:
    """Judge what a successor would have of a watched node's logical slots; `facts` are those of all data nodes."""
    own = facts[name]
    watched, instance = watched_of(own) if own else None, own.instance if own else None
    if own is None or instance is None or instance.state is not State.RUNNING or not watched or not watched.survey:
        return
    named, carrying = watched.survey.logical_slots, carrying_of(own)
    if named is None:
        yield _unknown("logical slots", "not seen", "look yourself: pg_replication_slots")
    elif carrying is not None and instance.recovery:
        yield _copies(carrying)
    elif not named:
        yield _holds("logical slots", "none")
    elif _major(instance.version) < SLOTS_KEPT_FROM:
        do = f"below {SLOTS_KEPT_FROM} no standby has them: make them anew after each switchover, or know it"
        yield _violated("logical slots", f"they would be lost with a switchover: {', '.join(named)}", do)
    elif carrying is None:
        do = "see that each is a failover slot that the standbys synchronise"
        yield _unknown("logical slots", f"whether a successor would have them is not judged: {', '.join(named)}", do)
    else:
        yield _copied(name, carrying, {each: said for each, said in facts.items() if each != name})


def _copies(carrying: Carrying) -> Readiness:
    """Say of a standby which copies it has; what they are worth is judged where their originals are."""
    said = [f"{each.name} ({copy_text(each)})" for each in carrying.logical]
    return _holds("logical slots", ", ".join(said) or "none")


def _copied(name: str, carrying: Carrying, others: Mapping[str, Facts | None]) -> Readiness:
    """Judge whether each of the primary's slots has a ready copy on every other node."""
    told = [(slot.name, fate(slot, name, other, facts)) for slot in carrying.logical for other, facts in others.items()]
    failing = [(slot, each) for slot, each in told if each.fate is not Fate.READY]
    if not failing:
        names = ", ".join(each.name for each in carrying.logical)
        return _holds("logical slots", f"every other node has a ready copy: {names}")
    said = "; ".join(f"{slot}: {each.why}" for slot, each in failing)
    do = "make each a failover slot, and let the standbys synchronise it (sync_replication_slots); or know it"
    if all(each.fate is Fate.UNKNOWN for _, each in failing):
        return _unknown("logical slots", said, do)
    return _violated("logical slots", said, do)
