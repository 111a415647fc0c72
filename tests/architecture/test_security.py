"""Every claim about security names a test that tries to break it, and every test that is named is there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from aerodb.kernel import service
from docs.generator.boundaries import GUARDS, agent_routes, sensitive_fields

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "security.md"
NAMED = re.compile(r"\[`(test_\w+)`\]\(\.\./(tests/[\w/]+\.py)\)")
TRIED_BY = "tried by"
PARTIES = ("Operator", "Observer and auditor", "Monitor and load balancer", "Control plane", "Agent",
           "An agent that only watches", "Whoever carries the files of a join", "Log witness",
           "PostgreSQL's superuser", "The network")  # fmt: skip


def text() -> str:
    """Return the page."""
    return PAGE.read_text(encoding="utf-8")


@cache
def defined_in(path: str) -> frozenset[str]:
    """Return the tests that a file defines."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def tables() -> list[tuple[list[str], list[list[str]]]]:
    """Return the head and the rows of every table on the page."""
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", text(), re.MULTILINE):
        head, _, *rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in block.splitlines()]
        found.append((head, rows))
    return found


@pytest.mark.parametrize(("test", "path"), sorted(set(NAMED.findall(text()))))
def test_a_test_that_is_named_is_there(test: str, path: str) -> None:
    """In the very file that the link leads to."""
    assert test in defined_in(path)


def test_every_claim_is_tried() -> None:
    """Each row of each table of claims names at least one test, and in its last cell there is nothing else."""
    claims = [(head, row) for head, rows in tables() for row in rows if head[-1] == TRIED_BY]
    assert len(claims) > 40
    for head, row in claims:
        assert len(row) == len(head), row
        assert NAMED.findall(row[-1]), row
        assert not NAMED.sub("", row[-1]).strip(" ,"), row


def test_only_the_list_of_parties_makes_no_claim() -> None:
    """So a table without tests cannot slip in."""
    assert [head for head, _ in tables() if head[-1] != TRIED_BY] == [["party", "holds", "is trusted with"]]


def test_every_party_has_its_claims_and_what_is_not_defended_is_said() -> None:
    """Nobody is left out, and the page does not end with what holds."""
    headings = re.findall(r"^#+ (.+)$", text(), re.MULTILINE)
    assert set(PARTIES) <= set(headings)
    assert {"What several can do together", "What is not defended"} <= set(headings)


def test_the_boundaries_are_what_enforces_them() -> None:
    """Each route of an agent stands with its guard; nobody but the control plane may send one anything."""
    routes = list(agent_routes())
    assert len(routes) == len(service.ROUTES) > 0
    assert Path(service.__file__).read_text(encoding="utf-8").count("TracedRoute(") == 1
    assert all(who == GUARDS[service.control_only] for method, _, who in routes if method == "POST")
    assert {path for _, path, who in routes if who == GUARDS[service.anybody]} == {"/primary", "/standby"}
    assert sensitive_fields()
