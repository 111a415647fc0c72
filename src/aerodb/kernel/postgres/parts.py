"""Facts come in parts: a part that cannot be read is named with its reason, and the others stand."""

from collections.abc import Callable
from typing import TypeVar

from aerodb.errors import AeroError

T = TypeVar("T")


class Parts:
    """What of a node could not be read, and why."""

    def __init__(self) -> None:
        """Begin whole."""
        self.damage: list[str] = []

    def read(self, part: str, reading: Callable[[], T]) -> T | None:
        """Return what `reading` returns; None where it cannot, which is then noted under the name of the part."""
        try:
            return reading()
        except (AeroError, OSError, ValueError) as error:
            self.damage.append(f"{part}: {error.message if isinstance(error, AeroError) else error}")
            return None
