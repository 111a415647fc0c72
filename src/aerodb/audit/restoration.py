"""What a log says of its own restoration: which node gave up what, for which beginning, by whose signature.

Pure: no I/O, no clock.
"""

from aerodb.actions import gap_of
from aerodb.actions.accept_log import lost
from aerodb.audit.against import RootAt
from aerodb.audit.record import Record
from aerodb.errors import AeroError
from aerodb.protocol.marks import Gap


def gap_in(record: Record) -> Gap | None:
    """Return what the request of a record gives up, or None where it gives up nothing that can be read."""
    try:
        return gap_of(record.asked)
    except AeroError:
        return None


def restoration(record: Record) -> str | None:
    """Return what the record of an executed acceptance tells whoever reads the log; None of any other record."""
    gap = gap_in(record)
    if gap is None:
        return None
    return (
        f"the log was restored: by {record.at} {record.target} gave up the log {gap.seen} that it saw, as "
        f"{record.operator} signed, for one that begins with {gap.restored}. Lost with it: {lost(gap)}. "
        f"{record.target} holds the checkpoint that it gave up, and the requests and outcomes that it had part in"
    )


def misnamed(gap: Gap, size: int, root_at: RootAt) -> bool:
    """Tell whether a log of `size` records, whose roots `root_at` gives, does not begin with what a gap names."""
    return gap.restored.size > size or root_at(gap.restored.size) != gap.restored.root_bytes
