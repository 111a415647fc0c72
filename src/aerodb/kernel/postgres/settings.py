"""The settings of one instance: its agent writes them outside the data folder, and compares them with those in force.

- postgresql.conf is written once; standing.conf names the upstream and changes with the node's standing.
- `ANY k (all nodes)` is the same text on every node, because a node never is its own standby.
- Drift is a difference between what was written and what is in force: somebody changed it behind the agent's back. It
  counts only for settings that a proof depends on, and only if the value is not as good. All others are free to change.

Pure: no I/O, no clock. Source: PostgreSQL manual 19 (server configuration), 20.1 (pg_hba.conf).
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from aerodb.kernel.postgres.capabilities import Capability, had
from aerodb.kernel.postgres.options import session_options
from aerodb.kernel.postgres.place import Place
from aerodb.rules.condition import POLICY_SETTINGS, RECEIVER_SETTINGS

SUPERUSER = "aerodb"
APPLICATION = "app"
DATABASE = "postgres"
"""The database to which a standby logs in to copy its upstream's logical slots."""
AGENT = "agent"
"""The map in pg_ident.conf of the users who may log in as the superuser."""
WATCHED = (*POLICY_SETTINGS, *RECEIVER_SETTINGS)
"""The settings that proofs depend on."""
IN_FORCE = """(select json_object_agg(name, value) from (
     select name, current_setting(name, true) as value from unnest(%(watched)s::text[]) name) live
     where value is not null)"""
"""The statement of their values in force, in this session; one that this version does not have is left out."""
OWN = """
select coalesce(json_agg(name), '[]') as found from pg_settings
where name = any(%(names)s) and source in ('user', 'database', 'database user', 'session')
"""
"""Which settings this session has for itself. The view lists every setting, which takes longer than a whole look."""
ON = frozenset({"on", "true", "yes", "1"})
AS_GOOD = {
    "fsync": ON,
    "full_page_writes": ON,
    "synchronous_commit": ON | {"remote_apply"},
    "wal_level": frozenset({"replica", "logical"}),
}
"""The settings for which other values, or spellings, are as good as what the agent wrote."""
DEFAULTS = dict.fromkeys(WATCHED, "") | {
    "fsync": "on",
    "full_page_writes": "on",
    "recovery_target_timeline": "latest",
    "synchronous_commit": "on",
    "wal_level": "replica",
}
"""PostgreSQL's own values, for settings that no file sets."""

_UPSTREAM = re.compile(r"^# upstream: (\S+)$", re.MULTILINE)


def given(place: Place, data: Path) -> list[str]:
    """Return PostgreSQL's command-line options, which no file can override: where its files and its socket are.

    `data` is the data folder.
    """
    values = {
        "data_directory": data,
        "config_file": place.conf / "postgresql.conf",
        "hba_file": place.conf / "pg_hba.conf",
        "ident_file": place.conf / "pg_ident.conf",
        "unix_socket_directories": place.socket,
    }
    return [word for name, value in values.items() for word in ("-c", f"{name}={value}")]


def quoted(value: str) -> str:
    """Return a value quoted for postgresql.conf."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def replication_role(node: str) -> str:
    """Return the role under which a node's WAL receiver logs in: one per node, so that the sender knows who it is."""
    return f"aerodb_{node}"


def standby_names(place: Place) -> str:
    """Return the synchronous policy: any k of all data nodes (empty if k is 0)."""
    if place.quorum == 0:
        return ""
    names = ", ".join(f'"{name}"' for name in place.data_nodes)
    return f"ANY {place.quorum} ({names})"


def passfile_line(node: str, password: str) -> str:
    """Return the libpq password file with which a node's WAL receiver logs in."""
    return f"*:*:*:{replication_role(node)}:{password}\n"


