"""What a running PostgreSQL says of what a successor must have too: the statement, and how its answer is understood.

- One statement for every version: a slot's row is asked for whole, and what a version does not have is not in it.

Source: PostgreSQL manual 20.6 (replication settings), 47.2.3 (slot synchronisation), 54.20 (pg_replication_slots).
"""

from typing import Any

from aerodb.errors import writable
from aerodb.kernel.postgres.capabilities import Capability, has
from aerodb.kernel.postgres.receiving import parsed_lsn
from aerodb.protocol.carrying import Carrying, LogicalSlot

CARRYING = """(select json_build_object(
     'major', current_setting('server_version_num')::int / 10000,
     'logical', (select coalesce(json_agg(slot order by slot->>'slot_name' collate "C"), '[]')
                   from (select to_jsonb(found) as slot from pg_replication_slots found) slots
                  where slot->>'slot_type' = 'logical'
                    and (slot->>'temporary' = 'false' or slot->>'synced' = 'true')),
     'slots_keep_bytes_max', pg_size_bytes(current_setting('max_slot_wal_keep_size')),
     'asks_slot', current_setting('primary_slot_name'),
     'archive_mode', current_setting('archive_mode'),
     'archive_command', current_setting('archive_command'),
     'archive_library', current_setting('archive_library')))"""
LOST = "lost"
"""What wal_status says of a slot whose WAL is gone."""
WAL_REMOVED = "wal_removed"
"""How later versions call that reason; for earlier ones it is told from the status."""
CONFLICTING = "conflicting"
"""The reason of a standby's slot that PostgreSQL 16 tells by a column of this name alone."""


def carrying_in(found: dict[str, Any]) -> Carrying:
    """Return what a running PostgreSQL says of what a successor must have too."""
    bound, library = found["slots_keep_bytes_max"], found["archive_library"]
    set_by = "archive_library" if library else "archive_command" if found["archive_command"] else ""
    return Carrying(
        copies=has(found["major"], Capability.SYNC_REPLICATION_SLOTS),
        logical=tuple(_slot(each) for each in found["logical"]),
        slots_keep_bytes_max=None if bound < 0 else bound,
        archive_mode=found["archive_mode"],
        asks_slot=found["asks_slot"],
        archives_by="" if found["archive_mode"] == "off" else set_by,
    )


def _slot(row: dict[str, Any]) -> LogicalSlot:
    reason = row.get("invalidation_reason") or (CONFLICTING if row.get("conflicting") else "")
    reason = reason or (WAL_REMOVED if row["wal_status"] == LOST else "")
    return LogicalSlot(
        name=writable(row["slot_name"]),
        database=writable(row["database"]),
        plugin=writable(row["plugin"]),
        failover=bool(row.get("failover")),
        synced=bool(row.get("synced")),
        temporary=bool(row["temporary"]),
        invalid=reason,
        confirmed=parsed_lsn(row["confirmed_flush_lsn"]),
    )
