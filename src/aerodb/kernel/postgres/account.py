"""The unprivileged user that PostgreSQL runs as if the agent is root.

- PostgreSQL refuses to run as root, so every child process drops to the account; the agent itself stays root.
- The account must be able to traverse every folder above the data and the programs.
"""

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from aerodb.kernel.postgres.errors import FolderClosed


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An unprivileged user with an entry in the password database (initdb needs one)."""

    name: str
    uid: int
    gid: int

    @property
    def owner(self) -> tuple[int, int]:
        """Return the user and group as numbers."""
        return self.uid, self.gid


def account_for_children(preferred: str = "") -> Account | None:
    """Return the account that child processes drop to; None if the agent is an ordinary user.

    Raises:
        FolderClosed: the agent is root, and there is no unprivileged user to drop to.
    """
    if os.geteuid() != 0:
        return None
    for name in [preferred] if preferred else ["postgres", "nobody"]:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(name=name, uid=entry.pw_uid, gid=_group_of(entry))
    raise FolderClosed(f"there is no unprivileged user {preferred or 'postgres or nobody'} to run PostgreSQL as")


def logins(account: Account | None) -> tuple[str, ...]:
    """Return the operating system's users that may log in as the agent: this process's own, and the account's.

    Raises:
        FolderClosed: this process's user has no name.
    """
    try:
        own = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError as error:
        raise FolderClosed(f"the user {os.geteuid()} has no name, and PostgreSQL needs one") from error
    return (own,) if account is None else (own, account.name)


def _group_of(entry: pwd.struct_passwd) -> int:
    """Return the user's own group, which must exist."""
    return grp.getgrgid(entry.pw_gid).gr_gid


def _above(path: Path) -> Iterator[Path]:
    real = path.resolve()
    yield from reversed([real, *real.parents])


def first_closed(path: Path, account: Account | None) -> Path | None:
    """Return the first folder on the way to `path`, itself included, that `account` cannot enter, or None."""
    for folder in _above(path):
        try:
            found = folder.stat()
        except FileNotFoundError:
            return None
        except PermissionError:
            return folder
        if stat.S_ISDIR(found.st_mode) and not _enterable(folder, found, account):
            return folder
    return None


def _enterable(folder: Path, found: os.stat_result, account: Account | None) -> bool:
    if account is None:
        return os.access(folder, os.X_OK)
    if found.st_uid == account.uid:
        return bool(found.st_mode & stat.S_IXUSR)
    if found.st_gid == account.gid:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)


def traversable(path: Path, account: Account | None) -> bool:
    """Tell whether `account` (None: this process's own user) can enter every folder down to `path`."""
    return first_closed(path, account) is None
