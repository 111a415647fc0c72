"""The documentation is current: derived pages equal what the code makes now, and every link leads somewhere."""

import re
from pathlib import Path

import pytest

from aerodb.actions import catalogue
from aerodb.rules.invariants import Invariant
from docs.generate import pages
from docs.generator.actions import LOSSES, claims_of
from docs.generator.picture import layers
from docs.generator.reference import WHO, by_code, errors, package_of

ROOT = Path(__file__).parents[2]
WRITTEN = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("path", pages())
def test_derived_pages_are_current(path: str) -> None:
    """What is committed is what `make docs` would write now."""
    assert (ROOT / "docs" / path).read_text(encoding="utf-8") == pages()[path]


def test_no_page_is_left_of_an_action_that_is_gone() -> None:
    """The folder of actions holds the catalogue's pages and no other."""
    found = {path.stem for path in (ROOT / "docs" / "actions").glob("*.md")}
    assert found == {*catalogue(), "README"}


def anchors(text: str) -> set[str]:
    """Return the anchors in a page: those of its headings, as GitHub makes them, and those that it names."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", text), re.MULTILINE)
    made = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return made | set(re.findall(r'<a id="([^"]+)">', text))


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_resolves(path: Path) -> None:
    """A link names a file that is there, and an anchor that is in it."""
    for found in LINK.finditer(FENCED.sub("", path.read_text(encoding="utf-8"))):
        name, _, anchor = (found[1] or found[2]).partition("#")
        if "://" in name or name.startswith("mailto:"):
            continue
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), f"{path}: {name}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"{path}: {name}#{anchor}"


@pytest.mark.parametrize("code", by_code())
def test_every_error_has_one_line_and_one_title(code: str) -> None:
    """One code means one thing, and the page of errors says what."""
    lines = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line.startswith("| ") and f"</a>`{code}` |" in line]) == 1
    assert len({kind.title for kind in by_code()[code]}) == 1


def test_every_error_says_who_refuses() -> None:
    """Each error stands in a place that the page of errors names, and each place has errors."""
    assert {package_of(kind) for kind in errors()} == set(WHO)


def test_every_loss_statement_is_described() -> None:
    """An action shares a loss statement that the generator describes, or says in its own docstring what it states."""
    for action in catalogue().values():
        assert action.loss in LOSSES or (action.loss.__doc__ or "").startswith("State what")
        assert claims_of(action.loss)


def test_every_invariant_is_linked_from_where_it_is_relied_on() -> None:
    """An auditor comes from an action to each invariant's statement, and back."""
    for action in catalogue().values():
        page = pages()[f"actions/{action.name}.md"]
        assert all(f"../invariants.md#{invariant})" in page for invariant in action.invariants)
    assert all(f"## {invariant}" in pages()["invariants.md"] for invariant in Invariant)


def test_the_picture_shows_every_package() -> None:
    """The picture names the folders and modules that there are."""
    drawn = set(re.findall(r'<text class="name"[^>]*>([^<]+)</text>', pages()["pictures/layers.svg"]))
    source = ROOT / "src" / "aerodb"
    there = {path.name for path in source.iterdir() if (path / "__init__.py").exists()}
    modules = {"assembly", "errors", "logs", "private", "registration", "tracing"}
    assert drawn == {name for names in layers() for name in names} == there | modules
