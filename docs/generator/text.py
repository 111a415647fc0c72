"""Small pieces of Markdown."""

from collections.abc import Iterable, Sequence

GENERATED = "<!-- Written by `make docs` from the code. Do not edit. -->"


def items(sentences: Iterable[str]) -> str:
    """Return sentences as a list."""
    return "\n".join(f"- {each}" for each in sentences)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; bars in cells are escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def anchor(heading: str) -> str:
    """Return the anchor of a heading that is a code or an identifier."""
    return heading.replace(".", "").replace("`", "").lower().replace(" ", "-")


def code_link(code: str, page: str) -> str:
    """Return a link to an error's line."""
    return f"[`{code}`]({page}#{anchor(code)})"
