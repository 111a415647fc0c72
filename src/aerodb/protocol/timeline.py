"""The timeline as the API gives it: what every node saw change, and every record of the log, in one order.

Pure: no I/O, no clock.
"""

from typing import Literal

import msgspec

from aerodb.protocol.lags import StandbyLag
from aerodb.protocol.lsn import Lsn

Certainty = Literal["start", "after", "uncertain"]


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry. `source` is "log" or the node that saw it; `sequence` is the source's own, and orders within it.

    `order` says how it stands to the entry before it: certainly after it, or after it only because one of the two must
    be shown first. `what` is the record's event or the kind of transition, `subject` what it was of, `before` and
    `after` its values; for a gap, the sequences between which nothing is known. `term` and `lsn` are the WAL position
    that the source knew then (None: unknown). `at` is shown and never trusted. `request`, `plan` and `snapshot` lead to
    the decision, and to the cluster as of then.
    """

    source: str
    sequence: int
    kind: Literal["record", "event", "gap"]
    order: Certainty
    what: str
    node: str
    subject: str = ""
    before: str = ""
    after: str = ""
    term: int | None = None
    lsn: Lsn | None = None
    at: str = ""
    clock: str = ""
    request: str = ""
    operator: str = ""
    action: str = ""
    code: str = ""
    plan: str = ""
    snapshot: str = ""


class Lag(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sample of the standbys' lag, by the agent of `source`, in the entries' order: so many of them come before it.

    What it says is as in `LagSample`.
    """

    source: str
    after: int
    looks: int
    missed: int
    term: int | None
    lsn: Lsn | None
    at: str
    standbys: tuple[StandbyLag, ...]


class Timeline(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The entries and the samples of lag in their order; `missing` says of each node that gave no events why.

    `redacted` names each text that was taken out, by its source, its sequence and its field.
    """

    cluster: str
    cluster_name: str
    entries: tuple[Entry, ...]
    missing: dict[str, str]
    log_size: int
    redacted: tuple[str, ...] = ()
    lags: tuple[Lag, ...] = ()
