"""One thing, one word; one word, one thing: codes and the names of types."""

import ast
from collections import defaultdict
from inspect import Parameter, signature
from pathlib import Path

import pytest
from msgspec.structs import replace

from aerodb.actions import catalogue
from aerodb.audit.checks import computed_again
from aerodb.protocol.chain import founded
from aerodb.rules.explain import explain
from aerodb.rules.view import ReportForged
from aerodb.views.matrix import matrix
from docs.generator.reference import errors
from tests.architecture.test_contracts import LIVING
from tests.unit.rules.scenes import CLUSTER, healthy, request_for, snapshot_of

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


LIVING_SOURCES = sorted(path for path in LIVING if path.is_relative_to(SOURCE))
"""Not the frozen copies of the rules: they have the words of then."""


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
    for path in LIVING_SOURCES:
        for name in types_in(path):
            where[name].append(str(path.relative_to(SOURCE)))
    assert {name: files for name, files in where.items() if len(files) > 1 and name not in TWO_TYPES} == {}
    assert {name for name in TWO_TYPES if len(where[name]) < 2} == set()


def _called_in(path: Path) -> set[str]:
    """Return what a file calls, or hands on, by the name's end."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    named = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return named | {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def test_what_verifies_nothing_is_called_by_those_alone_whom_it_names() -> None:
    """A function that ends in `_unsafe` names its only legal callers, and has no others."""
    files = {path: ast.parse(path.read_text(encoding="utf-8")) for path in LIVING_SOURCES}
    unsafe = {
        node.name: (path, ast.get_docstring(node) or "")
        for path, tree in files.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.endswith("_unsafe")
    }
    assert {"explain_unsafe", "matrix_unsafe"} <= set(unsafe)
    for name, (home, said) in unsafe.items():
        calling = {str(path.relative_to(SOURCE)) for path in files if path != home and name in _called_in(path)}
        assert {file for file in calling if f"`{file}`" not in said} == set(), name
        assert calling, name


def test_no_parameter_leaves_a_verification_out() -> None:
    """What makes a plan, or judges one, cannot be told by an argument that is left out that all is verified."""
    for function in (explain, matrix, computed_again):
        assert not [each for each in signature(function).parameters.values() if each.default is not Parameter.empty]


def test_a_forged_report_reaches_no_plan_and_no_matrix() -> None:
    """The functions without `_unsafe` in their names verify every report themselves."""
    snapshot, action = snapshot_of(healthy()), catalogue()["stop"]
    forged = replace(snapshot.reports["n2"], document=snapshot.reports["n2"].document.replace("standby", "primary"))
    altered = replace(snapshot, reports={**snapshot.reports, "n2": forged})
    with pytest.raises(ReportForged):
        explain(CLUSTER, action, request_for(action, "n3", {}), altered)
    with pytest.raises(ReportForged):
        list(matrix(founded(CLUSTER), altered, "alice"))
