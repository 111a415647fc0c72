"""A folder that is there whole, or not at all."""

import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aerodb.kernel.durable import sync_folder
from aerodb.local.errors import FolderIncomplete, FolderUnusable


def left_over(folder: Path) -> list[Path]:
    """Return what makings of `folder` left beside it that were killed, or are at work now; each may hold keys.

    Raises:
        OSError: the folder above cannot be read.
    """
    named = re.compile(rf"\.{re.escape(folder.name)}-[a-z0-9_]{{8}}")  # As `tempfile` names it.
    return sorted(each for each in folder.parent.iterdir() if named.fullmatch(each.name))


def refuse_left_over(*folders: Path) -> None:
    """Refuse to begin where a making of one of `folders` was killed.

    Raises:
        FolderIncomplete: so it was, or it is at work now; the message says what a person can do.
        FolderUnusable: it cannot be told.
    """
    try:
        left = [str(each) for folder in folders if folder.parent.is_dir() for each in left_over(folder)]
    except OSError as error:
        raise FolderUnusable(f"{folders[0].parent} cannot be read: {error.strerror}", field="folder") from error
    if left:
        raise FolderIncomplete(
            f"{', '.join(left)}: left by a command that was killed, or one is at work now. If none is, remove it, "
            f"since it holds keys that nobody else has: rm -r {shlex.join(left)}",
            field="folder",
        )


def exchange(path: Path, data: bytes) -> None:
    """Replace a file by another one, which is its folder's owner's alone; a crash leaves the old one or the new one.

    Whoever owns the folder may be another user, who could have put links there: none is followed. What a crash leaves
    beside it has a name of its own, and holds `data` or a part of it.

    Raises:
        OSError: the disk refused.
    """
    descriptor, beside = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    made = Path(beside)
    try:
        with os.fdopen(descriptor, "wb") as file:
            owner = path.parent.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        made.replace(path)
    except BaseException:
        made.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


@contextmanager
def whole(folder: Path, owner: tuple[int, int] | None = None) -> Iterator[Path]:
    """Make a folder's content beside it, and put it into its place once it is whole and durable.

    It is its maker's alone, or else its `owner`'s (user and group ids). Who is killed meanwhile leaves what
    `left_over` finds; who fails otherwise leaves nothing.

    Raises:
        OSError: the disk refused, or the place is taken: an empty folder there is replaced.
    """
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield made
        for inner in sorted((each for each in made.rglob("*") if owner or each.is_dir()), reverse=True):
            if owner is not None:
                os.chown(inner, *owner, follow_symlinks=False)
            if inner.is_dir():
                sync_folder(inner)
        if owner is not None:  # Last, so that its owner changes nothing in it before it is whole.
            os.chown(made, *owner)
        sync_folder(made)
        made.rename(folder)
        sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
