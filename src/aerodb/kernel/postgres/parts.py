"""Facts come in parts: a part that cannot be read is named with its reason, and hides no other."""

from collections.abc import Callable
from typing import TypeVar

from aerodb.errors import AeroError, writable

T = TypeVar("T")


class Parts:
    """Collects which parts of a node could not be read, and why."""

    def __init__(self) -> None:
        """Begin with no damage."""
        self.damage: list[str] = []

    def read(self, part: str, reading: Callable[[], T]) -> T | None:
        """Return what `reading` returns; if it fails, note that under the name of the part and return None."""
        try:
            return reading()
        except (AeroError, OSError, ValueError) as error:
            self.damage.append(f"{part}: {error.message if isinstance(error, AeroError) else writable(str(error))}")
            return None
