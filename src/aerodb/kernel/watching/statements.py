"""The statements by which a watched PostgreSQL is asked: views and functions that change nothing, of 15 and later.

- LOOK needs pg_monitor; BASIC needs no right but the login, and is asked where LOOK is refused.
- Nothing is asked of the data folder's files but what pg_monitor is given: the names of what is in pg_wal.

Source: PostgreSQL manual 22.5 (predefined roles), 27.2 (statistics views), 54 (system views).
"""

from aerodb.kernel.postgres.carrying import CARRYING
from aerodb.kernel.postgres.keeping import KEEPING
from aerodb.kernel.postgres.sending import SENDERS
from aerodb.kernel.postgres.telling import told

_BASIC = told("""
  'monitors', pg_has_role(current_user, 'pg_read_all_stats', 'usage')
              and pg_has_role(current_user, 'pg_read_all_settings', 'usage'),
  'more', (select rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls
             from pg_roles where rolname = current_user),
  'system', (select system_identifier::text from pg_control_system()),
  'version', current_setting('server_version'),
  'started', :started,
  :ends
  'checkpoint', (select redo_lsn::text from pg_control_checkpoint())""")

BASIC = f"select json_build_object({_BASIC}) as found"
"""What everybody may ask. `more` tells whether the role may do more than watch."""

SIGNS = """(select json_build_object(
     'databases', (select coalesce(json_agg(datname order by datname), '[]') from pg_database
                    where datname in ('repmgr', 'pg_auto_failover')),
     'schemas', (select coalesce(json_agg(nspname order by nspname), '[]') from pg_namespace
                  where nspname in ('repmgr', 'pgautofailover')),
     'preloaded', current_setting('shared_preload_libraries'),
     'sessions', (select coalesce(json_agg(distinct lower(substring(application_name from '^[A-Za-z_]+'))), '[]')
                    from pg_stat_activity where application_name ~* '^(patroni|pg_auto_failover|repmgrd)')))"""
"""What in the database shows that something else manages it."""

LOOK = (
    told("""
select json_build_object(:basic,
  'newest', (select max(left(name, 8)) filter (where name ~ '^[0-9A-F]{24}$') from pg_ls_waldir()),
  :receiver
  'senders', :senders,
  'folder', current_setting('data_directory'),
  'settings', (select json_object_agg(name, json_build_object('value', setting, 'source', source,
                 'file', sourcefile, 'line', sourceline)) from pg_settings where name = any(%(settings)s)),
  :overridden
  'keeping', :keeping,
  'carrying', :carrying,
  'load', (select json_build_object(
     :sessions
     'checkpoints', count(*) filter (where backend_type = 'checkpointer'
                 and wait_event is distinct from 'CheckpointerMain'))
     from (select *, coalesce(usename = current_user and application_name like 'aerodb %%', false) as own
           from pg_stat_activity) activity),
  'prepared', (select count(*) from pg_prepared_xacts),
  'backups', (select count(*) from pg_stat_progress_basebackup),
  'logical', (select coalesce(json_agg(slot_name order by slot_name), '[]') from pg_replication_slots
               where slot_type = 'logical' and not temporary),
  'tablespaces', (select coalesce(json_agg(spcname order by spcname), '[]') from pg_tablespace
                   where spcname not in ('pg_default', 'pg_global')),
  'signs', :signs) as found
""")
    .replace(":basic", _BASIC.replace("%", "%%"))
    .replace(":senders", SENDERS)
    .replace(":keeping", KEEPING)
    .replace(":carrying", CARRYING)
    .replace(":signs", SIGNS)
)
"""What a role with pg_monitor may ask. `newest` is the highest timeline of which pg_wal has a segment."""

SERVING = """
select json_build_object(
  'recovery', pg_is_in_recovery(),
  'receiver', (select json_build_object('status', status,
     'behind', greatest(pg_wal_lsn_diff(latest_end_lsn, pg_last_wal_replay_lsn()), 0)::bigint)
     from pg_stat_wal_receiver),
  'paused', pg_is_in_recovery() and pg_is_wal_replay_paused()) as found
"""
"""What the answer to a load balancer rests on."""
