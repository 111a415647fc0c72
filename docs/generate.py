"""Write the pages that are derived from the code: `make docs`, or `python -m docs.generate`."""

import sys
from functools import cache
from pathlib import Path

from docs.generator import actions, boundaries, formats, man, picture, reference, versions, ways

FOLDER = Path(__file__).parent


@cache
def pages() -> dict[str, str]:
    """Return every derived page by its path in docs/."""
    return {
        **actions.pages(),
        **reference.pages(),
        **picture.pages(),
        **ways.pages(),
        **boundaries.pages(),
        **formats.pages(),
        **man.pages(),
        **versions.pages(),
    }


def main() -> None:
    """Write the pages, and remove those of actions and commands that are no more."""
    made = pages()
    for path, text in made.items():
        (FOLDER / path).parent.mkdir(exist_ok=True)
        (FOLDER / path).write_text(text, encoding="utf-8")
    for found in (*(FOLDER / "actions").glob("*.md"), *(FOLDER / "man").glob("*.1")):
        if str(found.relative_to(FOLDER)) not in made:
            found.unlink()
    sys.stdout.write(f"{len(made)} files written in {FOLDER}\n")


if __name__ == "__main__":
    main()
