"""The control file's fields, as pg_controldata prints them. Pure; `reading` reads them.

- "Latest checkpoint location" is the START of the checkpoint's record; see `waldump.shutdown_end`.
- Of one that runs, the timeline is stale after a promotion; only what never goes stale is read: segments, `least`.
"""

import msgspec

from aerodb.kernel.postgres.errors import WalUnreadable
from aerodb.kernel.postgres.lsns import printed_lsn
from aerodb.protocol.lsn import Lsn

SHUT_DOWN = "shut down"
SHUT_DOWN_IN_RECOVERY = "shut down in recovery"
IN_PRODUCTION = "in production"
LEAST = {
    "max_connections": "max_connections setting",
    "max_worker_processes": "max_worker_processes setting",
    "max_wal_senders": "max_wal_senders setting",
    "max_prepared_transactions": "max_prepared_xacts setting",
    "max_locks_per_transaction": "max_locks_per_xact setting",
}
"""The settings that a standby must have at least as high as its primary had them, and how the control file calls them.

Source: PostgreSQL manual 26.4.3.
"""


class ControlFile(msgspec.Struct, frozen=True, kw_only=True):
    """The control file's fields that matter here.

    `least` is what the WAL says of the primary's settings: a standby with less neither replays on nor starts.
    """

    system: str
    state: str
    pg_checkpoint: Lsn
    redo: Lsn
    timeline: int
    previous_timeline: int
    recovery_end: Lsn
    recovery_end_timeline: int
    segment_bytes: int
    checksums: bool
    log_hints: bool
    least: dict[str, int]

    @property
    def clean(self) -> bool:
        """Tell whether PostgreSQL was shut down cleanly, as a primary or in recovery."""
        return self.state in {SHUT_DOWN, SHUT_DOWN_IN_RECOVERY}


def parse_control_file(text: str) -> ControlFile:
    """Parse what pg_controldata printed under LC_ALL=C.

    Raises:
        WalUnreadable: a field is missing or malformed.
    """
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            fields[name.strip()] = value.strip()
    try:
        return ControlFile(
            system=str(int(fields["Database system identifier"])),
            state=fields["Database cluster state"],
            pg_checkpoint=printed_lsn(fields["Latest checkpoint location"]),
            redo=printed_lsn(fields["Latest checkpoint's REDO location"]),
            timeline=int(fields["Latest checkpoint's TimeLineID"]),
            previous_timeline=int(fields["Latest checkpoint's PrevTimeLineID"]),
            recovery_end=printed_lsn(fields["Minimum recovery ending location"]),
            recovery_end_timeline=int(fields["Min recovery ending loc's timeline"]),
            segment_bytes=int(fields["Bytes per WAL segment"]),
            checksums=fields["Data page checksum version"] != "0",
            log_hints=fields["wal_log_hints setting"] == "on",
            least={name: int(fields[label]) for name, label in LEAST.items()},
        )
    except (KeyError, ValueError) as error:
        raise WalUnreadable(f"the control file's {error} cannot be read") from error
