"""States that each differ from a whole cluster's by one change: what the plans on file are made from."""

from collections.abc import Callable, Iterator

from msgspec.structs import replace

from aerodb.protocol.authority import Branch, Candidacy, Followed, Owed, Position
from aerodb.protocol.carrying import Carrying, LogicalSlot
from aerodb.protocol.facts import Commit, Load, Receiver, Sender, State, Unfinished, UnusedFolder
from aerodb.protocol.keeping import Capacity, Keeping, Replay, Slot, Volume, Wal
from aerodb.protocol.lsn import Lsn
from tests.unit.rules.scenes import FILES, FIRST, Scene, carried, pledged, with_instance, with_standing

Change = Callable[[Scene, str], Scene]
"""Gives a scene with one node changed."""


def _instance(**changes: object) -> Change:
    return lambda scene, name: with_instance(scene, name, **changes)


def _standing(**changes: object) -> Change:
    return lambda scene, name: with_standing(scene, name, **changes)


def _facts(**changes: object) -> Change:
    return lambda scene, name: {**scene, name: replace(scene[name], **changes)}


def _at(lsn: int, term: int | None = 1, bound: int | None = 1, timeline: int = 1, owed: Owed | None = None) -> Change:
    return _instance(position=Position(term=term, bound=bound, timeline=timeline, lsn=Lsn(lsn), owed=owed))


def _load(**counts: int) -> Change:
    nothing = {"sessions": 0, "longest_transaction_seconds": 0, "prepared_transactions": 0, "backups": 0,
               "logical_slots": 0, "waiting_commits": 0}  # fmt: skip
    return _instance(load=Load(**{**nothing, **counts}))


def _senders(*sizes: tuple[int | None, int | None], **changes: object) -> Change:
    """Return n2 and n3 streaming from the node; `sizes` are what was sent and flushed."""

    def change(scene: Scene, name: str) -> Scene:
        others = [each for each in scene if each != name and scene[each].instance is not None]
        said = tuple(
            replace(
                Sender(node=other, state="streaming", sync_state="quorum", sent=None, flushed=None, replayed=None),
                sent=None if sent is None else Lsn(sent), flushed=None if flushed is None else Lsn(flushed), **changes,
            )
            for other, (sent, flushed) in zip(others, sizes, strict=False)
        )  # fmt: skip
        return with_instance(scene, name, senders=said)

    return change


def _history(*branches: tuple[int, int, int | None]) -> Change:
    return _instance(lineage=tuple(Branch(timeline=at, begin=Lsn(begin), term=term) for at, begin, term in branches))


def _promised(term: int, candidate: str) -> Change:
    return lambda scene, name: pledged(scene, name, Candidacy(term=term, node=candidate))


def _silent(scene: Scene, name: str) -> Scene:
    return {each: facts for each, facts in scene.items() if each != name}


_FULL = Capacity(
    max_connections=100, max_worker_processes=8, max_wal_senders=10, max_prepared_transactions=0,
    max_locks_per_transaction=64,
)  # fmt: skip
_SLOT = Slot(name="s", kind="physical", active=False, lost=False, held_bytes=3 << 30)
_COMMITS = tuple(Commit(xid=700 + at, lsn=Lsn(4000 + 100 * at), time=f"2026-01-01T00:00:0{at}Z") for at in range(3))

_SLOTS = tuple(
    LogicalSlot(name=f"cdc{at}", database="shop", plugin="pgoutput", failover=at != 1, synced=False, temporary=False,
                invalid="", confirmed=Lsn(4000 + at))
    for at in range(4)
)  # fmt: skip
_ARCHIVING = Carrying(
    copies=True, logical=(), slots_keep_bytes_max=None, archive_mode="off", archives_by="",
)  # fmt: skip
_COPIES = (
    replace(_SLOTS[0], synced=True),
    replace(_SLOTS[1], synced=True, temporary=True),
    replace(_SLOTS[2], synced=True, invalid="wal_removed"),
    _SLOTS[3],
)


def _carries(before: Carrying, after: Carrying) -> Change:
    """Return n1 as a primary that carries one thing, and the node itself (everybody else, for n1) with another."""

    def change(scene: Scene, name: str) -> Scene:
        told = [each for each in scene if scene[each].instance is not None and (each == "n1" or name in (each, "n1"))]
        for each in told:
            scene = with_instance(scene, each, carrying=before if each == "n1" else after)
        return scene

    return change


_SLOTTED = replace(
    _ARCHIVING, logical=_SLOTS, slots_keep_bytes_max=1 << 30, archive_mode="on", archives_by="archive_command"
)

