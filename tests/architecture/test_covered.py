"""The floor under what is covered: it rises, and what falls below it is named, and fails."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.covered import FLOORS, SLACK_PER_CENT, fallen, raised, read_floors, written

ROOT = Path(__file__).parents[2]
MEASURED = "tests/unit/protocol/test_calendar.py"


def test_what_falls_is_named_and_nothing_else() -> None:
    """A file below its floor is said by name, with both numbers; one at it, above it, or gone is not."""
    floors = {"rules/a.py": 90, "audit/b.py": 90, "control/c.py": 90, "control/gone.py": 90}
    (told,) = fallen(floors, {"rules/a.py": 80.25, "audit/b.py": 90.0 - SLACK_PER_CENT, "control/c.py": 99.9})
    assert told.startswith("rules/a.py is covered to 80.2 %")
    assert "its floor is 90 %" in told


def test_a_floor_only_rises() -> None:
    """Less covered than before leaves the floor; more raises it; a file that is gone has none."""
    floors = raised({"a.py": 90, "b.py": 50, "gone.py": 90}, {"a.py": 70.0, "b.py": 66.9, "new.py": 100.0})
    assert floors == {"a.py": 90, "b.py": 66, "new.py": 100}
    assert read_floors(written(floors))[1] == floors


def test_what_decides_has_its_floors() -> None:
    """Every package that the floors are for has some, and none of them is nothing."""
    _, floors = read_floors(FLOORS.read_text(encoding="utf-8"))
    assert {name.partition("/")[0] for name in floors} == {"rules", "audit", "control", "protocol"}
    assert 0 not in floors.values()


@pytest.mark.parametrize("processes", [(), ("-n", "1")], ids=["one process", "by xdist"])
def test_the_tests_fail_where_a_file_is_covered_less(tmp_path: Path, processes: tuple[str, ...]) -> None:
    """Every test passes, and the run fails all the same, with the file's name; at its floor it passes."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    words = [sys.executable, "-m", "pytest", "-q", "-p", "tests.covered", *processes, MEASURED]
    codes, said = [], ""
    for floor in (60, 120):
        path = tmp_path / "floors.txt"
        path.write_text(f"python {version}\nprotocol/calendar.py {floor}\n", encoding="utf-8")
        ended = subprocess.run(
            [*words, "--floors", str(path)], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        codes.append(ended.returncode)
        said = ended.stdout + ended.stderr
    assert (codes, "protocol/calendar.py is covered to" in said, " passed in " in said) == ([0, 1], True, True), said
