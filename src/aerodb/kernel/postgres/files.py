"""Durable files: written, fsynced, renamed, and the folder fsynced; so a file is either the old one or the new one."""

import os
from pathlib import Path

from aerodb.kernel.postgres.account import Account, give


def sync_folder(folder: Path) -> None:
    """Make the entries of `folder` durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_durably(path: Path, content: bytes, account: Account | None = None, mode: int = 0o600) -> None:
    """Replace the file at `path` by `content`, owned by `account` where one is given."""
    beside = path.with_name(path.name + ".new")
    beside.unlink(missing_ok=True)
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    give(beside, account)
    beside.replace(path)
    sync_folder(path.parent)


def make_folder(path: Path, account: Account | None, mode: int = 0o700) -> None:
    """Make the folder at `path`, owned by `account`, with exactly `mode`; its parent must be there."""
    path.mkdir(exist_ok=True)
    path.chmod(mode)
    give(path, account)


def read_if_there(path: Path) -> bytes:
    """Return the file's content, or nothing where there is no file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
