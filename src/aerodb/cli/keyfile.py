"""A file with a person's SSH public key, as an option names it."""

from pathlib import Path

import click

from aerodb.cli.failures import FileUnusable

KEY_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def line_in(path: Path) -> str:
    """Return what a file of a public key holds.

    Raises:
        FileUnusable: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileUnusable(f"{path} cannot be read: {error}", field="key") from error
