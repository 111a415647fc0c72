"""Write authority as documents: candidacies, pledges, grants, and an agent's standing.

- A pledge is durable before it is signed, and is never taken back.
- A grant is signed by the primary that it makes, after the fact.
- A WAL position is compared as (term of its last WAL, LSN), in that order.

Pure: no I/O, no clock.
"""

from typing import ClassVar, Literal

import msgspec

from aerodb.past.rules_2.protocol.epoch import EPOCH_FIRST
from aerodb.past.rules_2.protocol.formats import Format
from aerodb.past.rules_2.protocol.lsn import Lsn
from aerodb.past.rules_2.protocol.signed import Signed

NodeRole = Literal["primary", "standby", "witness"]
"""What a node is when it runs."""


class Candidacy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A term and the one node that may become its primary."""

    term: int
    node: str


class Branch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One stretch of a node's history: a timeline, where it began, and the term it began in.

    `term` is None where the node cannot tell: such a history proves nothing.
    """

    timeline: int
    begin: Lsn
    term: int | None


class Owed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far a WAL that a node no longer has may have acknowledged; `term` None is unknown: no WAL reaches that."""

    term: int | None
    lsn: Lsn


class Position(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a node's WAL ends.

    `term` is the term of its last WAL as the WAL itself shows it: what the node may claim as a candidate; None is
    unknown. `bound` is the highest term in which the node may have flushed WAL for a primary that was waiting for it:
    what a candidate must match. The two differ only between the moment a node begins to follow a granted primary and
    the arrival of that term's first row. `owed` is what a WAL that the node discarded may have acknowledged and this
    one does not provably reach: a candidate must reach it too.
    """

    term: int | None
    bound: int | None
    timeline: int
    lsn: Lsn
    owed: Owed | None = None


class PledgeOne(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first version of a pledge: what it says is of the first epoch."""

    FORMAT: ClassVar[Format] = Format(kind="pledge")

    kind: Literal["pledge"] = "pledge"
    cluster: str
    node: str
    term: int
    candidate: str
    position: Position | None
    granted: Candidacy
    since: tuple[Candidacy, ...]
    quorum: int | None


def _lifted_pledge(first: PledgeOne) -> "Pledge":
    """Return version 1 in the words of version 2."""
    said = {name: getattr(first, name) for name in PledgeOne.__struct_fields__}
    return Pledge(**said, epoch=EPOCH_FIRST)


class Pledge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A promise: from now on nothing below `term`, and in `term` only `candidate`.

    `epoch` is that of the configuration which the node had taken when it pledged. `position` is the node's final WAL
    position (None for a witness). `granted` is the highest grant it knows, `since` every candidacy it has pledged above
    that grant, this one included. `quorum` is the weakest k that its WAL shows to have been in force; None is unknown.
    """

    FORMAT: ClassVar[Format] = Format(kind="pledge", version=2, earlier=PledgeOne, lifted=_lifted_pledge)

    kind: Literal["pledge"] = "pledge"
    format: Literal[2] = 2
    cluster: str
    node: str
    epoch: int
    term: int
    candidate: str
    position: Position | None
    granted: Candidacy
    since: tuple[Candidacy, ...]
    quorum: int | None


class GrantOne(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first version of a grant: what it says is of the first epoch."""

    FORMAT: ClassVar[Format] = Format(kind="grant")

    kind: Literal["grant"] = "grant"
    cluster: str
    node: str
    term: int
    begin: Lsn
    lineage: tuple[Branch, ...]
    quorum: int
    pledges: tuple[str, ...]


def _lifted_grant(first: GrantOne) -> "Grant":
    """Return version 1 in the words of version 2."""
    said = {name: getattr(first, name) for name in GrantOne.__struct_fields__}
    return Grant(**said, epoch=EPOCH_FIRST)


class Grant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A primary's statement that it holds `term`, and on which history.

    `epoch` is that of the pledges that it rests on, which `pledges` names by their documents' digests. `lineage` is the
    primary's whole history, oldest first; `begin` is where its authority in this term begins in the WAL.
    """

    FORMAT: ClassVar[Format] = Format(kind="grant", version=2, earlier=GrantOne, lifted=_lifted_grant)

    kind: Literal["grant"] = "grant"
    format: Literal[2] = 2
    cluster: str
    node: str
    epoch: int
    term: int
    begin: Lsn
    lineage: tuple[Branch, ...]
    quorum: int
    pledges: tuple[str, ...]


class Followed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Under which granted term a standby began to follow its upstream, and where its WAL ended then (None: unknown)."""

    term: int
    lsn: Lsn | None


class Standing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one agent has durably promised and been told; the whole of its authority.

    `role` is what the node is when it runs. `upstream` is whom a standby follows; None is detached. `halted` is true
    where a person stopped the node: then it starts only when a person says so. `since` holds the candidacies pledged
    above `granted`, rising. `lineage` is the last history that a grant told this node. `weakened` is true where it was
    seen to serve as a primary under a weaker policy than the configuration's, until nothing of that is left.

    What is remembered of a WAL (`lineage`, `followed`, the position while PostgreSQL is down) is of the WAL in the data
    folder whose identity is `folder` ("": a witness), and of no other. `owed` is what WALs that the node has discarded
    may have acknowledged; it only rises.
    """

    FORMAT: ClassVar[Format] = Format(kind="standing")

    role: NodeRole
    upstream: str | None
    halted: bool
    pledged: Candidacy
    pledge: Signed | None
    granted: Candidacy
    grant: Signed | None
    since: tuple[Candidacy, ...]
    followed: Followed | None
    lineage: tuple[Branch, ...]
    folder: str = ""
    owed: Owed | None = None
    weakened: bool = False
