"""Play the demonstration and chosen faults on each PostgreSQL version that is here, one after the other.

The last line is JSON: which versions passed, which failed, which are missing, and in how many tests clusters were of
each, as pytest itself counted. Clusters of another version, or none, are a failure. A missing version is none, and is
said loudly; the exit code is 1 if any failed, or none is here.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from aerodb.kernel.postgres.capabilities import MAJORS
from aerodb.kernel.postgres.installation import Installation
from tests.postgresqls import on_this_machine

ROOT = Path(__file__).parent.parent.parent
FAULTS = (
    "test_lifecycle.py",
    "test_traps.py",
    "test_copies.py",
    "test_reload.py",
    "test_logical_slots.py",
    "test_restart.py",
    "test_own_session.py",
    "test_policy_in_force.py",
    "test_settings_in_force.py",
    "test_which_server.py",
    "test_lost_successor.py",
)
"""The faults that depend most on what PostgreSQL does: starts, copies, settings, sessions, promotions and crashes."""
PYTEST = ("pytest", "-q", "-n", "2", "--dist", "loadgroup")
CLUSTERS = re.compile(r"^Clusters were of PostgreSQL (.*)\.$", re.MULTILINE)
"""The line that tests/conftest.py has pytest say."""
ONCE = ("test_by_bytes.py", "test_versions.py")
"""The faults that try every version by themselves."""


def _say(text: str) -> None:
    print(text, flush=True)


class Played(NamedTuple):
    """What one part came to, and of which versions its clusters were: in how many tests of each."""

    passed: bool
    clusters: dict[str, int]


def _run(title: str, *command: str, postgres: str = "") -> Played:
    """Run one part, and show what it says as it says it."""
    _say(f"\n=== {title}: {' '.join(command)}")
    environment = {**os.environ, "AERODB_TEST_POSTGRES": postgres, "PYTHONUNBUFFERED": "1"}
    said = ""
    with subprocess.Popen(
        [sys.executable, "-m", *command], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as part:
        for line in part.stdout or ():
            said += line
            sys.stdout.write(line)
            sys.stdout.flush()
    _say(f"=== {title}: {'passed' if part.returncode == 0 else 'FAILED'}")
    return Played(part.returncode == 0, clusters_of(said))


def clusters_of(said: str) -> dict[str, int]:
    """Return of which versions the clusters were, and in how many tests, by what pytest has said."""
    found = [each for line in CLUSTERS.findall(said) for each in line.split(", ")]
    return {version: int(times.split()[0]) for version, _, times in (each.partition(" in ") for each in found)}


def _passes(installation: Installation) -> Played:
    """Play the demonstration and the chosen faults on a version; all of it runs, whatever fails."""
    where, title = str(installation.bin), f"PostgreSQL {installation.version} in {installation.bin}"
    shown = _run(f"{title}, the demonstration", "aerodb", "demo", "--postgres", where)
    played = _run(title, *PYTEST, *(f"tests/faults/{name}" for name in FAULTS), postgres=where)
    if other := of_another(installation.version, played.clusters):
        _say(f"=== {title}: FAILED: {other}")
    return Played(shown.passed and played.passed and not other, played.clusters)


def of_another(version: str, clusters: dict[str, int]) -> str:
    """Return what is wrong with the versions that clusters were of; nothing if all were of this one."""
    return "" if set(clusters) == {version} else f"clusters were of {', '.join(sorted(clusters)) or 'none'}"


def main() -> int:
    """Play all; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--major", type=int, action="append", choices=list(MAJORS), help="only this one (repeatable)")
    wanted = parser.parse_args().major or list(MAJORS)
    found = {major: each for major, each in on_this_machine().items() if major in wanted}
    missing = [major for major in wanted if major not in found]
    results = {each.version: _passes(each) for each in found.values()}
    once = _run("every version by itself", *PYTEST, *(f"tests/faults/{name}" for name in ONCE))
    for major in missing:
        _say(f"\n!!! MISSING: PostgreSQL {major} IS NOT ON THIS MACHINE, AND WAS NOT TRIED !!!")
    passed, failed = ([each for each, came in results.items() if came.passed is wished] for wished in (True, False))
    tests = {each: came.clusters.get(each, 0) for each, came in results.items()}
    told = {"passed": passed, "failed": failed, "missing": missing, "tests": tests, "each_by_itself": once.passed}
    _say(json.dumps(told))
    return 0 if passed and not failed and once.passed else 1


if __name__ == "__main__":
    sys.exit(main())
