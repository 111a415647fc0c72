"""What a node has seen of the audit log: the newest checkpoint, those before it, and what it gave up.

- Each checkpoint extends the one before it; only `accepting` lets one go, and keeps it with the request that named it.
- Of the older ones some are kept, the fewer the older they are: a log that went back is held against the newest of them
  that it could still have.

Pure: no I/O, no clock.
"""

from typing import ClassVar

import msgspec

from aerodb.audit.note import stated_size
from aerodb.protocol.formats import Format
from aerodb.protocol.holdings import GivenUp
from aerodb.protocol.marks import Gap

EARLIER_ALL, EARLIER_MAX = 32, 64
"""So many of the checkpoints before the newest are kept, each one; and so many with the older ones, of which every
second is let go whenever there are more."""


class LogSeen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The newest audit log checkpoint that the node was shown, its size and its exact text; and what goes with it.

    `earlier` are checkpoints seen before it, the newest first; `given_up` is what the node saw and gave up.
    """

    FORMAT: ClassVar[Format] = Format(kind="memory of the log")

    size: int
    checkpoint: str
    earlier: tuple[str, ...] = ()
    given_up: tuple[GivenUp, ...] = ()

    @property
    def checkpoints(self) -> tuple[str, ...]:
        """Return every checkpoint that is kept of the log, the newest first."""
        return (self.checkpoint, *self.earlier) if self.checkpoint else ()

    def within(self, size: int) -> str:
        """Return the newest checkpoint seen of at most `size` records; "" where none is known."""
        return next((text for text in self.checkpoints if 0 < stated_size(text) <= size), "")

    def extended(self, size: int, checkpoint: str) -> "LogSeen":
        """Return what is known once a checkpoint was seen that extends the newest."""
        earlier = self.earlier if size == self.size else _thinned(self.checkpoints)
        return msgspec.structs.replace(self, size=size, checkpoint=checkpoint, earlier=earlier)

    def accepting(self, request: str, gap: Gap, size: int, checkpoint: str) -> "LogSeen":
        """Return what is known once the newest was given up by a request, for a log that begins with `gap.restored`.

        What was seen beyond that beginning is of the log that is given up.
        """
        kept = tuple(text for text in self.checkpoints if stated_size(text) <= gap.restored.size)
        lost = GivenUp(request=request, checkpoint=self.checkpoint)
        return LogSeen(size=size, checkpoint=checkpoint, earlier=kept, given_up=(*self.given_up, lost))


def _thinned(checkpoints: tuple[str, ...]) -> tuple[str, ...]:
    if len(checkpoints) <= EARLIER_MAX:
        return checkpoints
    return (*checkpoints[:EARLIER_ALL], *checkpoints[EARLIER_ALL::2])
