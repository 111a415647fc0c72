"""Parts of the statements by which a running PostgreSQL is asked what it is: for agents with hands, and without.

Source: PostgreSQL manual 9.27 (system administration functions), 27.2 (statistics views).
"""

STARTED = """to_char(pg_postmaster_start_time() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
ENDS = """'recovery', pg_is_in_recovery(),
  'written', case when pg_is_in_recovery() then null else pg_current_wal_flush_lsn()::text end,
  'timeline', case when pg_is_in_recovery() then null
                   else ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int end,
  'received', pg_last_wal_receive_lsn()::text,
  'replayed', pg_last_wal_replay_lsn()::text,"""
"""Whether it is in recovery, and where its WAL ends."""
RECEIVER = """'receiving', (select count(*) from pg_stat_activity where backend_type = 'walreceiver'),
  'startup', (select wait_event from pg_stat_activity where backend_type = 'startup'),
  'receiver', (select json_build_object('status', status, 'host', sender_host, 'port', sender_port,
                 'flushed', flushed_lsn::text, 'timeline', received_tli) from pg_stat_wal_receiver),"""
"""Who receives, and whether what came is being read."""
OVERRIDDEN = """'overrides', (select count(*) from pg_db_role_setting
                 where exists (select from unnest(setconfig) s
                               where s ~* '^synchronous_commit=(off|false|no|0|local|remote_write)')),"""
"""For how many roles and databases a commit is set to wait for no flush."""
SESSIONS = """'sessions', count(*) filter (where backend_type = 'client backend' and not own),
     'longest', coalesce(extract(epoch from max(now() - xact_start)
                 filter (where backend_type = 'client backend' and not own))::int, 0),
     'waiting', count(*) filter (where wait_event = 'SyncRep'),
     'longest_wait', coalesce(extract(epoch from max(clock_timestamp() - query_start)
                 filter (where wait_event = 'SyncRep'))::int, 0),"""
"""What the sessions do, from pg_stat_activity with a column `own`: whether a session is the agent's."""
PARTS = {":started": STARTED, ":ends": ENDS, ":receiver": RECEIVER, ":overridden": OVERRIDDEN, ":sessions": SESSIONS}


def told(statement: str) -> str:
    """Return a statement with each of these parts in the place that names it."""
    for name, part in PARTS.items():
        statement = statement.replace(name, part)
    return statement
