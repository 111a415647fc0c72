"""Tests on more than one PostgreSQL version: what is said to be played on one is, and none goes missing in silence."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from tests.conftest import PLAYED_ON, clusters_were
from tests.versions.__main__ import clusters_of, of_another

ROOT = Path(__file__).parents[2]
TRAP = "tests/faults/test_traps.py::test_alter_system_is_off"
ALONE = """
import sys
import tests.postgresqls
tests.postgresqls.WHEELS = tests.postgresqls.PLACES = ()
"""
"""A machine that has AeroDB's own PostgreSQL alone."""
PYTEST = "import pytest; sys.exit(pytest.main(['-q', '-p', 'no:randomly', *sys.argv[1:]]))"


def told(code: str, *words: str) -> tuple[int, str]:
    """Run some code; return its exit code, and all that it said."""
    left_out = ("PYTEST_", "AERODB_TEST_POSTGRES")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    ended = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    return ended.returncode, ended.stdout + ended.stderr


def test_what_is_marked_is_played_on_both() -> None:
    """Each such test stands there twice, by the versions' names."""
    code, said = told(f"import sys; {PYTEST}", "--collect-only", TRAP)
    tests = [line for line in said.splitlines() if line.startswith(TRAP)]
    assert (code, len(set(tests))) == (0, 2), said
    assert sum(line.startswith(f"{TRAP}[18.") for line in tests) == 1, said


def test_without_a_second_version_what_is_marked_fails() -> None:
    """It is neither passed nor left out; the reason says how to get one, and so does what `make test` asks first."""
    code, said = told(ALONE + PYTEST, "-k", "beside", TRAP)
    assert (code, "1 error" in said, "skipped" in said) == (1, True, False), said
    assert "there is no PostgreSQL beside AeroDB's own: `make second` installs one" in said
    code, said = told(ALONE + "sys.exit(tests.postgresqls.main())")
    assert (code, said.count("PostgreSQL 18.")) == (1, 1)


def test_the_summary_counts_what_ran_on_each_version() -> None:
    """Passed or failed: what has run. What only began, or had no cluster, is not counted."""

    def report(when: Literal["setup", "call"], *properties: tuple[str, str]) -> pytest.TestReport:
        return pytest.TestReport("a test", ("a", 1, "t"), {}, "passed", None, when, user_properties=properties)

    old, new = (PLAYED_ON, "15.18"), (PLAYED_ON, "18.6")
    reports = [report("setup", old), report("call", old), report("call", new), report("call", new), report("call")]
    assert clusters_were(reports) == "Clusters were of PostgreSQL 15.18 in 1 test, 18.6 in 2 tests."
    assert clusters_were([report("call")]) == ""


def test_every_version_is_taken_at_what_pytest_counted() -> None:
    """Not at what it was asked to be: clusters of another version, of two, or of none are a failure."""
    said = "...\nClusters were of PostgreSQL 15.18 in 1 test, 18.6 in 90 tests.\n91 passed in 3.00s\n"
    assert clusters_of(said) == {"15.18": 1, "18.6": 90}
    assert clusters_of("91 passed in 3.00s\n") == {}
    assert of_another("18.6", {"18.6": 90}) == ""
    assert of_another("18.6", clusters_of(said)) == "clusters were of 15.18, 18.6"
    assert of_another("18.6", {}) == "clusters were of none"
