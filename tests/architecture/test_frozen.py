"""Frozen rules: never changed, of a piece, found where they are; and left out of what is measured of living code."""

import ast
import sys
from pathlib import Path

import pytest

from aerodb.rules.invariants import RULES
from release.freezing import DIGESTS, ENTRY, SOURCE, digest_of, freeze, noted, reached
from tests.builds import Build

PAST = SOURCE / "past"
COPIES = sorted(path for path in PAST.glob("rules_*") if path.is_dir())
OUTSIDE = {*sys.stdlib_module_names, "cryptography", "msgspec", "rfc8785"}
"""What a frozen copy may import beside itself: what the living rules do, which stay dependencies for it."""


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Return a build in which the rules of now are frozen."""
    return Build(tmp_path_factory.mktemp("frozen")).frozen("0.1.0")


def _copy(build: Build) -> Path:
    return next((build.package / "past").glob("rules_*"))


def imported(folder: Path) -> set[str]:
    """Return the modules that a copy imports, its own left out."""
    own, found = f"aerodb.past.{folder.name}", set[str]()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                found.add(str(node.module))
            elif isinstance(node, ast.Import):
                found |= {each.name for each in node.names}
    return {each for each in found if each != own and not each.startswith(f"{own}.")}


def test_no_frozen_copy_was_changed() -> None:
    """Every copy is what it was on the day of its release, and none is gone that was noted."""
    assert {path.name: digest_of(path) for path in COPIES} == noted(DIGESTS)


def test_a_changed_copy_is_found(build: Build) -> None:
    """One byte, one file more or one less is noticed."""
    copy = _copy(build)
    before = digest_of(copy)
    assert noted(build.digests) == {copy.name: before}
    for name, text in {"rules/late.py": " ", "rules/more.py": ""}.items():
        path = copy / name
        was = path.read_text(encoding="utf-8") if path.exists() else None
        path.write_text((was or "") + text, encoding="utf-8")
        assert digest_of(copy) != before
        path.unlink()
        assert (digest_of(copy) == before) is (was is None)
        if was is not None:
            path.write_text(was, encoding="utf-8")
    assert digest_of(copy) == before


def test_rules_are_frozen_once(build: Build) -> None:
    """Frozen again, by a later release whose rules are the same, nothing is written."""
    before = (digest_of(_copy(build)), build.digests.read_bytes(), (build.package / "past/releases.py").read_bytes())
    assert freeze("0.2.0", build.package, build.digests) == _copy(build)
    after = (digest_of(_copy(build)), build.digests.read_bytes(), (build.package / "past/releases.py").read_bytes())
    assert after == before
    assert f'"{RULES}": "0.1.0"'.encode() in after[2]


def test_a_copy_needs_nothing_of_the_living_code(build: Build) -> None:
    """Nothing that is changed later can change what a frozen copy says: it imports itself, and libraries."""
    for copy in (*COPIES, _copy(build)):
        assert {each.partition(".")[0] for each in imported(copy)} <= OUTSIDE, copy


def test_a_copy_holds_all_that_the_rules_reach(build: Build) -> None:
    """Every action and every module of the rules that one of them imports is in it; nothing of the kernel is."""
    names = set(reached(SOURCE))
    assert {f"aerodb.actions.{path.stem}" for path in (SOURCE / "actions").glob("[a-z]*.py")} < names
    assert ENTRY in names
    assert {name.split(".")[1] for name in names} == {"actions", "errors", "past", "protocol", "rules"}
    assert len(list(_copy(build).rglob("*.py"))) == len(names) + 1


def test_no_copy_is_imported_before_it_is_asked(build: Build) -> None:
    """A build with a past starts like one without: verification, control plane, agent and command line load none."""
    said = build.says(
        "import sys, aerodb.assembly, aerodb.audit.meaning, aerodb.cli.commands, aerodb.control.plane, "
        "aerodb.kernel.agent, aerodb.web.application\n"
        "from aerodb.past import held\n"
        "print(held.frozen(), [each for each in sys.modules if '.rules_' in each])"
    )
    assert said == f"{(RULES,)} []"
