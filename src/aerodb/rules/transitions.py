"""What changed between two looks at one node.

- What a look could not see does not count as changed; it is compared at the next look that sees it.
- A look that fails is itself a change: the state is then "unreachable".
- A node that is only watched stands for nothing: its role is the one in which PostgreSQL runs, and its receivers are
  members, or strangers at an address.
- The order is fixed: requests begun, then what changed on the node, then requests ended.

Pure: no I/O, no clock.
"""

import msgspec

from aerodb.protocol.authority import Candidacy, Position, Standing
from aerodb.protocol.events import RUNS_AS, STRANGER_AT, JournalMark, Kind, Sighting, Trace, Transition
from aerodb.protocol.facts import Facts, Instance, State
from aerodb.protocol.watched import Stranger, Watched
from aerodb.rules.watching import watched_of

Key = tuple[Kind, str]

_STANDING = frozenset({Kind.ROLE, Kind.PLEDGED, Kind.GRANTED, Kind.UPSTREAM, Kind.HALTED})
_INSTANCE = frozenset({Kind.RECOVERY, Kind.TERM, Kind.TIMELINE, Kind.FOLDER, Kind.RECEIVER, Kind.SENDER, Kind.DRIFT})
_WATCHED = _INSTANCE - {Kind.TERM, Kind.DRIFT}
_TRACE = frozenset({Kind.RESTART, Kind.CRASH_RECOVERY, Kind.SETTING, Kind.SLOT})
_QUIET_AT_FIRST = frozenset({Kind.RESTART, Kind.SETTING})
_ORDER = {kind: at for at, kind in enumerate(Kind)}


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a node after a look: all values, including earlier ones that this look did not see.

    `settled` is the last state that was not "unreachable", as a PostgreSQL that starts is for a while.
    """

    values: dict[Key, str]
    settled: str
    journal: tuple[JournalMark, ...]


def _candidacy(candidacy: Candidacy) -> str:
    return f"term {candidacy.term}, {candidacy.node}"


def _standing(standing: Standing) -> dict[Key, str]:
    return {
        (Kind.ROLE, ""): standing.role,
        (Kind.PLEDGED, ""): _candidacy(standing.pledged),
        (Kind.GRANTED, ""): _candidacy(standing.granted),
        (Kind.UPSTREAM, ""): standing.upstream or "none",
        (Kind.HALTED, ""): "stopped by a person" if standing.halted else "no",
    }


def _position(position: Position | None) -> dict[Key, str]:
    if position is None:
        return {}
    term = "unknown" if position.term is None else str(position.term)
    return {(Kind.TERM, ""): term, (Kind.TIMELINE, ""): str(position.timeline)}


def _instance(instance: Instance) -> dict[Key, str]:
    receiver = instance.receiver
    return {
        (Kind.RECOVERY, ""): "unknown" if instance.recovery is None else "yes" if instance.recovery else "no",
        **_position(instance.position),
        (Kind.FOLDER, ""): instance.folder,
        (Kind.RECEIVER, ""): f"{receiver.status} from {receiver.upstream}" if receiver else "down",
        **{(Kind.SENDER, each.node): f"{each.state} {each.sync_state}".strip() for each in instance.senders},
        (Kind.DRIFT, ""): ", ".join(instance.drift) or "none",
    }


def _stranger(stranger: Stranger) -> Key:
    return Kind.SENDER, f"{stranger.application}{STRANGER_AT}{stranger.address or 'a local socket'}"


def _watched(facts: Facts, watched: Watched) -> tuple[dict[Key, str], frozenset[Kind]]:
    """Return what a look at a node that is only watched saw, and the kinds that it could see."""
    instance = facts.instance
    if instance is None or instance.recovery is None:
        return {}, frozenset()
    recovery = {
        (Kind.ROLE, RUNS_AS): "standby" if instance.recovery else "primary",
        (Kind.RECOVERY, ""): "yes" if instance.recovery else "no",
    }
    if watched.survey is None:  # Its role may not see who receives, and from whom.
        return recovery, frozenset({Kind.ROLE, Kind.RECOVERY})
    strangers: dict[Key, str] = {}
    for each in watched.strangers:
        said = f"{each.state} {each.sync_state}".strip()
        key = _stranger(each)
        strangers[key] = f"{strangers[key]}, {said}" if key in strangers else said
    seen = {key: value for key, value in _instance(instance).items() if key[0] in _WATCHED}
    kinds = _WATCHED if instance.position is not None else _WATCHED - {Kind.TIMELINE}
    return seen | recovery | strangers, kinds | {Kind.ROLE}


def _trace(trace: Trace) -> dict[Key, str]:
    return {
        (Kind.RESTART, ""): trace.started,
        (Kind.CRASH_RECOVERY, ""): trace.engine,
        **{(Kind.SETTING, name): value for name, value in trace.settings.items()},
        **{(Kind.SLOT, name): invalid or "valid" for name, invalid in trace.slots.items()},
    }


def _looked(sighting: Sighting) -> tuple[dict[Key, str], frozenset[Kind]]:
    """Return what a look saw, and the kinds that it could see."""
    facts = sighting.facts
    if facts is None:
        return {(Kind.STATE, ""): f"{State.UNREACHABLE} ({sighting.failure})"}, frozenset({Kind.STATE})
    watched = watched_of(facts)
    values, kinds = _own(facts) if watched is None else _watched(facts, watched)
    if facts.instance is not None:
        values[Kind.STATE, ""] = facts.instance.state.value
        kinds |= {Kind.STATE}
    if sighting.trace is not None:
        values |= _trace(sighting.trace)
        kinds |= _TRACE
    return values, kinds


def _own(facts: Facts) -> tuple[dict[Key, str], frozenset[Kind]]:
    """Return what a look at a node that AeroDB is in charge of saw beside its state, and the kinds that it could."""
    standing, instance = _standing(facts.standing), facts.instance
    if instance is None or instance.state is State.UNREACHABLE:
        return standing, _STANDING
    return standing | _instance(instance), _STANDING | _INSTANCE


def see(before: Seen | None, sighting: Sighting) -> Seen:
    """Return what is known after a look; what it could not see keeps its earlier value."""
    values, kinds = _looked(sighting)
    known = before.values if before else {}
    carried = {key: value for key, value in known.items() if key[0] not in kinds}
    state = values.get((Kind.STATE, ""), "")
    settled = (before.settled if before else "") if state.startswith(State.UNREACHABLE) else state
    return Seen(values={**carried, **values}, settled=settled, journal=sighting.journal)


def transitions(before: Seen | None, now: Seen) -> tuple[Transition, ...]:
    """Return what changed between two looks; for the first look, how the node was found."""
    marks = now.journal[len(before.journal) :] if before else now.journal
    first_ended = max((at + 1 for at, mark in enumerate(marks) if not mark.result), default=0)
    return (
        *map(_request, marks[:first_ended]),
        *_changes(before, now),
        *map(_request, marks[first_ended:]),
    )


def _request(mark: JournalMark) -> Transition:
    if not mark.result:
        return Transition(kind=Kind.REQUEST, subject=mark.request, after="begun")
    return Transition(kind=Kind.REQUEST, subject=mark.request, before="begun", after=f"ended: {mark.result}")


def _changes(before: Seen | None, now: Seen) -> tuple[Transition, ...]:
    old, new = (before.values if before else {}), now.values
    seen_before = {kind for kind, _ in old}
    keys = sorted({*old, *new}, key=lambda key: (_ORDER[key[0]], key[1]))
    found = tuple(
        Transition(kind=key[0], subject=key[1], before=old.get(key, ""), after=new.get(key, "gone"))
        for key in keys
        if old.get(key) != new.get(key)
        and key[0] is not Kind.CRASH_RECOVERY
        and not (key[0] in _QUIET_AT_FIRST and key[0] not in seen_before)
    )
    return found if before is None else (*found, *_crash_recovery(before, now))


def _crash_recovery(before: Seen, now: Seen) -> tuple[Transition, ...]:
    """Return a transition if PostgreSQL recovered after a crash, its own or that of one of its processes."""
    if (before.settled, now.settled) == (State.CRASHED, State.RUNNING):
        return (Transition(kind=Kind.CRASH_RECOVERY, before="crashed", after="recovered at its start"),)
    engine, postmaster = (
        (before.values.get((kind, ""), ""), now.values.get((kind, ""), ""))
        for kind in (Kind.CRASH_RECOVERY, Kind.RESTART)
    )
    if engine[0] and engine[0] != engine[1] and postmaster[0] == postmaster[1]:
        return (Transition(kind=Kind.CRASH_RECOVERY, before="a process crashed", after="recovered by itself"),)
    return ()
