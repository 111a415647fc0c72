"""Who receives WAL from a node, by pg_stat_replication; and the statement behind the answers to load balancers.

Source: PostgreSQL manual 27.2.4 (pg_stat_replication), 27.2.6 (pg_stat_wal_receiver).
"""

from typing import Any

from aerodb.protocol.facts import Sender
from aerodb.protocol.lsn import Lsn

# A standby flushes only what was flushed here before. Our end is read after its report, so it cannot be ahead of us.
SENDERS = """(select coalesce(json_agg(json_build_object('role', usename, 'name', application_name,
     'address', host(client_addr), 'state', state,
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
    """Parse a WAL position; None stays None."""
    return None if text is None else Lsn.parse(text)


def senders_in(found: list[dict[str, Any]]) -> tuple[Sender, ...]:
    """Return the receivers that logged in under the replication role of the node that they claim to be."""
    return tuple(sender_in(row, row["name"]) for row in found if row["role"] == f"aerodb_{row['name']}")


def sender_in(row: dict[str, Any], node: str) -> Sender:
    """Return one receiver, which is known to be that of `node`."""
    return Sender(
        node=node,
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
