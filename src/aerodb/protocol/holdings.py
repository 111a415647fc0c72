"""What one node holds of the audit log, as it signs it: what it saw, what it gave up, which requests it knows.

A log that went back is held against it: what is not in the log any more, a node may still have. Pure: no I/O, no clock.
"""

from typing import ClassVar, Literal

import msgspec

from aerodb.errors import AeroError
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.formats import Format, MadeLater
from aerodb.protocol.signed import Signed, open_signed


class HoldingsForged(AeroError):
    """What a node is said to hold is not what it signed for this asking."""

    code = "transport.holdings-forged"
    status = 502
    title = "What a node holds cannot be verified"


class GivenUp(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A log that a node saw and gave up: its newest checkpoint, as the log signed it, and the request that named it."""

    request: str
    checkpoint: str


class Holdings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a node holds, for one asking: `nonce` is as in a report.

    `checkpoints` are those of the log that it saw, the newest first: all of the last ones, and fewer of those before;
    each is a beginning of the one before it. `requests` are the ids in its journal, each used for ever.
    """

    FORMAT: ClassVar[Format] = Format(kind="holdings")

    kind: Literal["holdings"] = "holdings"
    cluster: str
    node: str
    nonce: str
    checkpoints: tuple[str, ...]
    given_up: tuple[GivenUp, ...]
    requests: tuple[str, ...]


class HeldRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One request in a node's journal: the plan's exact text where it was begun, and its last signed outcome."""

    request: str
    plan: str
    outcome: Signed | None


def open_holdings(cluster: Cluster, node: str, signed: Signed, nonce: str) -> Holdings:
    """Return what `node` holds, as it signed it for `nonce`.

    Raises:
        HoldingsForged: it did not.
        MadeLater: it did, in a later version's words.
    """
    try:
        found = open_signed(signed, Holdings, cluster.member(node).public_key)
    except MadeLater:
        raise
    except AeroError as error:
        raise HoldingsForged(f"what {node} holds cannot be verified: {error.message}") from error
    if (found.cluster, found.node, found.nonce) != (cluster.id, node, nonce):
        raise HoldingsForged(f"what {node} is said to hold is of {found.node}, or was said to somebody else")
    return found
