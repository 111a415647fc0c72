"""Play a story on three hosts with Debian's PostgreSQL and the built package: `make test-hosts`, as root.

The last line is JSON. `lost` counts acknowledged rows that the primary lacks at the end; `longest_gap_ms` is the
longest time between two acknowledged commits, but for what the story's administrator did to PostgreSQL by hand;
`steps_undone` and `partitions` are counted; `versions` are those of PostgreSQL. What is printed on the hosts is kept in
build/hosts where it fails.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from aerodb.kernel.postgres.capabilities import MAJORS
from packages.__main__ import ROOT, package
from tests.hosts.application import longest_gap
from tests.hosts.bed import Bed, alone
from tests.hosts.coming import admitted, installed, joined
from tests.hosts.hands import received, split, waited_for
from tests.hosts.leaving import kept_secret, left
from tests.hosts.people import PROGRAM
from tests.hosts.story import Chapter, Story
from tests.hosts.watching import killed, parted, rejected, watched

NEEDED = {
    "ip": "iproute2",
    "nft": "nftables",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "apt-get": "apt",
    "pg_createcluster": "postgresql-common",
}
"""Which program is of which of Debian's packages."""
POSTGRES = "/usr/lib/postgresql/{major}/bin/postgres"
LOGS = ROOT / "build" / "hosts"
CHAPTERS: tuple[Chapter, ...] = (
    installed, joined, admitted, watched, rejected, killed, parted, received, waited_for, split, kept_secret, left,
)  # fmt: skip
GAP_SECONDS_MAX = 10.0
"""A writer that waits as long as this was held up by something."""


def missing() -> list[str]:
    """Return what has to be there first, each as a sentence."""
    if os.geteuid() != 0:
        return ["It makes hosts of their own: run it as root."]
    lacking = {package for program, package in NEEDED.items() if shutil.which(program) is None}
    if not majors():
        lacking.add("postgresql")
    found = [f"Programs of Debian's are missing: apt-get install {' '.join(sorted(lacking))}"] if lacking else []
    if Path(PROGRAM).exists():
        found.append("AeroDB is installed on this machine, so its hosts would have it before it is installed there.")
    return found


def majors() -> list[int]:
    """Return the major versions of Debian's PostgreSQL that are here, the oldest first."""
    return [major for major in MAJORS if Path(POSTGRES.format(major=major)).exists()]


def play(major: int, built: Path) -> int:
    """Play the story in this process, which is alone; return the exit code."""
    LOGS.mkdir(parents=True, exist_ok=True)
    logs = Path(tempfile.mkdtemp(dir=LOGS))
    begin = time.monotonic()

    def say(text: str | None) -> None:
        print(f"{time.monotonic() - begin:6.1f} s  {text}", flush=True)

    say(f"Three hosts have PostgreSQL {major}, made by hand; an application writes.")
    story = Story(Bed(logs), major, built)
    for chapter in CHAPTERS:
        say(chapter.__doc__)
        try:
            chapter(story)
        except AssertionError:
            print(f"What was shown last:\n{story.shown[-1] if story.shown else 'nothing'}\nLogs: {logs}", flush=True)
            raise
    story.application.stop()
    gap = longest_gap(story.application.acknowledged, story.database.hands)
    lost = story.application.lost()
    say(f"The end: {len(story.application.acknowledged)} commits; undone: {', '.join(story.undone)}.")
    told = {
        "lost": len(lost),
        "longest_gap_ms": round(gap * 1000),
        "steps_undone": len(story.undone),
        "partitions": len(story.partitions),
        "versions": [story.database.version],
    }
    shutil.rmtree(logs)
    print(json.dumps(told), flush=True)
    return 0 if not lost and gap < GAP_SECONDS_MAX else 1


def main() -> int:
    """Build the package, and play the story alone; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.hosts", description=__doc__)
    parser.add_argument("--uv", type=Path, default=ROOT / ".tools/bin/uv", help="uv, which the package is built with")
    parser.add_argument("--package", type=Path, help="a package that is built already")
    parser.add_argument("--major", type=int, choices=list(MAJORS), help="the PostgreSQL; by default the oldest here")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.alone:
        return play(asked.major, asked.package)
    lacking = missing()
    if lacking:
        print("\n".join(lacking), file=sys.stderr)
        return 2
    built = asked.package or package(asked.uv.absolute(), Path("/usr/bin/python3"), ROOT / "dist")
    words = ("--alone", "--package", str(built.absolute()), "--major", str(asked.major or majors()[0]))
    return subprocess.run(alone((sys.executable, "-m", "tests.hosts", *words)), cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
