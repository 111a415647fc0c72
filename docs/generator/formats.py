"""The page of formats: every document that is signed, stored or exported, and the versions that are read."""

from docs.generator.text import GENERATED, table
from release import past, shapes

INTRO = """# Formats

Every document that is signed, stored or exported has a kind and a version, and each version is read by a reader of its own: strict, in one form, side by side with the others
([why](adr/0027-formats-have-versions.md)). A document that names no version is of version 1. Later ones name `kind` and `format` (an evidence file: `version`). What is of a later
version than this build reads is refused with [`input.made-later`](errors.md#inputmade-later), which says what to read it with; never as malformed.

A version that was released is never changed: its shape is on a list (`tests/golden/SHAPES`), and every later build reads, verifies and carries on from what each release left behind
(`tests/golden/`)."""


def page() -> str:
    """Return the page."""
    first = {(kind, version): said for kind, version, said in _first_released()}
    rows = [
        (name, str(version), first.get((name, version), "not yet"), (reader.__doc__ or "").splitlines()[0])
        for (name, version), reader in sorted(shapes.formats().items())
    ]
    return "\n\n".join([GENERATED, INTRO, table(("kind", "version", "since", "what it is"), rows)]) + "\n"


def _first_released() -> list[tuple[str, int, str]]:
    """Return of each released version of a document which release was its first."""
    lines = (past.GOLDEN / shapes.SHAPES).read_text(encoding="ascii").splitlines()
    named = [line.split("  ", 2)[1:] for line in lines]
    return [(name.rpartition(" ")[0], int(name.rpartition(" ")[2]), release) for release, name in named]


def pages() -> dict[str, str]:
    """Return the page by its path."""
    return {"formats.md": page()}
