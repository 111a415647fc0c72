"""What a node keeps, by PostgreSQL and the file system: replay, slots, pg_wal, free space, unlogged relations.

- PostgreSQL's part comes with the one look at it; the rest is read from the folders, whether it runs or not.
- Unlogged relations are counted by their init forks, which standbys have too. Only changed folders are listed again.

Source: PostgreSQL manual 27.2 (statistics), 9.28 (functions), 73.5 (the initialization fork).
"""

import os
import re
from pathlib import Path
from typing import Any

import msgspec

from aerodb.protocol.keeping import Capacity, Keeping, Replay, Slot, Volume, Wal
from aerodb.protocol.lsn import Lsn

_INIT = re.compile(r"[0-9]+_init")
SEGMENT_DIGITS = 16
STEP_BYTES_MIN, STEP_BYTES_MAX = 16 << 20, 1 << 30
CAPACITY = Capacity.__struct_fields__

KEEPING = """(select json_build_object(
     'replay', case when pg_is_in_recovery() then json_build_object(
        'paused', pg_is_wal_replay_paused(),
        'unreplayed_bytes', coalesce(greatest(pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), 0),
           0)::bigint,
        'conflicts', (select coalesce(sum(confl_tablespace + confl_lock + confl_snapshot + confl_bufferpin
           + confl_deadlock), 0)::bigint from pg_stat_database_conflicts)) end,
     'capacity', (select json_object_agg(name, current_setting(name)::int) from unnest(%(capacity)s::text[]) name),
     'slots', (select coalesce(json_agg(json_build_object('name', slot_name, 'kind', slot_type, 'active', active,
        'lost', coalesce(wal_status = 'lost', false), 'held_bytes', greatest(pg_wal_lsn_diff(
           case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end, restart_lsn),
           0)::bigint) order by slot_name), '[]') from pg_replication_slots where not temporary),
     'wal', (select json_build_object('bytes', coalesce(sum(size), 0)::bigint,
        'first', min(substr(name, 9)) filter (where name ~ '^[0-9A-F]{24}$')) from pg_ls_waldir()),
     'segment_bytes', pg_size_bytes(current_setting('wal_segment_size'))))"""


def said_of(found: dict[str, Any]) -> Keeping:
    """Return PostgreSQL's part of what a node keeps."""
    return Keeping(
        replay=Replay(**found["replay"]) if found["replay"] else None,
        capacity=Capacity(**found["capacity"]),
        slots=tuple(Slot(**slot) for slot in found["slots"]),
        wal=Wal(size_bytes=found["wal"]["bytes"], begin=_begin(found["wal"]["first"], found["segment_bytes"])),
    )


def _begin(first: str | None, segment_bytes: int) -> Lsn | None:
    """Return where the segment `first` begins; `first` is its name without the timeline. None if there is none."""
    if first is None or len(first) != SEGMENT_DIGITS:
        return None
    return Lsn((int(first[:8], 16) << 32) + int(first[8:], 16) * segment_bytes)


class Folders:
    """The file system's part of what one instance keeps; a folder that has not changed is not listed again."""

    def __init__(self) -> None:
        """Begin with no folder listed."""
        self._listed: dict[Path, tuple[int, int]] = {}

    def kept(self, keeping: Keeping, data: Path) -> Keeping:
        """Return `keeping` with the file system's part added; what cannot be read is unknown."""
        try:
            volume: Volume | None = min(map(_volume, (data, data / "pg_wal")), key=lambda each: each.free_bytes)
        except OSError:
            volume = None
        try:
            unlogged: int | None = self._unlogged(data)
        except OSError:
            unlogged = None
        return msgspec.structs.replace(keeping, volume=volume, unlogged=unlogged)

    def _unlogged(self, data: Path) -> int:
        folders = [*(data / "base").iterdir(), *data.glob("pg_tblspc/*/PG_*/*")]
        counts = {folder: self._count(folder) for folder in folders if folder.is_dir()}
        self._listed = counts
        return sum(count for _, count in counts.values())

    def _count(self, folder: Path) -> tuple[int, int]:
        """Return a database folder's last change in nanoseconds, and the number of init forks in it."""
        changed = folder.stat().st_mtime_ns
        known = self._listed.get(folder)
        if known is not None and known[0] == changed:
            return known
        with os.scandir(folder) as entries:
            return changed, sum(_INIT.fullmatch(entry.name) is not None for entry in entries)


def _volume(folder: Path) -> Volume:
    """Return a volume's space, rounded: others write there too, but two looks at an idle node should agree."""
    found = os.statvfs(folder)
    size, free = found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize
    step = min(max(size // 100, STEP_BYTES_MIN), STEP_BYTES_MAX)
    return Volume(size_bytes=size, free_bytes=free // step * step)