CHANGES: dict[str, Change] = {
    "as it is": lambda scene, _: scene,
    "silent": _silent,
    "no part of it seen": _facts(instance=None),
    "other rules": _facts(rules="aerodb-rules/0"),
    "another configuration": _facts(configuration="sha256:other"),
    "another system": _instance(system="8"),
    "a request begun": _facts(unfinished=Unfinished(request="x", action="stop", result="executed", evidence="e")),
    "a request unknown": _facts(unfinished=Unfinished(request="x", action="stop", result="unknown", evidence="e")),
    **{f"PostgreSQL {state}": _instance(state=state) for state in State},
    "unreadable, and why": _instance(state=State.UNREADABLE, damage=("settings: no", "history: torn"), position=None),
    "settings unread": _instance(damage=("settings: permission denied",)),
    "shut down cleanly": _instance(state=State.STOPPED, shutdown=Lsn(5000), receiver=None, senders=(), served=True),
    "recovery unknown": _instance(recovery=None),
    "out of recovery": _instance(recovery=False),
    "in recovery": _instance(recovery=True),
    "policy drift": _instance(drift=("fsync", "synchronous_standby_names")),
    "receiver drift": _instance(drift=("primary_conninfo", "restore_command")),
    "a role's own setting": _instance(drift=("synchronous_commit (of a role or database)",)),
    "position unknown": _instance(position=None),
    "term unknown": _at(5000, term=None, bound=None),
    "behind": _at(1000),
    "far ahead": _at(90_000_000),
    "of a higher term": _at(5000, term=4, bound=4),
    "bound higher": _at(5000, term=1, bound=3),
    "owing": _at(5000, owed=Owed(term=1, lsn=Lsn(7000))),
    "owing the unknown": _at(5000, owed=Owed(term=None, lsn=Lsn(7000))),
    "carried along": carried,
    "carried along, its record known": lambda scene, name: with_instance(carried(scene, name), name, origin="r"),
    "parted": _history((1, 0, 1), (2, 4000, 2)),
    "parted, untold": _history((1, 0, 1), (2, 4000, None)),
    "no history": _instance(lineage=()),
    "history untold": _history((1, 0, None)),
    "policy unknown": _instance(quorum=None),
    "policy weaker": _instance(quorum=0),
    "detached in its settings": _instance(attached=None, receiver=None),
    "attached elsewhere": _instance(attached="n9"),
    "restoring": _instance(restores=True),
    "receiver gone": _instance(receiver=None),
    "receiver elsewhere": _instance(receiver=Receiver(status="streaming", upstream="h:1", flushed=None)),
    "not replayed": _instance(replayed=False),
    "replay paused": _instance(keeping=Keeping(replay=Replay(paused=True, unreplayed_bytes=9, conflicts=1))),
    "smaller settings": _instance(keeping=Keeping(capacity=replace(_FULL, max_connections=10))),
    "larger settings": _instance(keeping=Keeping(capacity=replace(_FULL, max_connections=900))),
    "slots": _instance(keeping=Keeping(slots=(_SLOT, replace(_SLOT, kind="logical", held_bytes=None)))),
    "slots and archiving go on in part": _carries(_SLOTTED, replace(_ARCHIVING, logical=_COPIES)),
    "slots that no version copies": _carries(replace(_SLOTTED, copies=False), replace(_SLOTTED, copies=False)),
    "slots that it alone tells of": _instance(carrying=_SLOTTED),
    "unlogged": _instance(keeping=Keeping(unlogged=4)),
    "unlogged none": _instance(keeping=Keeping(unlogged=0)),
    "disk full": _instance(keeping=Keeping(volume=Volume(size_bytes=1 << 40, free_bytes=1 << 20))),
    "files in order": _instance(files=FILES),
    "files with an error": _instance(files=replace(FILES, faults=("a.conf line 3: syntax error",))),
    "files that weaken": _instance(files=replace(FILES, drift=("fsync",))),
    "files that wait": _instance(files=replace(FILES, pending=("max_connections",))),
    "files not in force": _instance(files=FILES, drift=("primary_conninfo",)),
    "WAL gone": _instance(keeping=Keeping(wal=Wal(size_bytes=1 << 30, begin=Lsn(60_000)))),
    "nobody streams": _instance(senders=()),
    "all stream": _senders((5000, 5000), (5000, 5000), (5000, 5000)),
    "one streams": _senders((5000, 5000)),
    "asynchronous": _senders((5000, 5000), (5000, 5000), sync_state="async"),
    "catching up": _senders((5000, 4000), (None, None), state="catchup"),
    "its receivers ahead": _senders((5000, 6000), (5000, 6000), ahead=True),
    "its receivers silent": _senders((5000, 4000), (5000, 5000), silent_seconds=300),
    "much to send": lambda scene, name: _senders((5000, 5000), (5000, 5000))(_at(900_000_000)(scene, name), name),
    "much work": _load(sessions=9, longest_transaction_seconds=4000, prepared_transactions=1, backups=1,
                       logical_slots=2, waiting_commits=3, longest_wait_seconds=2, other_senders=1),
    "commits wait long": _load(waiting_commits=3, longest_wait_seconds=70),
    "a pg checkpoint runs": _load(checkpoints=1),
    "sessions of a dead agent": _load(lingering=2),
    "commits read": _instance(commits=_COMMITS, commits_since=Lsn(3000)),
    "no commits": _instance(commits=(), commits_since=Lsn(3000)),
    "folders kept": _instance(unused=(UnusedFolder(name="data-0001", bytes=5 << 30),)),
    "another folder": _instance(identity="another"),
    "folder unknown": _instance(identity=None),
    "stopping": _instance(stopping=True),
    "served": _instance(served=True),
    "halted": _standing(halted=True),
    "weakened": _standing(weakened=True),
    "stands detached": lambda scene, name: _instance(attached=None, receiver=None)(
        with_standing(scene, name, upstream=None), name
    ),
    "stands as a standby": _standing(role="standby"),
    "stands as a primary": _standing(role="primary"),
    "stands as a witness": _standing(role="witness"),
    "follows n2": lambda scene, name: _instance(attached="n2")(with_standing(scene, name, upstream="n2"), name),
    "follows n3": lambda scene, name: _instance(attached="n3")(with_standing(scene, name, upstream="n3"), name),
    "followed": _standing(followed=Followed(term=2, lsn=Lsn(5000))),
    "knows a higher grant": _standing(granted=Candidacy(term=9, node="n3")),
    "pledged nine unsigned": _standing(pledged=Candidacy(term=9, node="n3"), pledge=None),
    "owes in its standing": _standing(owed=Owed(term=1, lsn=Lsn(9000))),
    "knows no history": _standing(lineage=()),
    "knows another history": _standing(lineage=(*FIRST, Branch(timeline=2, begin=Lsn(4000), term=2))),
    "pledged to n1": _promised(2, "n1"),
    "pledged to n2": _promised(2, "n2"),
    "pledged to n3": _promised(2, "n3"),
    "pledged to n2, higher": _promised(5, "n2"),
    "parted, its commits read": lambda scene, name: _history((1, 0, 1), (2, 4000, 2))(
        with_instance(scene, name, commits=_COMMITS, commits_since=Lsn(3000)), name
    ),
    "parted, some commits read": lambda scene, name: _history((1, 0, 1), (2, 4000, 2))(
        with_instance(scene, name, commits=(), commits_since=Lsn(4500)), name
    ),
    "carried apart": lambda scene, name: _history((1, 0, 1), (2, 4000, None))(carried(scene, name), name),
    "smaller than all others": lambda scene, name: {
        each: with_instance(scene, each, keeping=Keeping(
            capacity=replace(_FULL, max_connections=10) if each == name else _FULL
        ))[each] if facts.instance else facts
        for each, facts in scene.items()
    },
    "down, as a standby": _instance(state=State.STOPPED, recovery=True, receiver=None, senders=()),
    "has seen no log": lambda scene, name: {**scene, name: replace(scene[name], checkpoint="")},
    "has seen a broken log": lambda scene, name: {**scene, name: replace(scene[name], checkpoint="nothing")},
    "has seen more": lambda scene, name: {
        **scene, name: replace(scene[name], checkpoint=scene[name].checkpoint.replace("\n9\n", "\n10\n"))
    },
    "has given up before": _facts(gave_up=("one", "two")),
}  # fmt: skip
"""What can be different about one node."""

OF_ANY = frozenset({"silent", "other rules", "another configuration", "a request begun", "a request unknown",
                    "knows a higher grant", "pledged nine unsigned", "pledged to n1", "has seen no log"})  # fmt: skip
"""What can be different about a witness too."""


def variations(scene: Scene) -> Iterator[tuple[str, str, Scene]]:
    """Yield every state that differs from `scene` by one change of one node, with that change and the node."""
    for what, change in CHANGES.items():
        for name in scene:
            if scene[name].instance is not None or what in OF_ANY:
                yield what, name, change(scene, name)
