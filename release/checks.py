"""What must hold before a release is cut: asked first, so that a refusal has changed nothing.

The whole suite is the matter of CI, which passed on the commit that is released. Asked again here is what takes
minutes: the tree is clean, the structure's rules hold, and every golden past so far is carried on from.
"""

import subprocess
import sys
import tomllib

from release import past, shapes
from release.changelog import released
from release.refusal import NotReady

TESTS = ("tests/architecture", "tests/golden")


def check_ready(version: str) -> None:
    """Check that `version` can be released from this tree.

    Raises:
        NotReady: it cannot, and why.
        ShapeChanged: a released document is read otherwise now.
        PastChanged: an earlier golden past is not what was released.
    """
    _check_clean()
    _check_version(version)
    past.check_unchanged()
    shapes.check_unchanged(shapes.formats())
    released((past.ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), version, "today")
    _check_green()


def _check_clean() -> None:
    command = ["git", "status", "--porcelain"]
    ended = subprocess.run(command, cwd=past.ROOT, capture_output=True, text=True, check=True)
    if ended.stdout:
        raise NotReady(f"the tree is not clean; a release is of a commit:\n{ended.stdout.rstrip()}")


def _check_version(version: str) -> None:
    with (past.ROOT / "pyproject.toml").open("rb") as file:
        named = tomllib.load(file)["project"]["version"]
    if version != named:
        raise NotReady(f"pyproject.toml names {named}, not {version}: set it there first, in a commit of its own")
    if version in past.versions():
        raise NotReady(f"{version} was released already: its golden past is there, and is never changed")


def _check_green() -> None:
    there = [name for name in TESTS if (past.ROOT / name).exists()]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", *there]
    if subprocess.run(command, cwd=past.ROOT, check=False).returncode != 0:
        raise NotReady("tests fail; see above")
