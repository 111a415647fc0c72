"""Play the demonstration and chosen faults on each PostgreSQL version that is here, one after the other.

The last line is JSON: which versions passed, which failed, and which are missing. A missing one is no failure, and is
said loudly; the exit code is 1 if any failed, or none is here.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

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
ONCE = ("test_by_bytes.py", "test_versions.py")
"""The faults that try every version by themselves."""


def _say(text: str) -> None:
    print(text, flush=True)


def _run(title: str, *command: str, postgres: str = "") -> bool:
    """Run one part, and show what it says; return whether it passed."""
    _say(f"\n=== {title}: {' '.join(command)}")
    environment = {**os.environ, "AERODB_TEST_POSTGRES": postgres}
    passed = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, env=environment, check=False).returncode == 0
    _say(f"=== {title}: {'passed' if passed else 'FAILED'}")
    return passed


def _passes(installation: Installation) -> bool:
    """Tell whether the demonstration and the chosen faults pass on a version; all of it runs, whatever fails."""
    where, title = str(installation.bin), f"PostgreSQL {installation.version} in {installation.bin}"
    return all(
        [
            _run(f"{title}, the demonstration", "aerodb", "demo", "--postgres", where),
            _run(title, *PYTEST, *(f"tests/faults/{name}" for name in FAULTS), postgres=where),
        ]
    )


def main() -> int:
    """Play all; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--major", type=int, action="append", choices=list(MAJORS), help="only this one (repeatable)")
    wanted = parser.parse_args().major or list(MAJORS)
    found = {major: each for major, each in on_this_machine().items() if major in wanted}
    missing = [major for major in wanted if major not in found]
    results = {str(each.version): _passes(each) for each in found.values()}
    once = _run("every version by itself", *PYTEST, *(f"tests/faults/{name}" for name in ONCE))
    for major in missing:
        _say(f"\n!!! MISSING: PostgreSQL {major} IS NOT ON THIS MACHINE, AND WAS NOT TRIED !!!")
    passed, failed = ([each for each, ok in results.items() if ok is wished] for wished in (True, False))
    _say(json.dumps({"passed": passed, "failed": failed, "missing": missing, "each_by_itself": once}))
    return 0 if passed and not failed and once else 1


if __name__ == "__main__":
    sys.exit(main())
