"""What PostgreSQL on a host is, byte for byte: its settings files, its settings in force, its roles and its objects.

Two records of a PostgreSQL that nobody touched are equal, times and the postmaster's process id with them.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.hosts.bed import Host
from tests.hosts.database import NODES, Database

Record = Mapping[str, tuple[object, ...]]
"""By the path of a file, or the name of a catalogue: its mode, owner, group, time in ns, and content."""
TABLES = {
    "pg_settings": "select * from pg_settings order by name",
    "roles": "select * from pg_authid order by rolname",
    "memberships": "select * from pg_auth_members order by roleid, member",
    "settings of roles": "select * from pg_db_role_setting order by setdatabase, setrole",
    "databases": "select oid, datname, datdba, datconnlimit, datacl from pg_database order by datname",
    "tablespaces": "select * from pg_tablespace order by spcname",
    "schemas": "select * from pg_namespace order by nspname",
    "extensions": "select * from pg_extension order by extname",
    "relations": "select oid, relname, relkind, relowner, relnamespace, relacl from pg_class order by oid",
    "functions": "select count(*), max(oid) from pg_proc",
    "slots": "select slot_name, plugin, slot_type, database, temporary from pg_replication_slots order by slot_name",
}
"""What is asked of PostgreSQL as its superuser; only what moves by itself is left out."""
OTHER_IN_COPIES = {"backup_label.old", "backup_manifest", "postmaster.pid"}
"""Files of a data folder that are other ones in each copy, or with each start."""


def _file(path: Path) -> tuple[object, ...]:
    status = path.lstat()
    content = path.read_bytes() if path.is_file() else b""
    return (oct(status.st_mode), status.st_uid, status.st_gid, status.st_mtime_ns, content)


def _recorded(host: Host, database: Database) -> Iterator[tuple[str, tuple[object, ...]]]:
    settings, data = host.path("/etc/postgresql"), host.path(database.data)
    for path in sorted(settings.rglob("*")):
        yield f"/etc/postgresql/{path.relative_to(settings)}", _file(path)
    for path in sorted(each for each in data.iterdir() if each.is_file()):
        yield f"{database.data}/{path.name}", _file(path)
    for name, statement in TABLES.items():
        yield name, (host.psql(statement),)


def record(database: Database) -> dict[str, Record]:
    """Return what PostgreSQL on each host is."""
    return {name: dict(_recorded(database.hosts[name], database)) for name in NODES}


def without_times(found: Record) -> Record:
    """Return a record without when its files were changed, and without those that are others in each copy."""
    return {
        name: (*entry[:3], *entry[4:]) if len(entry) > 1 else entry
        for name, entry in found.items()
        if Path(name).name not in OTHER_IN_COPIES
    }


def differences(before: Record, after: Record) -> list[str]:
    """Return, each as a sentence, in what two records differ."""
    names = sorted(before.keys() | after.keys())
    return [
        f"{name} was {before.get(name, 'not there')} and is {after.get(name, 'not there')}"
        for name in names
        if before.get(name) != after.get(name)
    ]
