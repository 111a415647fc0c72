"""Reading has one door: whatever answers people asks for a person, and gets what that person may see."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import aerodb

HERE = Path(aerodb.__file__).parent
ANSWERING = sorted(path for folder in ("api", "web") for path in (HERE / folder).rglob("*.py"))
WITHOUT_A_PERSON = {"reader", "_reader", "_recorder", "dispatcher"}
"""What reads or acts for whoever calls it; the control plane's own parts use it after they have asked who that is."""


def used(path: Path) -> Iterator[str]:
    """Yield every attribute that a file takes of anything."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            yield node.attr


@pytest.mark.parametrize("path", ANSWERING, ids=lambda path: str(path.relative_to(HERE)))
def test_no_interface_reads_without_a_person(path: Path) -> None:
    """Neither a route nor a page reaches what answers without being told who asks."""
    assert not WITHOUT_A_PERSON & set(used(path))