def conninfo_quoted(value: str) -> str:
    """Return a value quoted for a connection string (PostgreSQL manual 32.1.1.1)."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def conninfo(place: Place, host: str, port: int) -> str:
    """Return the connection string of this node's WAL receiver to an upstream.

    The receiver does not use the database's name; what copies logical slots (from 17 on) does, where a person has set
    that up. Source: PostgreSQL manual 47.2.3.
    """
    return (
        f"host={host} port={port} user={replication_role(place.name)} dbname={DATABASE} "
        f"application_name={place.name} passfile={conninfo_quoted(str(place.passfile))} connect_timeout=5"
    )


def copy_conninfo(place: Place, host: str, port: int) -> str:
    """Return the connection string of a base backup for this node from an upstream.

    A base backup reports flushes as a WAL receiver does. Under the node's own name they would count for synchronous
    commit, though the folder is not in use. So it uses a name that no node can have.
    """
    return (
        f"host={host} port={port} user={replication_role(place.name)} application_name='copy for {place.name}' "
        "connect_timeout=5"
    )


def main_text(place: Place, major: int) -> str:
    """Return postgresql.conf for PostgreSQL's major version."""
    values = {
        "listen_addresses": place.host,
        "port": str(place.port),
        "unix_socket_directories": place.socket,
        "cluster_name": place.name,
        "password_encryption": "scram-sha-256",
        "shared_buffers": "64MB",
        "wal_level": "replica",
        "wal_log_hints": "on",
        "max_wal_senders": "16",
        "wal_keep_size": "512MB",
        "max_wal_size": "1GB",
        "hot_standby": "on",
        "wal_retrieve_retry_interval": "200ms",
        "synchronous_commit": "on",
        "synchronous_standby_names": standby_names(place),
        "recovery_target_timeline": "latest",
        "restart_after_crash": "on",
        "log_line_prefix": "%m [%p] ",
        "log_timezone": "UTC",
    }
    lines = [f"{name} = {quoted(value)}" for name, value in values.items()]
    newer = had(major, [(Capability.ALLOW_ALTER_SYSTEM, "off")])
    lines += [f"{name} = {value}" for name, value in newer.items()]
    return "\n".join([*lines, "include = 'standing.conf'", ""])


def standing_text(place: Place, upstream: tuple[str, str, int] | None) -> str:
    """Return standing.conf; `upstream` is (node, host, port), None is detached."""
    lines = ["# Written by the node's agent whenever its standing changes."]
    if upstream is None:
        lines += ["primary_conninfo = ''"]
    else:
        lines += [f"# upstream: {upstream[0]}", f"primary_conninfo = {quoted(conninfo(place, *upstream[1:]))}"]
    return "\n".join([*lines, "restore_command = ''", ""])


def upstream_in(text: str) -> str | None:
    """Return the upstream that standing.conf names."""
    found = _UPSTREAM.search(text)
    return found[1] if found else None


def hba_text(place: Place) -> str:
    """Return pg_hba.conf: the agent logs in by its operating system user, others by password from known networks."""
    lines = [f"local all {SUPERUSER} peer map={AGENT}"]
    for network in place.addresses:
        lines.append(f"host {APPLICATION} {APPLICATION} {network} scram-sha-256")
        lines += [f"host replication {replication_role(node)} {network} scram-sha-256" for node in place.data_nodes]
    return "\n".join([*lines, ""])


def ident_text(users: Iterable[str]) -> str:
    """Return pg_ident.conf: which operating system users may log in as the agent."""
    return "".join(f'{AGENT} "{user}" {SUPERUSER}\n' for user in users)


def own_options(major: int, seconds_max: float) -> str:
    """Return the settings of the agent's own sessions; they override those of its role, its database and the server.

    A statement's timeout is `seconds_max`. The synchronous policy is not among them, because the agent must see it as
    it is for others.
    """
    newer = had(major, [(Capability.TRANSACTION_TIMEOUT, "0"), (Capability.EVENT_TRIGGERS, "off")])
    superusers = {"session_replication_role": "origin", "session_preload_libraries": ""}
    return session_options(seconds_max, read_only=False, more={**superusers, **newer})


def expected(place: Place, standing: str) -> dict[str, str]:
    """Return the values that the watched settings should have; `standing` is standing.conf's text."""
    found = re.search(r"^primary_conninfo = '(.*)'$", standing, re.MULTILINE)
    return DEFAULTS | {
        "primary_conninfo": found[1].replace("''", "'").replace("\\\\", "\\") if found else "",
        "synchronous_standby_names": standby_names(place),
    }


def unlike_files(live: dict[str, str], filed: dict[str, str]) -> list[str]:
    """Return the settings in force that are not those of the files: changed by somebody, or for this session alone."""
    return [name for name, value in live.items() if value != _filed(name, filed)]


def _filed(name: str, filed: dict[str, str]) -> str:
    return filed.get(name, DEFAULTS.get(name, ""))


def for_others(live: dict[str, str], filed: dict[str, str], own: Iterable[str]) -> dict[str, str]:
    """Return the settings that hold for other sessions: one set for the agent's role is taken from the files."""
    return {name: _filed(name, filed) if name in own else value for name, value in live.items()}


def _as_good(name: str, live: str, wanted: str) -> bool:
    return live == wanted or live.lower() in AS_GOOD.get(name, frozenset())


def differing(wanted: Mapping[str, str], live: Mapping[str, str]) -> tuple[str, ...]:
    """Return the watched settings whose value is neither as wanted nor as good; any absent from `live` is skipped."""
    return tuple(name for name in WATCHED if name in live and not _as_good(name, live[name], wanted[name]))
