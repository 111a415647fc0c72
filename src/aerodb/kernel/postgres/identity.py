"""A data folder's identity: a token drawn when the folder is made, in a file inside it.

- What an agent remembers of a WAL is bound to it: another folder, put in use by whatever hand, is never taken for it.
- A base backup carries the source's file along, so a copy gets a token of its own before it is finished.
"""

import re
import secrets
from pathlib import Path

from aerodb.kernel.durable import write_durably

FILE = "aerodb.identity"
_FORM = re.compile(r"[0-9a-f]{32}")


def draw_identity(data: Path, owner: tuple[int, int] | None) -> str:
    """Give the data folder a new identity, durably, and return it."""
    identity = secrets.token_hex(16)
    write_durably(data / FILE, f"{identity}\n".encode(), owner)
    return identity


def read_identity(data: Path) -> str | None:
    """Return the identity of a data folder; None where it cannot be read, or is none."""
    try:
        text = (data / FILE).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return text if _FORM.fullmatch(text) else None
