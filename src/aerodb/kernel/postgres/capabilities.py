"""PostgreSQL's major versions: which ones AeroDB runs, and what only some of them have. One table of each.

- No other code asks for the version: every difference that the agent knows of is a line here.
- A major version that is not in the table is not run: of one that came later nobody knows yet what it changed.

Pure: no I/O, no clock. Source: PostgreSQL's manual and release notes, as each line names them; its sources
(catalog/pg_control.h, access/xlog_internal.h) for the formats.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

from aerodb.kernel.postgres.errors import PostgresUnsupported


@dataclass(frozen=True, kw_only=True)
class MajorVersion:
    """One major version: the formats that it writes, and until when the PostgreSQL project supports it.

    `control_version` is the layout of the control file, `page_magic` the number that begins each page of WAL.
    """

    control_version: int
    page_magic: int
    supported_until: str


MAJORS: Mapping[int, MajorVersion] = MappingProxyType(
    {
        15: MajorVersion(control_version=1300, page_magic=0xD110, supported_until="November 2027"),
        16: MajorVersion(control_version=1300, page_magic=0xD113, supported_until="November 2028"),
        17: MajorVersion(control_version=1700, page_magic=0xD116, supported_until="November 2029"),
        18: MajorVersion(control_version=1800, page_magic=0xD118, supported_until="November 2030"),
    }
)
"""The major versions that AeroDB runs."""
OLDEST, NEWEST = min(MAJORS), max(MAJORS)
BROUGHT = 18
"""The one that the extra `aerodb[local]` brings."""


class Capability(StrEnum):
    """One thing that only some versions have; the value is its name in PostgreSQL's manual."""

    ALLOW_ALTER_SYSTEM = "allow_alter_system"
    EVENT_TRIGGERS = "event_triggers"
    TRANSACTION_TIMEOUT = "transaction_timeout"
    SYNC_REPLICATION_SLOTS = "sync_replication_slots"
    SYNCHRONIZED_STANDBY_SLOTS = "synchronized_standby_slots"
    SLOT_SYNCED = "pg_replication_slots.synced"
    SLOT_INVALIDATION = "pg_replication_slots.invalidation_reason"
    SLOT_CONFLICTS = "pg_stat_database_conflicts.confl_active_logicalslot"
    IDENT_MAPPINGS = "pg_ident_file_mappings.error"
    COPY_SYNC_METHOD = "pg_basebackup --sync-method"
    CHECKSUMS_BY_DEFAULT = "initdb --no-data-checksums"


CapabilityKind = Literal["setting", "column", "option"]


@dataclass(frozen=True, kw_only=True)
class Introduced:
    """One line of the table: the first major version with it, what it is used for, and what happens without it.

    `kind` says what it is; `manual` names the page of PostgreSQL's manual, of the first version with it.
    """

    kind: CapabilityKind
    since: int
    used: str
    without: str
    manual: str


UNUSED = "nothing yet"
"""What is not used yet, and told because people will ask whether it is there."""

TABLE: Mapping[Capability, Introduced] = MappingProxyType(
    {
        Capability.ALLOW_ALTER_SYSTEM: Introduced(
            kind="setting",
            since=17,
            used="ALTER SYSTEM is refused, so that nobody changes by accident what proofs rest on",
            without="what ALTER SYSTEM did is found afterwards, as drift; the setting keeps it from starting",
            manual="runtime-config-compatible",
        ),
        Capability.EVENT_TRIGGERS: Introduced(
            kind="setting",
            since=17,
            used="the agent's own sessions fire no event trigger that somebody left",
            without="a broken event trigger can make the agent's statements that define something fail",
            manual="runtime-config-client",
        ),
        Capability.TRANSACTION_TIMEOUT: Introduced(
            kind="setting",
            since=17,
            used="the agent's own sessions are ended by no time limit that somebody set",
            without="there is no such limit",
            manual="runtime-config-client",
        ),
        Capability.SYNC_REPLICATION_SLOTS: Introduced(
            kind="setting",
            since=17,
            used="plans, status and readiness say of each logical slot whether a standby has it, if a person set it up",
            without="a standby cannot have its primary's logical slots: they are lost with the primary",
            manual="runtime-config-replication",
        ),
        Capability.SYNCHRONIZED_STANDBY_SLOTS: Introduced(
            kind="setting",
            since=17,
            used=UNUSED,
            without="a logical subscriber can be ahead of the standby that is promoted",
            manual="runtime-config-replication",
        ),
        Capability.SLOT_SYNCED: Introduced(
            kind="column",
            since=17,
            used="a plan says which of a standby's slots are copies of its primary's, and which are ready",
            without="no slot on a standby is that of its primary",
            manual="view-pg-replication-slots",
        ),
        Capability.SLOT_INVALIDATION: Introduced(
            kind="column",
            since=17,
            used="a plan says why a copy, or its original, cannot be used any more",
            without="only that a slot has lost its WAL is told (wal_status), which every version says",
            manual="view-pg-replication-slots",
        ),
        Capability.SLOT_CONFLICTS: Introduced(
            kind="column",
            since=16,
            used=UNUSED,
            without="a standby has no logical slots in use, so replay ends none",
            manual="monitoring-stats",
        ),
        Capability.IDENT_MAPPINGS: Introduced(
            kind="column",
            since=15,
            used="a plan to reload finds errors in pg_ident.conf before it is read",
            without="the statement that reads the settings files fails: one reason why 14 is not run",
            manual="view-pg-ident-file-mappings",
        ),
        Capability.COPY_SYNC_METHOD: Introduced(
            kind="option",
            since=17,
            used=UNUSED,
            without="a copy is made durable file by file, as it is on every version",
            manual="app-pgbasebackup",
        ),
        Capability.CHECKSUMS_BY_DEFAULT: Introduced(
            kind="option",
            since=18,
            used="nothing: a new cluster is made with data checksums on every version, which all are told to do",
            without="initdb makes data checksums only if told to",
            manual="app-initdb",
        ),
    }
)
"""Every difference between the versions that the agent knows. All else that it writes or asks, each of them has."""


def refuse_major(major: int, what: str) -> None:
    """Refuse a major version that AeroDB does not run; `what` names the PostgreSQL that is of it.

    Raises:
        PostgresUnsupported: it is not in the table.
    """
    if major not in MAJORS:
        raise PostgresUnsupported(f"{what} is not run: AeroDB runs PostgreSQL {OLDEST} to {NEWEST}", field="postgres")


def has(major: int, capability: Capability) -> bool:
    """Tell whether a major version has `capability`."""
    return major >= TABLE[capability].since


def had(major: int, values: Iterable[tuple[Capability, str]]) -> dict[str, str]:
    """Return, by name, those of the settings that a major version has; PostgreSQL refuses unknown ones."""
    return {str(name): value for name, value in values if has(major, name)}
