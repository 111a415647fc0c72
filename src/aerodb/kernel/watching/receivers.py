"""Who receives WAL from a watched node, and from whom it receives: members by their addresses, all others as strangers.

- A receiver is a member's if it comes from that member's address alone, and replays what it receives, as only a standby
  does. The name that it gives itself is shown and proves nothing: copies and archivers run on the members' hosts too.
- Where one address is several members', or several standbys are at a member's, nobody is named.
- Of what a node is connected with, the host and the port are said, and nothing else that the settings hold.

Pure: no I/O, no clock. Source: PostgreSQL manual 27.2.4 (pg_stat_replication), 34.1.1 (connection strings).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from aerodb.errors import writable
from aerodb.kernel.postgres.sending import read_lsn, sender_in
from aerodb.kernel.watching.addresses import Known, plain
from aerodb.protocol.cluster import Member
from aerodb.protocol.facts import Sender
from aerodb.protocol.watched import Stranger, StreamName

PORT = 5432
ReceiverRow = dict[str, Any]


def _member_at(address: str | None, known: Known) -> str | None:
    """Return the one member at an address; None if there is none, or more than one."""
    found = plain(address) if address else None
    names = [name for name, addresses in known.items() if found is not None and found in addresses]
    return names[0] if len(names) == 1 else None


def told_apart(
    rows: Sequence[ReceiverRow], others: Known
) -> tuple[tuple[Sender, ...], tuple[StreamName, ...], tuple[ReceiverRow, ...]]:
    """Return the members' receivers, under which names they are connected, and the rows of all strangers.

    `others` are the addresses of all members but the node itself.
    """
    standbys = [(row, _member_at(row["address"], others) if row["replayed"] is not None else None) for row in rows]
    counted = Counter(name for _, name in standbys)
    members = {name: row for row, name in standbys if name is not None and counted[name] == 1}
    strangers = tuple(row for row in rows if not any(row is each for each in members.values()))
    return (
        tuple(sender_in(members[name], name) for name in sorted(members)),
        tuple(StreamName(node=name, application=writable(members[name]["name"] or "")) for name in sorted(members)),
        strangers,
    )


def strangers_in(rows: Sequence[ReceiverRow]) -> tuple[Stranger, ...]:
    """Return who receives and is no member, in an order of their own."""
    found = (
        Stranger(
            address=row["address"] or "",
            application=writable(row["name"] or ""),
            state=row["state"] or "",
            sync_state=row["sync"] or "",
            flushed=read_lsn(row["flushed"]),
        )
        for row in rows
    )
    return tuple(sorted(found, key=lambda each: (each.address, each.application, each.state, each.flushed or 0)))


def shared_addresses(others: Known) -> tuple[str, ...]:
    """Return, each as a sentence, which members cannot be told from one another, because they are at one address."""
    by_address: dict[str, list[str]] = {}
    for name, addresses in others.items():
        for each in addresses:
            by_address.setdefault(each, []).append(name)
    groups = sorted({tuple(sorted(names)) for names in by_address.values() if len(names) > 1})
    return tuple(
        f"Which receiver is whose: {' and '.join(names)} are at one address, so neither is named." for names in groups
    )


def upstreams_in(conninfo: str) -> tuple[tuple[str, int], ...] | None:
    """Return the hosts and ports that a connection string names; None if PostgreSQL would not understand it."""
    try:
        said = conninfo_to_dict(conninfo)
    except psycopg.Error:
        return None
    hosts = str(said.get("hostaddr") or said.get("host") or "").split(",")
    ports = str(said.get("port") or PORT).split(",")
    if len(ports) not in {1, len(hosts)} or not all(each.isdecimal() or not each for each in ports):
        return None
    return tuple(
        (host, int(ports[at if len(ports) > 1 else 0] or PORT)) for at, host in enumerate(hosts) if conninfo.strip()
    )


def named_upstream(host: str, port: int, members: Mapping[str, Member], known: Known) -> str:
    """Return the member that is reached at a host and a port; "HOST:PORT" if it is none."""
    where = plain(host)
    for name, member in members.items():
        same = where in known.get(name, ()) if where else host.casefold() == member.postgres_host.casefold()
        if same and port == member.postgres_port:
            return name
    return f"{host}:{port}"


def shown_setting(name: str, value: str) -> str:
    """Return a setting of others without secrets: of a connection string hosts and ports, of a command that it is."""
    if not value:
        return ""
    if name == "primary_conninfo":
        found = upstreams_in(value)
        return "not to be read" if found is None else ",".join(f"{host}:{port}" for host, port in found)
    return "set, and not shown" if name == "restore_command" else writable(value)
