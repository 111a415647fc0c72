"""Whether a standby still receives, and whether it has replayed all that it has: a statement, and what its answer says.

Pure: no I/O, no clock.
"""

from typing import Any

from aerodb.protocol.lsn import Lsn

RECEIVING = """
select (select count(*) from pg_stat_activity where backend_type = 'walreceiver') as receiving,
       (select wait_event from pg_stat_activity where backend_type = 'startup') as startup,
       pg_last_wal_receive_lsn()::text as received, pg_last_wal_replay_lsn()::text as replayed
"""


def parsed_lsn(text: str | None) -> Lsn | None:
    """Return the position that a text is, or None of none."""
    return None if text is None else Lsn.parse(text)


def has_replayed_all(found: dict[str, Any]) -> bool:
    """Tell whether a standby that receives nothing has replayed every whole record that it has.

    Its startup process waits before it looks again only when neither pg_wal nor a receiver has another record. What
    was received may reach further, into a record whose end never came: that is part of nothing, and no commit that
    was acknowledged can be in it. Before that wait, after a restart too, WAL may be left to replay.
    """
    return bool(found["receiving"] == 0 and found["startup"] == "RecoveryRetrieveRetryInterval")


def is_reading(found: dict[str, Any]) -> bool:
    """Tell whether a standby that receives nothing reads what it received, so that it may yet find a record's end.

    It looks anew every `wal_retrieve_retry_interval`, and through all of a long record: in that moment a beginning
    without an end looks like WAL that is left to replay.
    """
    received, replayed = parsed_lsn(found["received"]), parsed_lsn(found["replayed"])
    unread = received is not None and replayed is not None and received > replayed
    reads = found["startup"] is None or found["startup"].casefold() == "walread"
    return bool(found["receiving"] == 0 and unread and reads)
