"""A new instance: its folders and settings, and, for the first primary, initdb, roles and the first term's row.

Source: PostgreSQL manual 18.2 (initdb), 21.1 (SCRAM).
"""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
import psycopg
from psycopg import sql

from aerodb.kernel.durable import write_durably
from aerodb.kernel.postgres import process, settings
from aerodb.kernel.postgres.account import logins
from aerodb.kernel.postgres.identity import draw_identity
from aerodb.kernel.postgres.installation import Installation
from aerodb.kernel.postgres.place import Place
from aerodb.kernel.postgres.replicating import EPOCH_ROW, EPOCHS
from aerodb.protocol.epoch import EPOCH_FIRST


class Passwords(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster's passwords: the application's, and one per node for replication. The superuser has none."""

    application: str
    replication: Mapping[str, str]


def make_home(installation: Installation, place: Place, passwords: Passwords) -> None:
    """Make an instance's home: its settings, and its replication password, which only the agent can read.

    Raises:
        FileExistsError: there is one already.
    """
    owner = installation.account.owner if installation.account else None
    place.home.mkdir(mode=0o700)
    _make_folder(installation, place.home)
    for folder in (place.conf, place.log.parent):
        folder.mkdir(mode=0o700)
        _make_folder(installation, folder)
    place.replication_secret.parent.mkdir(mode=0o700)
    write_durably(place.replication_secret, passwords.replication[place.name].encode())
    texts = {
        "postgresql.conf": settings.main_text(place, installation.major),
        "standing.conf": settings.standing_text(place, None),
        "pg_hba.conf": settings.hba_text(place),
        "pg_ident.conf": settings.ident_text(logins(installation.account)),
    }
    for name, text in texts.items():
        write_durably(place.conf / name, text.encode(), owner)


def _make_folder(installation: Installation, folder: Path) -> None:
    if installation.account is not None:
        os.chown(folder, *installation.account.owner)


def make_primary(installation: Installation, place: Place, passwords: Passwords) -> None:
    """Make the first primary and leave it running: initdb, the roles, the first term's row.

    What initdb wrote is not durable before `make_durable`; what PostgreSQL writes after that, it makes durable itself.

    Raises:
        CommandFailed, StartFailed: PostgreSQL's own programs failed.
    """
    data = place.home / "data-0001"
    installation.run(
        "initdb", "-D", data, "-U", settings.SUPERUSER, "-A", "reject", "-E", "UTF8", "--locale=C", "--data-checksums",
        "--no-sync",
        timeout_seconds=120,
    )  # fmt: skip
    draw_identity(data, installation.account.owner if installation.account else None)
    place.link.symlink_to(data.name)
    process.start(installation, place)
    _fill(place, passwords)


def make_durable(installation: Installation, place: Place) -> None:
    """Make what initdb wrote durable; PostgreSQL may run there meanwhile.

    Raises:
        CommandFailed: initdb failed.
    """
    installation.run("initdb", "-D", place.data(), "--sync-only", timeout_seconds=120)


def _fill(place: Place, passwords: Passwords) -> None:
    """Make the roles and the tables of terms and epochs, without waiting for a standby: none exists yet."""
    connect = psycopg.connect(
        host=place.socket, port=place.port, user=settings.SUPERUSER, dbname="postgres", autocommit=True,
        options="-c synchronous_commit=local",
    )  # fmt: skip
    with connect as connection:
        for node, password in passwords.replication.items():
            connection.execute(
                sql.SQL("create role {} replication login password {}").format(
                    sql.Identifier(settings.replication_role(node)), sql.Literal(password)
                )
            )
        application = sql.Identifier(settings.APPLICATION)
        connection.execute(
            sql.SQL("create role {} login password {}").format(application, sql.Literal(passwords.application))
        )
        connection.execute(sql.SQL("create database {} owner {}").format(application, application))
        connection.execute("create schema aerodb")
        connection.execute(
            "create table aerodb.terms (term integer primary key, timeline integer not null, node text not null, "
            "quorum integer not null)"
        )
        connection.execute("insert into aerodb.terms values (1, 1, %s, %s)", (place.name, place.quorum))
        connection.execute(EPOCHS)
        connection.execute(EPOCH_ROW, {"term": 1, "epoch": EPOCH_FIRST})
