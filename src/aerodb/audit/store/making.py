"""Makes a log's files, and keeps other processes out of them."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aerodb.audit.store.database import create_schema, open_to_write
from aerodb.audit.store.errors import LogUnavailable
from aerodb.audit.store.files import DATABASE, sync_folder


@contextmanager
def disk() -> Iterator[None]:
    """Turn errors of the disk or the database into LogUnavailable."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise LogUnavailable(f"the audit log cannot be used: {error}") from error


def lock_folder(folder: Path) -> int:
    """Return a descriptor that locks the log in `folder` until it is closed."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise LogUnavailable(f"another process has the log in {folder} open") from error
    return descriptor


def create_database(folder: Path, checkpoint: str) -> None:
    """Make the database under another name and rename it, so that a crash leaves no half of it."""
    path, aside = folder / DATABASE, folder / f".{DATABASE}.new"
    if os.path.lexists(path):
        raise LogUnavailable(f"there is a log in {folder} already")
    for leftover in folder.glob(f"{aside.name}*"):
        leftover.unlink()
    os.close(os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    database = open_to_write(aside)
    try:
        database.connection.execute("BEGIN IMMEDIATE")
        create_schema(database)
        database.insert_checkpoint(0, checkpoint)
        database.connection.execute("COMMIT")
    finally:
        database.close()
    aside.replace(path)
    sync_folder(folder)
