"""SQL statements that ask a running PostgreSQL what its settings files hold now, and when it last read them.

Source: PostgreSQL manual 53.8 to 53.10 (pg_file_settings, pg_hba_file_rules, pg_ident_file_mappings).
"""

LOADED = """to_char(pg_conf_load_time() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
FILES = """
select json_build_object(
  'loaded', :loaded,
  'pending', (select coalesce(json_agg(distinct known.name order by known.name), '[]')
                from pg_file_settings file join pg_settings known on known.name = lower(file.name)
               where file.error is not null and known.context = 'postmaster'),
  'faults', (select coalesce(json_agg(said order by said), '[]') from (
     select format('%%s line %%s: %%s', file.sourcefile, file.sourceline,
                   concat_ws(': ', file.name, file.error)) as said
       from pg_file_settings file left join pg_settings known on known.name = lower(file.name)
      where file.error is not null and known.context is distinct from 'postmaster'
     union all
     select format('pg_hba.conf line %%s: %%s', line_number, error) from pg_hba_file_rules where error is not null
     union all
     select format('pg_ident.conf line %%s: %%s', line_number, error) from pg_ident_file_mappings
      where error is not null) faults)) as found
""".replace(":loaded", LOADED)
"""What the settings files hold now. PostgreSQL marks a setting that waits for the next start as an error; we do not."""
