"""Who is shown what, over the real API of a cluster in memory: each way to sensitive facts leaves its record, or none.

What each role sees of which facts is in `test_life.py` and the permission matrix; here every way to them is attacked.
"""

import os
from collections.abc import Callable

import pytest

from aerodb.audit.record import Record, read_record
from aerodb.protocol import canonical
from aerodb.protocol.api import Decision, Planned
from aerodb.protocol.plan import Snapshot
from aerodb.transport.errors import Refused
from tests.unit.neighbours.cluster import NODES, MemoryCluster
from tests.unit.neighbours.life import ask, confirm

Way = Callable[[Planned, Record], str]
WAYS: dict[str, tuple[str, Way]] = {
    "the cluster now": ("status", lambda *_: "/v1/status?sensitive=1"),
    "a recorded snapshot": ("snapshot", lambda _, record: f"/v1/snapshots/{record.snapshot}?sensitive=1"),
    "another's decision": ("snapshot", lambda planned, _: f"/v1/requests/{planned.request}?sensitive=1"),
    "the timeline": ("timeline", lambda *_: "/v1/timeline?sensitive=1"),
    "evidence": ("evidence", lambda planned, _: f"/v1/requests/{planned.request}/evidence"),
    "an export": ("export", lambda *_: "/v1/audit/export"),
}
"""Every way to sensitive facts: what its record says was read, and its path."""
ADDRESS = "10.66.6.6"


def made(room: MemoryCluster) -> tuple[Planned, Record]:
    """Have alice do something; return its plan and the record of it."""
    planned = ask(room)
    confirm(room, planned)
    return planned, read_record(room.log.record(room.log.sequences_of(planned.request)[0]))


def since(room: MemoryCluster, size: int) -> list[tuple[str, str, str]]:
    """Return event, person and what was read of each record since the log had a size."""
    records = [read_record(data) for _, data in room.log.records(size)]
    return [(each.event, each.operator, each.arguments.get("read", "")) for each in records]


@pytest.mark.parametrize("way", WAYS)
def test_each_way_to_sensitive_facts_leaves_exactly_one_record(room: MemoryCluster, way: str) -> None:
    """Of who read what; and what is shown is more than what is shown without asking for it."""
    said, path = WAYS[way]
    asked = path(*made(room))
    size = room.log.size
    assert room.caller("carol").get(asked)
    assert since(room, size) == [("read", "carol", said)]


@pytest.mark.parametrize("way", WAYS)
def test_what_cannot_be_recorded_is_not_shown(room: MemoryCluster, way: str) -> None:
    """The log takes no record: whoever asks for sensitive facts is refused, and is shown nothing of them."""
    _, path = WAYS[way]
    asked = path(*made(room))
    size = room.log.size
    os.utime(room.folder / "log" / "log.db", ns=(0, 0))
    with pytest.raises(Refused) as refused:
        room.caller("carol").get(asked)
    assert refused.value.code == "control.log-replaced"
    assert since(room, size) == []


@pytest.mark.parametrize("way", WAYS)
def test_an_observer_is_refused_each_of_them(room: MemoryCluster, way: str) -> None:
    """By their role, before anything is read; nothing says that they were shown anything."""
    _, path = WAYS[way]
    asked = path(*made(room))
    size = room.log.size
    with pytest.raises(Refused) as refused:
        room.caller("olga").get(asked)
    assert refused.value.code == "control.role-denied"
    assert all(event != "read" for event, _, _ in since(room, size))


@pytest.mark.parametrize(
    ("person", "query", "shown", "recorded"),
    [
        ("alice", "", True, False),
        ("alice", "?sensitive=1", True, False),
        ("bob", "", False, False),
        ("bob", "?sensitive=1", True, True),
        ("carol", "", False, False),
        ("carol", "?sensitive=1", True, True),
    ],
)
def test_a_snapshot_is_its_requesters_and_else_a_record(
    room: MemoryCluster, person: str, query: str, *, shown: bool, recorded: bool
) -> None:
    """Whose request it is sees it, as their request is the record; everyone else is shown it only by leaving one."""
    planned, _ = made(room)
    size = room.log.size
    found = canonical.decode(room.caller(person).get(f"/v1/requests/{planned.request}{query}"), Decision)
    assert (found.snapshot is not None, found.redacted == ("snapshot",)) == (shown, not shown)
    assert since(room, size) == ([("read", person, "snapshot")] if recorded else [])


@pytest.mark.parametrize("name", ["nobody", "n1", "control"])
def test_who_is_nobody_is_shown_nothing(room: MemoryCluster, name: str) -> None:
    """A certificate of a name that is not enrolled, or of a service, opens no way at all."""
    planned, record = made(room)
    for _, path in WAYS.values():
        for kind in ("person", "node", "control"):
            with pytest.raises(Refused) as refused:
                room.caller(name, kind).get(path(planned, record))
            assert refused.value.status in {401, 403}


@pytest.mark.parametrize("person", ["olga", "carol"])
def test_what_nobody_asked_to_see_is_not_in_any_answer(room: MemoryCluster, person: str) -> None:
    """Whoever only looks is given no node's signature and no address that an error names, by any way of looking."""
    room.silent["n2"] = f"{ADDRESS}:5432 refuses"
    planned, record = made(room)
    ways = ["/v1/status", "/v1/timeline", "/v1/requests", f"/v1/requests/{planned.request}", "/v1/catalogue"]
    ways += [f"/v1/snapshots/{record.snapshot}", "/v1/explain?action=stop&target=n3"]
    reports = [each.encode() for each in _signatures(room)]
    for way in ways:
        answer = room.caller(person).get(way)
        assert not any(each in answer for each in reports), way
        assert person == "carol" or ADDRESS.encode() not in answer, way


def _signatures(room: MemoryCluster) -> list[str]:
    """Return the signatures of the reports of every snapshot that the log holds."""
    found = []
    for _, data in room.log.records():
        snapshot = room.log.blob(read_record(data).snapshot)
        if snapshot is not None:
            found += [each.signature for each in canonical.decode(snapshot, Snapshot).reports.values()]
    assert len(found) >= len(NODES) - 1
    return found
