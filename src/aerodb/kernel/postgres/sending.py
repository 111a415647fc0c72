"""Who receives from a node, as pg_stat_replication says, and what a load balancer is told by.

Source: PostgreSQL manual 27.2.4 (pg_stat_replication), 27.2.6 (pg_stat_wal_receiver).
"""

from typing import Any

from aerodb.protocol.facts import Sender
from aerodb.protocol.lsn import Lsn

# What a standby has flushed was flushed here before; the own end is read after what it says, so nothing is ahead of it.
SENDERS = """(select coalesce(json_agg(json_build_object('role', usename, 'name', application_name, 'state', state,
     'sync', sync_state, 'sent', sent_lsn::text, 'flushed', flush_lsn::text, 'replayed', replay_lsn::text,
     'ahead', case when pg_is_in_recovery() then false else coalesce(flush_lsn > pg_current_wal_flush_lsn(), false) end,
     'silent', case when clock_timestamp() - reply_time > interval '30 s'
        or clock_timestamp() - reply_time > interval '1 s' and flush_lsn < case
           when pg_is_in_recovery() then pg_last_wal_receive_lsn() else pg_current_wal_flush_lsn() end
        then extract(epoch from clock_timestamp() - reply_time)::int else 0 end,
     'flush_lag', (extract(epoch from flush_lag) * 1000)::bigint,
     'replay_lag', (extract(epoch from replay_lag) * 1000)::bigint)
     order by application_name), '[]') from pg_stat_replication)"""

SERVING = """
select json_build_object(
  'recovery', pg_is_in_recovery(),
  'senders', :senders,
  'receiver', (select status from pg_stat_wal_receiver),
  'behind', (select greatest(pg_wal_lsn_diff(latest_end_lsn, pg_last_wal_replay_lsn()), 0)::bigint
             from pg_stat_wal_receiver),
  'paused', pg_is_in_recovery() and pg_is_wal_replay_paused()) as found
""".replace(":senders", SENDERS)


def read_lsn(text: str | None) -> Lsn | None:
    """Return a WAL position that PostgreSQL prints, or None where it has none."""
    return None if text is None else Lsn.parse(text)


def senders_in(found: list[dict[str, Any]]) -> tuple[Sender, ...]:
    """Return the receivers that logged in under the role of the node that they say they are."""
    return tuple(
        Sender(
            node=row["name"],
            state=row["state"] or "",
            sync_state=row["sync"] or "",
            sent=read_lsn(row["sent"]),
            flushed=read_lsn(row["flushed"]),
            replayed=read_lsn(row["replayed"]),
            ahead=row["ahead"],
            silent_seconds=row["silent"],
            flush_lag_milliseconds=row["flush_lag"],
            replay_lag_milliseconds=row["replay_lag"],
        )
        for row in found
        if row["role"] == f"aerodb_{row['name']}"
    )
