"""What this host is: its name, its addresses, and where a PostgreSQL on it listens, as files say.

Nothing is connected to. Debian's own program reads Debian's files, with all that they include. What it says is what
PostgreSQL will do when it is started next: a port that was changed without a restart is found when nobody answers.
"""

import ipaddress
import json
import os
import pwd
import re
import socket
import subprocess
from pathlib import Path
from typing import Any

import msgspec

from aerodb.kernel.postgres.account import Account, first_closed
from aerodb.local.errors import AddressUnclear, FolderUnusable, PostgresUnplaced, UserAbsent
from aerodb.protocol.joining import NODE_NAME, PORT_MAX, RESERVED, NameRefused, read_address, written

AGENT_PORT = 7401
"""Where an agent listens whose address is not named."""
SETTINGS_PROGRAM, ADDRESSES_PROGRAM = "pg_conftool", "ip"
SECONDS_MAX = 20.0
PORT_USUAL, SOCKET_USUAL, LISTENS_USUAL = "5432", "/var/run/postgresql", "localhost"
"""What Debian's PostgreSQL does where no file says otherwise."""
_INSTANCE = re.compile(r"([0-9]+(?:\.[0-9]+)?)/([A-Za-z0-9_][A-Za-z0-9_.-]*)")


class PostgresPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where a PostgreSQL listens: the folder of its socket, its port, and its listen_addresses (None: not known)."""

    socket: str
    port: int
    listens: str | None = None

    @property
    def socket_file(self) -> Path:
        """Return the socket itself."""
        return Path(self.socket) / f".s.PGSQL.{self.port}"


# The host -------------------------------------------------------------------------------------------------------------


def own_name() -> str:
    """Return the host's short name, where a node can be called so.

    Raises:
        NameRefused: it cannot.
    """
    name = socket.gethostname().partition(".")[0].lower()
    if not NODE_NAME.fullmatch(name) or name in RESERVED:
        raise NameRefused(
            f"this host is called {name!r}, and no node can be: name it by --name, with a lower case letter, then "
            "lower case letters, digits and _, at most 32",
            field="name",
        )
    return name


def own_address() -> str:
    """Return where an agent on this host listens, where the host has one address alone that others can reach.

    Raises:
        AddressUnclear: it has several, or none, or they cannot be listed.
    """
    found = _addresses()
    if len(found) != 1:
        said = f"has the addresses {', '.join(found)}" if found else "has no address but its own loopback"
        raise AddressUnclear(
            f"this host {said}: name the one under which the control plane reaches it, by --address HOST:{AGENT_PORT}",
            field="address",
        )
    return written(found[0], AGENT_PORT)


def _addresses() -> list[str]:
    """Return the addresses of interfaces that are up, without loopback and link-local ones."""
    said = _said([ADDRESSES_PROGRAM, "-json", "address", "show", "up", "scope", "global"])
    try:
        links: Any = json.loads(said[1] if said is not None and said[0] == 0 else "null")
        told = [each["local"] for link in links for each in link.get("addr_info", ()) if "local" in each]
        return [str(ipaddress.ip_address(each)) for each in told]
    except (TypeError, ValueError, AttributeError) as error:
        raise AddressUnclear(
            f"this host's addresses cannot be listed: name the one under which the control plane reaches it, by "
            f"--address HOST:{AGENT_PORT}",
            field="address",
        ) from error


def account_of(login: str) -> Account | None:
    """Return the user as which an agent that root makes will run; None where this process is no root.

    Raises:
        UserAbsent: there is none of that name; the message says how one is made.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(login)
    except KeyError as error:
        raise UserAbsent(
            f"there is no user {login}, as which the agent is to run: the package makes aerodb_watch, or else: "
            f"useradd --system --user-group --no-create-home --shell /usr/sbin/nologin {login}",
            field="login",
        ) from error
    if entry.pw_uid == 0:
        raise UserAbsent(f"{login} is root, and an agent that watches runs as nobody who may do more", field="login")
    return Account(name=login, uid=entry.pw_uid, gid=entry.pw_gid)


def refuse_closed(folder: Path, account: Account | None) -> None:
    """Refuse a place that the agent's user could not reach.

    Raises:
        FolderUnusable: it names the first folder on the way that is closed.
    """
    closed = first_closed(folder, account) if account is not None else None
    if closed is not None:
        raise FolderUnusable(f"{account.name if account else ''} cannot enter {closed}, on the way to {folder}")


# PostgreSQL -----------------------------------------------------------------------------------------------------------


def debian_place(instance: str) -> PostgresPlace:
    """Return where the PostgreSQL listens that Debian calls VERSION/CLUSTER, such as 15/main.

    Raises:
        PostgresUnplaced: there is none, or it has no socket, or what its files say cannot be told.
    """
    named = _INSTANCE.fullmatch(instance)
    if named is None:
        raise PostgresUnplaced(f"{instance!r} is no VERSION/CLUSTER, such as 15/main", field="postgres")
    version, cluster = named.groups()
    port, folders, listens = (
        _setting(version, cluster, name, usual)
        for name, usual in (
            ("port", PORT_USUAL),
            ("unix_socket_directories", SOCKET_USUAL),
            ("listen_addresses", LISTENS_USUAL),
        )
    )
    first = folders.partition(",")[0].strip().strip('"')
    if not port.isascii() or not port.isdigit():
        raise PostgresUnplaced(f"the port of {instance} is {port!r}: name it, by --socket and --port", field="postgres")
    return named_place(first, int(port), listens)


def named_place(folder: str, port: int, listens: str | None = None) -> PostgresPlace:
    """Return where a PostgreSQL listens by the folder of its socket and its port.

    Raises:
        PostgresUnplaced: no socket is in such a folder, or has such a port.
    """
    if not folder.startswith("/") or not folder.isprintable():
        raise PostgresUnplaced(
            f"{folder!r} is no folder of a socket, and the agent logs in over one: name it, by --socket and --port",
            field="socket",
        )
    if not 1 <= port <= PORT_MAX:
        raise PostgresUnplaced(f"{port} is no port", field="port")
    return PostgresPlace(socket=folder, port=port, listens=listens)


def _setting(version: str, cluster: str, name: str, usual: str) -> str:
    """Return a setting of one of Debian's clusters; what is usual where no file sets it."""
    said = _said([SETTINGS_PROGRAM, "--short", "--verbose", version, cluster, "show", name])
    if said is None:
        raise PostgresUnplaced(
            f"{SETTINGS_PROGRAM}, which knows Debian's clusters, cannot be run here, or does not end: name where "
            "PostgreSQL listens, by --socket and --port",
            field="postgres",
        )
    code, out, problem = said
    if code == 0:
        return out.strip()
    if out.startswith(f"# {name} not found"):
        return usual
    why = " ".join(problem.split()) or f"{SETTINGS_PROGRAM} says nothing"
    raise PostgresUnplaced(f"where {version}/{cluster} listens is not known: {why}", field="postgres")


def _said(command: list[str]) -> tuple[int, str, str] | None:
    """Return how a program ended and what it said; None where it cannot be run, or does not end in time."""
    try:
        ended = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False,
            timeout=SECONDS_MAX, env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ended.returncode, ended.stdout, ended.stderr


def reached_at(address: str, place: PostgresPlace, named: str) -> tuple[str, int]:
    """Return where other hosts reach this PostgreSQL: as it was named, or at the agent's address and its own port.

    Raises:
        AddressRefused: it is no address.
    """
    return read_address(named, "postgres-address") if named else (read_address(address, "address")[0], place.port)
