"""The structure's rules, as tests: imports, style, types, sizes, permissions."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from aerodb.control.roles import matrix_text

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
FROZEN = ROOT / "src" / "aerodb" / "past"
LIVING = [path for path in SOURCES if not (path.is_relative_to(FROZEN) and path.parent != FROZEN)]
"""What is measured: frozen copies of the rules are as they were released, and were measured then."""
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60


@pytest.mark.parametrize(
    "command",
    [["ruff", "check"], ["ruff", "format", "--check"], ["mypy"], ["importlinter.cli", "lint-imports"]],
    ids=["ruff", "format", "mypy", "imports"],
)
@pytest.mark.timeout(600)
def test_checkers_find_nothing(command: list[str]) -> None:
    """Style, strict types and the direction of imports hold everywhere."""
    program = (
        [str(Path(sys.executable).parent / "lint-imports")]
        if command[0].startswith("importlinter")
        else [sys.executable, "-m", *command]
    )
    ended = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("path", LIVING, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_small(path: Path) -> None:
    """No file has more than 400 lines, no function more than 60."""
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= FILE_LINES_MAX
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert (node.end_lineno or 0) - node.lineno < FUNCTION_LINES_MAX, node.name


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_assert_guards_anything(path: Path) -> None:
    """Safety checks raise: `python -O` strips every assert."""
    assert not any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def test_the_permissions_are_those_on_file() -> None:
    """Who may do what changes only together with the file that auditors read."""
    assert matrix_text() == (Path(__file__).parent / "permissions.txt").read_text(encoding="utf-8")
