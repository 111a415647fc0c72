"""What the settings files of a running PostgreSQL hold now, and when it last read them: statements and a judgement.

Source: PostgreSQL manual 53.8 to 53.10 (pg_file_settings, pg_hba_file_rules, pg_ident_file_mappings).
"""

import re

from aerodb.kernel.postgres.control_file import LEAST

LOADED = """to_char(pg_conf_load_time() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
_DECIMAL = re.compile(r"0|[1-9][0-9]*")
_REMOVED = """'^parameter "([^"]+)" cannot be changed without restarting the server$'"""
"""What PostgreSQL says, of no file and no line, of a setting that the files no longer name. Source: its guc.c."""
FILES = (
    """
with file as (select sourcefile, sourceline, seqno, name, setting, error, substring(error from :removed) as removed
                from pg_file_settings)
select json_build_object(
  'loaded', :loaded,
  'pending', (select coalesce(json_agg(distinct known.name order by known.name), '[]')
                from file join pg_settings known on known.name = coalesce(file.removed, lower(file.name))
               where file.error is not null and known.context = 'postmaster'),
  'chosen', (select coalesce(json_object_agg(known.name, coalesce(last.setting, known.boot_val)), '{}')
               from pg_settings known
               left join (select distinct on (lower(name)) lower(name) as name, setting from file
                           order by lower(name), seqno desc) last using (name)
              where known.name in (:least) and known.source <> 'command line'
                and coalesce(last.setting, known.boot_val) is distinct from known.setting),
  'faults', (select coalesce(json_agg(said order by said), '[]') from (
     select format('%%s line %%s: %%s', file.sourcefile, file.sourceline,
                   concat_ws(': ', file.name, file.error)) as said
       from file left join pg_settings known on known.name = lower(file.name)
      where file.error is not null and file.removed is null and known.context is distinct from 'postmaster'
     union all
     select format('pg_hba.conf line %%s: %%s', line_number, error) from pg_hba_file_rules where error is not null
     union all
     select format('pg_ident.conf line %%s: %%s', line_number, error) from pg_ident_file_mappings
      where error is not null) faults)) as found
""".replace(":removed", _REMOVED)
    .replace(":loaded", LOADED)
    .replace(":least", ", ".join(map("'{}'".format, LEAST)))
)
"""What the settings files hold now. PostgreSQL marks a setting that waits for the next start as an error; we do not.

`chosen` are the settings that the next start would change, among those that a standby must have high enough.
"""


def too_low(chosen: dict[str, str], least: dict[str, int]) -> tuple[str, ...]:
    """Return, each as a sentence, the settings that the next start would set lower than the WAL asks of a standby.

    A number in another form counts as too low: PostgreSQL reads one with a leading zero as octal.
    """
    return tuple(
        f"{name} is {value}, and the WAL asks for {least[name]}"
        for name, value in sorted(chosen.items())
        if _DECIMAL.fullmatch(value) is None or int(value) < least[name]
    )
