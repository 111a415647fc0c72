"""What somebody does to PostgreSQL behind the agents' backs: by its own programs, its superuser, its files."""

import os
from pathlib import Path
from typing import Any

import psycopg

from aerodb.errors import AeroError
from aerodb.kernel.node import place_of, read_node
from aerodb.kernel.postgres.installation import find_installation
from aerodb.kernel.postgres.settings import SUPERUSER
from aerodb.protocol.facts import Facts, Instance
from tests.faults.conftest import Running

Rows = list[tuple[Any, ...]]


def connect(running: Running, node: str, database: str = "postgres", **options: Any) -> psycopg.Connection[Any]:
    """Return a superuser's connection to one node, as its agent's own user has one."""
    place = place_of(running.cluster, node, Path(read_node(running.layout.node(node)).file.home))
    return psycopg.connect(
        host=place.socket, port=place.port, user=SUPERUSER, dbname=database, autocommit=True, **options
    )


def run(running: Running, node: str, statement: str, database: str = "postgres") -> Rows:
    """Return the rows of one statement, run by the superuser on one node."""
    with connect(running, node, database) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def pg_ctl(running: Running, node: str, *arguments: str, folder: Path | None = None) -> None:
    """Run pg_ctl on a node's data folder in use, or on another `folder`."""
    read_node(running.layout.node(node)).installation().run(
        "pg_ctl", *arguments, "-D", folder or running.home(node) / "data", timeout_seconds=60
    )


def append_to(path: Path, text: str) -> None:
    """Add to a file, whoever owns it."""
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def instance_of(running: Running, node: str) -> Instance:
    """Return what a node's agent says of its PostgreSQL."""
    return seen(facts_of(running, node))


def facts_of(running: Running, node: str) -> Facts:
    """Return what a node's agent says."""
    return running.impostor.facts(node)


def seen(facts: Facts) -> Instance:
    """Return the PostgreSQL in the facts of a data node."""
    assert facts.instance is not None
    return facts.instance


def serves(running: Running, node: str, path: str) -> str:
    """Return what a load balancer is told: the role, or why not."""
    try:
        return running.impostor.agent(node).get(path).decode().strip()
    except AeroError as error:
        return error.message.removeprefix("HTTP 503: ").strip()


def _own(path: Path) -> None:
    """Give a new file to PostgreSQL's account."""
    account = find_installation().account
    if account is not None:
        os.chown(path, *account.owner)


def empty_segments(running: Running, node: str, count: int) -> None:
    """Add new, still empty segments to a node's log, as PostgreSQL itself does ahead of need."""
    folder = running.home(node) / "data" / "pg_wal"
    last = max(int(path.name[16:], 16) for path in folder.glob("0" * 7 + "1" + "0" * 8 + "?" * 8))
    for number in range(last + 1, last + 1 + count):
        path = folder / f"0000000100000000{number:08X}"
        with path.open("wb") as file:
            file.truncate(16 << 20)
        _own(path)
