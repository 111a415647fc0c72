"""What of a running node a successor must have too, or it ends with a switchover: logical slots, and archiving.

Pure: no I/O, no clock.
"""

import msgspec

from aerodb.protocol.lsn import Lsn


class LogicalSlot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A logical replication slot; one that lasts only as long as a session is none, unless it is a copy.

    `failover` tells whether standbys may copy it, `synced` whether it is a standby's copy of its upstream's slot; both
    are false where the version knows neither. `temporary` is true of a copy that is not ready yet, and that a promotion
    drops. `invalid` says why it cannot be used any more (empty: it can). `confirmed` is up to where its reader has
    confirmed the changes.
    """

    name: str
    database: str
    plugin: str
    failover: bool
    synced: bool
    temporary: bool
    invalid: str
    confirmed: Lsn | None


class Carrying(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a running PostgreSQL says of its logical slots, of the WAL that slots may keep, and of archiving.

    `copies` tells whether its version can copy an upstream's logical slots at all. `slots_keep_bytes_max` is how much
    WAL each slot may keep (None: without a bound). `archive_mode` is off, on or always; `archives_by` is the setting
    that says by what: archive_command, archive_library, or none (empty) where archiving is on and neither is set.
    `asks_slot` is the physical slot of its upstream that a receiver asks for (empty: none).
    """

    copies: bool
    logical: tuple[LogicalSlot, ...]
    slots_keep_bytes_max: int | None
    archive_mode: str
    archives_by: str
    asks_slot: str = ""
