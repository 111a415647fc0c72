"""A package's version and date, from the tree that it is made of.

- A tree that is tagged `vVERSION` and clean makes VERSION; any other makes VERSION+TIME.COMMIT, which sorts after it,
  and ends with `.dirty` where something is not committed.
- The date is that of the commit, unless SOURCE_DATE_EPOCH names another: never the clock's.
"""

import datetime as dt
import os
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

from packages.refusal import NotPackaged

REVISION = "1"
GOES_IN = ("src", "docs", "packages", "pyproject.toml", "uv.lock", "README.md", "CHANGELOG.md", "LICENSE")
"""What a package is made of: nothing else makes its tree another one."""


@dataclass(frozen=True)
class Made:
    """What a package is made of: its version as Debian writes it, and the seconds since 1970 of all its files."""

    version: str
    epoch: int

    @property
    def date(self) -> dt.datetime:
        """Return the date of all its files."""
        return dt.datetime.fromtimestamp(self.epoch, dt.UTC)


def asked_of_git(root: Path, *words: str) -> str:
    """Return what git says of a tree; empty if it says nothing, or there is no git."""
    try:
        said = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)  # noqa: S607
    except OSError:
        return ""
    return said.stdout.strip() if said.returncode == 0 else ""


def made_of(root: Path) -> Made:
    """Return the version and date of the tree in `root`.

    Raises:
        NotPackaged: there is no commit to take the date from, and SOURCE_DATE_EPOCH names none.
    """
    with (root / "pyproject.toml").open("rb") as file:
        released: str = tomllib.load(file)["project"]["version"]
    committed = asked_of_git(root, "log", "-1", "--format=%ct")
    epoch = os.environ.get("SOURCE_DATE_EPOCH") or committed
    if not epoch.isdigit():
        raise NotPackaged("this tree has no commit to take a date from: set SOURCE_DATE_EPOCH to seconds since 1970")
    tags = asked_of_git(root, "tag", "--points-at", "HEAD").split()
    return Made(version=version_of(released, tags, _mark(root, committed)) + f"-{REVISION}", epoch=int(epoch))


def _mark(root: Path, committed: str) -> str:
    """Return what tells a tree apart from a release: its commit's time and name, and whether it is clean."""
    if not committed:
        return "unknown"
    when = dt.datetime.fromtimestamp(int(committed), dt.UTC).strftime("%Y%m%d%H%M%S")
    dirty = ".dirty" if asked_of_git(root, "status", "--porcelain", "--", *GOES_IN) else ""
    return f"{when}.{asked_of_git(root, 'rev-parse', '--short=12', 'HEAD')}{dirty}"


def version_of(released: str, tags: list[str], mark: str) -> str:
    """Return the version of a tree whose commit bears `tags`, and that `mark` tells apart from any other."""
    return released if f"v{released}" in tags and not mark.endswith(".dirty") else f"{released}+{mark}"
