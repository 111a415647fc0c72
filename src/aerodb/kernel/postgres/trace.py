"""What a running PostgreSQL tells of itself beyond its facts: for people to read, never for a judgement.

Source: PostgreSQL manual 27.2 (pg_stat_activity), 53.20 (pg_replication_slots), 53.25 (pg_settings).
"""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aerodb.kernel.postgres.settings import IN_FORCE, WATCHED
from aerodb.protocol.events import Trace

if TYPE_CHECKING:
    from aerodb.kernel.postgres.session import PostgresSession  # An agent that only watches has a session of its own.

# Through to_jsonb, a column that an older version lacks is null; there, a slot is invalid if its WAL is lost.
TRACE = """
select json_build_object(
  'started', to_char(pg_postmaster_start_time() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
  'engine', (select to_char(min(backend_start) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
             from pg_stat_activity where backend_type = 'checkpointer'),
  'settings', :settings,
  'slots', (select coalesce(json_object_agg(slot_name,
             coalesce(to_jsonb(s) ->> 'invalidation_reason', case when wal_status = 'lost' then 'wal lost' end, '')),
             '{}') from pg_replication_slots s where not temporary),
  'lag', (select greatest(pg_wal_lsn_diff(latest_end_lsn, flushed_lsn), 0)::bigint from pg_stat_wal_receiver),
  'unreplayed', greatest(pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), 0)::bigint) as found
""".replace(":settings", IN_FORCE)
_HOST = re.compile(r"\bhost=(\S+)")
_PORT = re.compile(r"\bport=(\S+)")


def _shown(name: str, value: str) -> str:
    """Return a setting without secrets: of a connection string only host and port."""
    if name != "primary_conninfo" or not value:
        return value
    host, port = _HOST.search(value), _PORT.search(value)
    return f"{host[1] if host else '?'}:{port[1] if port else '?'}"


def read_trace(session: "PostgresSession") -> Trace:
    """Ask PostgreSQL for its trace.

    Raises:
        PostgresUnreachable, StatementFailed: PostgreSQL does not answer, or refuses the statement.
    """
    return trace_in(session.run(TRACE, {"watched": list(WATCHED)})[0]["found"], _shown)


def trace_in(found: dict[str, Any], shown: Callable[[str, str], str]) -> Trace:
    """Return what was found; `shown` returns a setting, of this name and value, without secrets."""
    return Trace(
        started=found["started"],
        engine=found["engine"] or "",
        settings={name: shown(name, value) for name, value in found["settings"].items()},
        slots=found["slots"],
        receiver_lag_bytes=found["lag"],
        unreplayed_bytes=found["unreplayed"],
    )
