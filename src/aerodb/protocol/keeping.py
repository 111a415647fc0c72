"""What a node keeps, and how its replay stands: what grows, what is pinned, what a standby could not replay.

Pure: no I/O, no clock.
"""

import msgspec

from aerodb.protocol.lsn import Lsn


class Replay(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A running standby's replay.

    `paused` is true where a person paused it, or where a setting is below the primary's. `unreplayed_bytes` is what was
    received and is not replayed; `conflicts` counts the queries that replay has cancelled.
    """

    paused: bool
    unreplayed_bytes: int
    conflicts: int


class Capacity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings in force that a standby must have at least as high as its primary, or its replay pauses."""

    max_connections: int
    max_worker_processes: int
    max_wal_senders: int
    max_prepared_transactions: int
    max_locks_per_transaction: int


class Slot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A replication slot: `kind` is physical or logical, `held_bytes` the WAL that it keeps (None: none, or unknown).

    `lost` is true where what it needs is gone.
    """

    name: str
    kind: str
    active: bool
    lost: bool
    held_bytes: int | None


class Wal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A running node's pg_wal: its size, and where the oldest WAL in it begins (None: unknown)."""

    size_bytes: int
    begin: Lsn | None


class Volume(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file system of the data folder or of pg_wal, whichever has less room: its size, and what is free."""

    size_bytes: int
    free_bytes: int


class Keeping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one node keeps; what could not be seen is None.

    `unlogged` counts the relations (tables, their indexes, sequences) that are not logged: they are empty after a
    promotion or a crash. `replay` is None of a node that is down or out of recovery.
    """

    replay: Replay | None = None
    capacity: Capacity | None = None
    slots: tuple[Slot, ...] | None = None
    wal: Wal | None = None
    volume: Volume | None = None
    unlogged: int | None = None


NOTHING_SEEN = Keeping()
"""What is known of a node that nobody looked into."""


def quietly_kept(keeping: Keeping) -> Keeping:
    """Return what a node keeps without what moves while it merely works."""
    replay = keeping.replay and msgspec.structs.replace(keeping.replay, unreplayed_bytes=0, conflicts=0)
    slots = keeping.slots and tuple(
        msgspec.structs.replace(slot, held_bytes=None, active=False) for slot in keeping.slots
    )
    return msgspec.structs.replace(keeping, replay=replay, slots=slots, wal=None, volume=None, unlogged=None)
