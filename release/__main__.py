"""`python -m release VERSION`: check, make the golden past, freeze what is frozen, and close the changelog's section.

Nothing is committed, tagged or published: that is a person's, who reads first what was made.
"""

import argparse
import datetime as dt
import importlib
import importlib.util
import sys
from pathlib import Path

from docs import generate
from release import past, shapes
from release.changelog import released
from release.checks import check_ready
from release.making import make
from release.refusal import NotReady
from release.story import StoryBroken

FREEZING = "release.freezing"
"""A module that may be there: its `freeze(version)` writes down what stays callable as it is in this version."""


def freeze(version: str) -> None:
    """Freeze what the released version judges by, where there is something that does so."""
    if importlib.util.find_spec(FREEZING) is not None:
        importlib.import_module(FREEZING).freeze(version)


def release(version: str, uv: Path) -> None:
    """Cut the release `version` from this tree.

    Raises:
        NotReady, PastChanged, ShapeChanged, StoryBroken: it is not cut, and nothing was changed.
    """
    check_ready(version)
    make(version, uv)
    shapes.write_down(version)
    freeze(version)
    changelog = past.ROOT / "CHANGELOG.md"
    today = dt.datetime.now(dt.UTC).date().isoformat()
    changelog.write_text(released(changelog.read_text(encoding="utf-8"), version, today), encoding="utf-8")
    generate.main()  # Which release made what stands in a derived page.


def main() -> int:
    """Cut the release that is named on the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m release", description=__doc__)
    parser.add_argument("version", help="the version that pyproject.toml names")
    parser.add_argument(
        "--uv", type=Path, default=past.ROOT / ".tools" / "bin" / "uv", help="uv, which builds the wheel"
    )
    arguments = parser.parse_args()
    try:
        release(arguments.version, arguments.uv)
    except (NotReady, past.PastChanged, shapes.ShapeChanged, StoryBroken) as error:
        sys.stderr.write(f"Not released: {error}\n")
        return 1
    folder = past.GOLDEN / arguments.version
    sys.stdout.write(f"{arguments.version} left {folder}. Read what changed, commit it, and tag that commit.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
