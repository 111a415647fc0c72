"""Timeouts for each part of a call. Values alone."""

import msgspec


class Deadlines(msgspec.Struct, frozen=True, kw_only=True):
    """Timeouts in seconds, one for each part of what a caller does."""

    handshake: float = 5.0
    header: float = 10.0
    body: float = 30.0
    """A body of 8 MB must come at 270 kB/s."""
    reading: float = 30.0
    """How long the caller may take to read 48 KiB of an answer, or to finish sending a body that was refused."""
    goodbye: float = 5.0
    idle: int = 75
    """How long an idle connection is kept open for its caller's next request."""


USUAL = Deadlines()
