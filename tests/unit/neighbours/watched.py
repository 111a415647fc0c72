"""A log on disk whose steps a test watches, holds up, or lets fail; else it is the real one."""

from collections.abc import Callable

from aerodb.audit.record import Record
from aerodb.audit.store import Log
from tests.unit.neighbours.cluster import MemoryCluster

Seen = Callable[[Record], None]


class WatchedLog(Log):
    """A log: `before` and `after` are called with each record that is appended, `asked` with each id that is looked up.

    Whatever they raise is raised instead of what would have come.
    """

    before: Seen = staticmethod(lambda _: None)
    after: Seen = staticmethod(lambda _: None)
    asked: Callable[[str], None] = staticmethod(lambda _: None)

    def append(self, record: Record, blobs: dict[str, bytes] | None = None) -> int:  # type: ignore[override]
        """Append a record."""
        self.before(record)
        sequence = super().append(record, blobs)
        self.after(record)
        return sequence

    def sequences_of(self, request: str) -> tuple[int, ...]:
        """Return the numbers of a request's records, as they were when it was asked."""
        found = super().sequences_of(request)
        self.asked(request)
        return found


def watched(room: MemoryCluster) -> WatchedLog:
    """Have a cluster's control plane write its log through this; return it."""
    room.log.close()
    room.plane._agents._pool.shutdown()
    room.log = log = WatchedLog(room.folder / "log", "aerodb.log/cluster-1", room.log_key)
    room.begin()
    return log
