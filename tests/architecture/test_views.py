"""What is shown has one room: no interface words for itself what another words too, and the calendar asks no clock."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "aerodb"
WORDS_MIN = 4
"""From how many words on a text is a sentence, which two interfaces must not each have of their own."""

TWO_THINGS = {
    "Nobody is signed in",  # The title of a refusal; and a person's own machine, which holds no session.
    "text css charset utf 8",  # A kind of file, not a sentence.
    "text javascript charset utf 8",
}
"""What the command line and the pages both word, and of two different things."""


def _documentation(tree: ast.AST) -> set[int]:
    """Return the texts that document the source, and are shown to nobody."""
    found = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for each in body if isinstance(body, list) else ():
            if isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant):
                found.add(id(each.value))
    return found


def _words(text: str) -> str:
    return " ".join(re.sub(r"\W+", " ", text).split())


def worded_in(folder: Path) -> Iterator[str]:
    """Yield every text in the sources below a folder that is at least a few words long."""
    for path in sorted(folder.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        apart = _documentation(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in apart:
                text = _words(node.value)
                if len(text.split()) >= WORDS_MIN:
                    yield text


def shown_by_pages() -> str:
    """Return everything that the pages word: the texts of their sources, and their templates."""
    templates = sorted((SOURCE / "web" / "templates").glob("*.html"))
    return " | ".join([*worded_in(SOURCE / "web"), *(_words(each.read_text(encoding="utf-8")) for each in templates)])


def test_the_command_line_and_the_pages_word_nothing_twice() -> None:
    """A sentence that both show stands in `aerodb.views`, so that it cannot come to differ."""
    pages = f" {shown_by_pages()} "
    twice = {text for text in worded_in(SOURCE / "cli") if f" {text} " in pages}
    assert twice - TWO_THINGS == set()


def test_no_interface_words_again_what_a_view_words() -> None:
    """What stands in `aerodb.views` is taken from there."""
    above = f" {' | '.join(worded_in(SOURCE / 'cli'))} | {shown_by_pages()} "
    assert {text for text in worded_in(SOURCE / "views") if f" {text} " in above} == set()


@pytest.mark.parametrize("name", ["now", "utcnow", "today", "fromtimestamp"])
def test_the_calendar_asks_no_clock(name: str) -> None:
    """What counts days may not ask which day it is, nor in which time zone the machine is."""
    tree = ast.parse((SOURCE / "protocol" / "calendar.py").read_text(encoding="utf-8"))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == name]


def test_what_reads_texts_finds_them() -> None:
    """The reader of texts tells documentation from what is shown, and sees the words of the templates."""
    pages = shown_by_pages()
    assert "Looking changes nothing" in pages
    assert "Return the page of a status" not in pages
    assert "No lag was sampled" in set(worded_in(SOURCE / "views"))
