"""One thing, one word; one word, one thing: codes and the names of types."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

from docs.generator.raises import errors

SOURCE = Path(__file__).parents[2] / "src" / "aerodb"
TWO_TYPES = {
    "Caller",  # Whoever calls a service, as its certificate says; and what the command line calls the API with.
    "Cell",  # Of the matrix, as the API gives it; and of any table of the terminal.
    "Order",  # What is sent to an agent; and what an operation works from, in the rules, which are frozen as they are.
}
"""The names that two types have. This set never grows."""

CODES = sorted({each.code for each in errors()})


@pytest.mark.parametrize("code", CODES)
def test_each_code_is_one_error(code: str) -> None:
    """A stable code is given to one class alone; what means the same is a kind of it, and takes the code from it."""
    giving = [each for each in errors() if vars(each).get("code") == code]
    assert len(giving) == 1
    assert all(issubclass(each, giving[0]) for each in errors() if each.code == code)
    assert len({(each.status, each.title) for each in errors() if each.code == code}) == 1


def test_the_errors_are_all_found() -> None:
    """The test above is about every error that there is."""
    assert len(errors()) > 100


def types_in(path: Path) -> set[str]:
    """Return the public types that a file defines: its classes, and what it gives a type's name to."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if len(name) > 1 and name[0].isupper() and not name.isupper():
                found.add(name)
    return {name for name in found if not name.startswith("_")}


def test_each_type_has_a_name_of_its_own() -> None:
    """Nobody has to ask which of two types a name means; what still has one name with another is said, and why."""
    where = defaultdict(list)
    for path in sorted(SOURCE.rglob("*.py")):
        for name in types_in(path):
            where[name].append(str(path.relative_to(SOURCE)))
    assert {name: files for name, files in where.items() if len(files) > 1 and name not in TWO_TYPES} == {}
    assert {name for name in TWO_TYPES if len(where[name]) < 2} == set()
