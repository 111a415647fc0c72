"""Other builds of AeroDB, made from this one's source: a word mended, the rules' version moved, today's rules frozen.

Each is a folder with the whole package in it, and is run as a process of its own: nothing of it is of this process.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import aerodb
from aerodb.past.held import number_of
from aerodb.rules.invariants import RULES
from release.freezing import freeze, told

ROOT = Path(__file__).parents[1]
SOURCE = Path(aerodb.__file__).parent
HEAD = "# The digests of a build that was never released.\n"


class Mended(NamedTuple):
    """A change of the source: in which file of the package, which text, by what it is replaced."""

    file: str
    before: str
    after: str


def later(releases: int) -> str:
    """Return the name that the rules have after so many changes of them."""
    return f"aerodb-rules/{(number_of(RULES) or 0) + releases}"


def moved(releases: int) -> Mended:
    """Return the change that moves the version of the rules."""
    return Mended("rules/invariants.py", f'RULES = "{RULES}"', f'RULES = "{later(releases)}"')


class Build:
    """One other build."""

    def __init__(self, folder: Path, *, released: bool = False) -> None:
        """Copy this build's package into `folder`; unless `released`, as if none of its rules had ever been."""
        self.folder, self.package, self.digests = folder, folder / "aerodb", folder / "frozen.txt"
        unreleased = () if released else ("rules_*",)
        shutil.copytree(SOURCE, self.package, ignore=shutil.ignore_patterns("__pycache__", *unreleased))
        if not released:
            told(self.package / "past" / "releases.py", {})
        self.digests.write_text(HEAD, encoding="utf-8")

    def frozen(self, release: str) -> "Build":
        """Freeze the rules as they stand in this build."""
        freeze(release, self.package, self.digests)
        return self

    def mended(self, *changes: Mended) -> "Build":
        """Change the source; each text to be replaced stands there once."""
        for file, before, after in changes:
            path = self.package / file
            text = path.read_text(encoding="utf-8")
            assert text.count(before) == 1, (file, before)
            path.write_text(text.replace(before, after), encoding="utf-8")
        return self

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Run this build's Python with the words."""
        environment = {**os.environ, "PYTHONPATH": f"{self.folder}{os.pathsep}{ROOT}", "PYTHONSAFEPATH": "1"}
        command = [sys.executable, *map(str, words)]
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)

    def says(self, code: str) -> str:
        """Return what a piece of code prints in this build.

        It must end well.
        """
        ended = self.run("-c", code)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.strip()
