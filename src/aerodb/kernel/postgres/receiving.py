"""Tells whether a standby still receives WAL, and whether it has replayed all of it: a statement, and its judgement.

Pure: no I/O, no clock.
"""

from typing import Any

from aerodb.protocol.facts import Receiver
from aerodb.protocol.lsn import Lsn

RECEIVING = """
select (select count(*) from pg_stat_activity where backend_type = 'walreceiver') as receiving,
       (select wait_event from pg_stat_activity where backend_type = 'startup') as startup,
       pg_last_wal_receive_lsn()::text as received, pg_last_wal_replay_lsn()::text as replayed
"""


def parsed_lsn(text: str | None) -> Lsn | None:
    """Parse a WAL position; None stays None."""
    return None if text is None else Lsn.parse(text)


def has_replayed_all(found: dict[str, Any]) -> bool:
    """Tell whether a standby that receives nothing has replayed every whole record that it has.

    Its startup process waits in RecoveryRetrieveRetryInterval only if neither pg_wal nor a receiver has another record.
    What was received may reach further, into a record whose end never came; no acknowledged commit can be in that.
    Before that wait, even after a restart, WAL may be left to replay.
    """
    return bool(found["receiving"] == 0 and found["startup"] == "RecoveryRetrieveRetryInterval")


def is_reading(found: dict[str, Any]) -> bool:
    """Tell whether a standby that receives nothing is still reading, and may yet find the end of a record.

    It rereads an unfinished record every `wal_retrieve_retry_interval`; during that moment the record looks like WAL
    that is left to replay.
    """
    received, replayed = parsed_lsn(found["received"]), parsed_lsn(found["replayed"])
    unread = received is not None and replayed is not None and received > replayed
    reads = found["startup"] is None or found["startup"].casefold() == "walread"
    return bool(found["receiving"] == 0 and unread and reads)


def receiver_in(found: dict[str, Any] | None) -> Receiver | None:
    """Return the WAL receiver that PostgreSQL tells of, or None."""
    if found is None:
        return None
    return Receiver(
        status=found["status"] or "", upstream=f"{found['host']}:{found['port']}", flushed=parsed_lsn(found["flushed"])
    )
