"""The settings in force for others are what the view pg_settings says, without reading that whole view at each look."""

from contextlib import ExitStack
from typing import Any

import psycopg
import pytest

from aerodb.kernel.postgres.installation import Installation
from aerodb.kernel.postgres.keeping import CAPACITY, KEEPING
from aerodb.kernel.postgres.settings import DEFAULTS, IN_FORCE, OWN, WATCHED, for_others, unlike_files
from tests.faults.alone import Database, folder_for_postgres, installations
from tests.faults.waiting import wait_until

VIEW = """(select json_object_agg(name, case when source in ('user', 'database', 'database user', 'session')
  then null else setting end) from pg_settings where name = any(%(watched)s))"""
FILED = """(select coalesce(json_object_agg(name, setting), '{}') from (
  select distinct on (name) name, setting from pg_file_settings where name = any(%(watched)s)
  order by name, seqno desc) filed)"""
NUMBERS = """
select json_object_agg(name, setting::bigint) from pg_settings
where name = any(%(capacity)s) or name = 'wal_segment_size'
"""
LOADED = "select pg_conf_load_time()"
SESSIONS = ((), ("r1",), ("r2",), ("r2", "-c synchronous_commit=local"), ("r2",))
VALUES = {"watched": list(WATCHED), "capacity": list(CAPACITY)}
CHANGES = (
    ("alter system set fsync = off", "alter system set full_page_writes = false"),
    ("""alter system set synchronous_standby_names = 'ANY 1 ("n2", n3)'""", "alter system set wal_level = logical"),
    ("alter system set primary_conninfo = 'host=''a b'' passfile=''/x\\y'''",),
    ("alter system set restore_command = 'false'", "alter system set recovery_target_name = 'here'"),
    ("alter system set synchronous_commit = remote_write",),
    ("alter system reset all",),
)


def _one(session: psycopg.Connection, statement: str) -> Any:
    row = session.execute(statement.encode(), VALUES).fetchone()
    return row[0] if row else None


def _same(session: psycopg.Connection) -> dict[str, str]:
    """Compare what the look says with what the view says, in one session; return it."""
    view, filed, live = _one(session, f"select json_build_array({VIEW}, {FILED}, {IN_FORCE})")
    unlike = unlike_files(live, filed)
    row = session.execute(OWN.encode(), {"names": unlike}).fetchone() if unlike else None
    found = for_others(live, filed, row[0] if row else [])
    others = {name: filed.get(name, DEFAULTS[name]) if value is None else value for name, value in view.items()}
    assert found == others
    assert set(found) == set(WATCHED)
    return found


@pytest.mark.parametrize("installation", installations(), ids=lambda each: each.version)
def test_the_settings_for_others_are_what_the_view_says(installation: Installation) -> None:
    """In sessions that have their own from their role, database, options or by hand; before and after a reload."""
    with folder_for_postgres() as folder, ExitStack() as ending:
        database = Database(installation, folder)
        database.start("max_connections=17")
        ending.callback(database.end)
        database.execute("create role r1 superuser login", "create role r2 superuser login")
        database.execute("alter role r1 set synchronous_commit = off")
        sessions = [ending.enter_context(database.session(*each)) for each in SESSIONS]
        sessions[-1].execute("set synchronous_commit = local")
        for changes in CHANGES:
            before = [_one(session, LOADED) for session in sessions]
            database.execute(*changes, "select pg_reload_conf()")
            for session, loaded in zip(sessions, before, strict=True):
                wait_until(lambda session=session, loaded=loaded: _one(session, LOADED) > loaded)  # type: ignore[misc]
                _same(session)
            database.execute("alter role r1 reset all", "alter database postgres set synchronous_commit = local")
            sessions.append(ending.enter_context(database.session()))
            assert _same(sessions[-1])["synchronous_commit"] != "local"


@pytest.mark.parametrize("installation", installations(), ids=lambda each: each.version)
@pytest.mark.parametrize("megabytes", [1, 16, 1024])
def test_capacity_and_segments_are_what_the_view_says(installation: Installation, megabytes: int) -> None:
    """The numbers are in the units of the view: a segment's size in bytes, however it is printed."""
    with folder_for_postgres() as folder:
        database = Database(installation, folder, f"--wal-segsize={megabytes}")
        database.start("max_connections=17", "max_prepared_transactions=3", "max_locks_per_transaction=77")
        try:
            with database.session() as session:
                found, view = _one(session, f"select {KEEPING}"), _one(session, NUMBERS)
            assert found["segment_bytes"] == view.pop("wal_segment_size") == megabytes << 20
            assert found["capacity"] == view
        finally:
            database.end()
