"""A later version of the configuration with everything that proves it: to be carried, and verified anywhere.

Pure: no I/O, no clock.
"""

from typing import Literal

import msgspec

from aerodb.protocol.plan import Second


class Envelope(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One version: its exact text, and the request by which it was made.

    `plan` is the exact text of the plan, `signature` the requester's confirmation of it, `second` the second person's
    where one was due, `record` the exact text of that confirmation's record, and `proof` its inclusion proof. `outcome`
    is the exact text of the record of what the node signed that took it, and `outcome_proof` its inclusion proof; both
    are empty where that is not on record.
    """

    kind: Literal["configuration"] = "configuration"
    document: str
    plan: str
    signature: str
    record: str
    proof: str
    outcome: str
    outcome_proof: str
    second: Second | None = None


class Configurations(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The chain of configurations: version 1 by its digest alone, and every later one in its envelope, in order.

    What the envelopes prove is computed from the version 1 that the reader holds.
    """

    founding: str
    envelopes: tuple[Envelope, ...]
