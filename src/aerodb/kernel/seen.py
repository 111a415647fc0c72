"""What a node has seen of the audit log: the newest checkpoint, earlier ones, and those it gave up.

- Each checkpoint extends the one before it. Only `accepting` gives one up, and keeps it with the request that named it.
- Earlier checkpoints are thinned out, the more the older they are. A log that was set back is compared with the newest
  of them that is no larger than it.

Pure: no I/O, no clock.
"""

from typing import ClassVar

import msgspec

from aerodb.audit.note import stated_size
from aerodb.protocol.formats import Format
from aerodb.protocol.holdings import GivenUp
from aerodb.protocol.marks import Gap

EARLIER_ALL, EARLIER_MAX = 32, 64
"""How many checkpoints before the newest are all kept; and the most that are kept, above which every second of the
older ones is dropped."""


class LogSeen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The newest checkpoint of the audit log that the node was shown: its size in records and exact text.

    `earlier` are checkpoints seen before it, the newest first; `given_up` are those that the node gave up.
    """

    FORMAT: ClassVar[Format] = Format(kind="memory of the log")

    size: int
    checkpoint: str
    earlier: tuple[str, ...] = ()
    given_up: tuple[GivenUp, ...] = ()

    @property
    def checkpoints(self) -> tuple[str, ...]:
        """Return all checkpoints that are kept of the log, the newest first."""
        return (self.checkpoint, *self.earlier) if self.checkpoint else ()

    def within(self, size: int) -> str:
        """Return the newest kept checkpoint of at most `size` records; "" if there is none."""
        return next((text for text in self.checkpoints if 0 < stated_size(text) <= size), "")

    def extended(self, size: int, checkpoint: str) -> "LogSeen":
        """Return this memory after a checkpoint was seen that extends the newest."""
        earlier = self.earlier if size == self.size else _thinned(self.checkpoints)
        return msgspec.structs.replace(self, size=size, checkpoint=checkpoint, earlier=earlier)

    def accepting(self, request: str, gap: Gap, size: int, checkpoint: str) -> "LogSeen":
        """Return this memory after `request` gave up the newest checkpoint for a log that goes on from `gap.restored`.

        Checkpoints beyond `gap.restored` belong to the log that is given up.
        """
        kept = tuple(text for text in self.checkpoints if stated_size(text) <= gap.restored.size)
        lost = GivenUp(request=request, checkpoint=self.checkpoint)
        return LogSeen(size=size, checkpoint=checkpoint, earlier=kept, given_up=(*self.given_up, lost))


def _thinned(checkpoints: tuple[str, ...]) -> tuple[str, ...]:
    if len(checkpoints) <= EARLIER_MAX:
        return checkpoints
    return (*checkpoints[:EARLIER_ALL], *checkpoints[EARLIER_ALL::2])
