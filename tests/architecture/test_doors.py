"""Reading and acting have one door: whatever answers people has a person's access to the control plane, and no more."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

import aerodb
from aerodb.api.routes import Call
from aerodb.control.access import Access
from aerodb.control.plane import ControlPlane
from aerodb.web.visit import Visit

HERE = Path(aerodb.__file__).parent
ANSWERING = sorted(path for folder in ("api", "web") for path in (HERE / folder).rglob("*.py"))
OPEN = {
    "aerodb.control.access": {"Access"},
    "aerodb.control.authenticators": {"PENDING_A_PERSON_MAX"},
    "aerodb.control.plane": {"ControlPlane"},
    "aerodb.control.roles": {"ALLOWED", "Right"},
    "aerodb.control.veil": {"shown_to", "told"},
}
"""What routes and pages may take from the control plane, beside its errors: nothing of this reads or acts."""
OF_NOBODY = {"cluster", "meters", "door", "caller", "visitor", "turned_away", "left_over", "begin", "close"}
"""What a control plane shows to whoever has it: who calls, its configuration, its meters and its own life."""
ASKS_NOTHING = {"may", "require", "cluster", "log_size", "assertion"}
"""What an access answers to everyone who is enrolled."""


def taken(path: Path) -> Iterator[tuple[str, str]]:
    """Yield what a file takes from the control plane: module and name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("aerodb.control"):
            yield from ((node.module or "", alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if alias.name.startswith("aerodb.control"))


def attributes(path: Path) -> set[str]:
    """Return every attribute that a file takes of anything."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


@pytest.mark.parametrize("path", ANSWERING, ids=lambda path: str(path.relative_to(HERE)))
def test_no_route_and_no_page_reaches_around_the_access(path: Path) -> None:
    """None takes from the control plane what reads or acts by itself, checks a right by itself, or looks inside."""
    for module, name in taken(path):
        assert module == "aerodb.control.errors" or name in OPEN.get(module, set()), (module, name)
    assert "_parts" not in attributes(path)


def test_a_call_and_a_visit_have_nothing_but_a_persons_access() -> None:
    """What answers a call is given no control plane, so reading without a person cannot be written."""
    assert set(inspect.get_annotations(Call)) == {"access", "path", "query", "headers", "body"}
    assert set(inspect.get_annotations(Visit)) == {"access", "session", "path", "query", "form"}


def test_a_control_plane_reads_and_does_nothing_for_nobody() -> None:
    """All of it that can be reached without a person is who calls, and its own life; it makes every access."""
    tree = ast.parse(inspect.getsource(ControlPlane))
    assigned = {
        node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    }
    names = {name for name in {*vars(ControlPlane), *assigned} if not name.startswith("_")}
    assert names == OF_NOBODY
    for path in HERE.rglob("*.py"):
        called = {
            node.func.id
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        makes = {"Access", "PlaneParts", "ControlPlane"} & called
        assert not makes or path in (HERE / "control" / "plane.py", HERE / "assembly.py"), (path, makes)


@pytest.mark.parametrize("name", sorted(set(vars(Access)) - ASKS_NOTHING))
def test_everything_that_an_access_does_it_does_for_its_person(name: str) -> None:
    """Each of its methods passes the person on to what checks the right, or checks one first."""
    if name.startswith("_"):
        return
    text = inspect.getsource(getattr(Access, name))
    assert "self.person" in text or "self.require(" in text
