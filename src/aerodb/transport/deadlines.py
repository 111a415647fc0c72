"""By when each part of a call has to have come. Values alone."""

import msgspec


class Deadlines(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds, each for one part of what a caller does."""

    handshake: float = 5.0
    header: float = 10.0
    body: float = 30.0
    """8 MB then need a line of 270 kB/s."""
    reading: float = 30.0
    """How long an answer may wait for its caller to read 48 KiB of it, or a refused body for its end."""
    goodbye: float = 5.0
    idle: int = 75
    """How long an idle connection is kept for a caller who may ask again."""


USUAL = Deadlines()
