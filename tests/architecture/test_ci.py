"""CI runs every part, closes with pytest's own summaries, and fails where any part fails or shows nothing."""

import shutil
import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / ".ci" / "run"
PASSED = "============ 7 passed, 1 skipped in 1.50s (0:00:01) ============"
FAILED = "============ 1 failed, 6 passed in 2.50s ============"
PARTS = ("test", "test-browser", "test-observability", "test-balancers")


def ci(folder: Path, **ends: tuple[int, str]) -> tuple[int, list[str]]:
    """Run CI with a `make` whose targets end as told; return its exit code and its lines."""
    (folder / ".ci").mkdir()
    shutil.copy(RUN, folder / ".ci" / "run")
    cases = "".join(
        f"{part}) echo 'a test'; echo '{said}'; exit {code};;\n"
        for part, (code, said) in ((part, ends.get(part.replace("-", "_"), (0, PASSED))) for part in PARTS)
    )
    make = folder / "bin" / "make"
    make.parent.mkdir()
    make.write_text(f'#!/bin/sh\ncase "$1" in\n{cases}esac\nexit 9\n', encoding="utf-8")
    make.chmod(0o755)
    environment = {"PATH": f"{make.parent}:/usr/bin:/bin"}
    ended = subprocess.run([folder / ".ci" / "run"], env=environment, capture_output=True, text=True, check=False)
    return ended.returncode, ended.stdout.splitlines()


def test_it_passes_where_every_part_passes(tmp_path: Path) -> None:
    """And its last lines are the summaries, one a part."""
    code, lines = ci(tmp_path)
    assert (code, lines[-len(PARTS) :]) == (0, [PASSED] * len(PARTS))
    assert lines.count("a test") == len(PARTS)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("end", [(1, FAILED), (2, PASSED), (1, "nothing"), (0, "nothing")])
def test_it_fails_where_one_part_does(tmp_path: Path, part: str, end: tuple[int, str]) -> None:
    """By its tests, by what it needs, or by saying nothing; the others run all the same, and it is named."""
    code, lines = ci(tmp_path, **{part.replace("-", "_"): end})
    assert code == 1
    assert lines.count("a test") == len(PARTS)
    assert f"FAILED: {part}" in lines
    said = end[1] if end[1] != "nothing" else f"no summary of make {part}"
    assert lines[-len(PARTS) :] == [said if each == part else PASSED for each in PARTS]
