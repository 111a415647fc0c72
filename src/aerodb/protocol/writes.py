"""Whether commits can be acknowledged, as one answer that every interface begins with.

Pure: no I/O, no clock.
"""

from typing import Literal

import msgspec


class Writes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether commits can be acknowledged now, by whom, and how many more losses that survives; or why not.

    `acknowledged` is yes, no or unknown. `node` is the holder of the newest grant that anyone who reports knows (empty:
    nobody knows one), or of one that a silent node may hold, and `term` the newest known grant's term; `serves` says
    whether it is seen to run as the primary. `needed` is how many standbys must flush a commit, `standbys` are those
    whose flushes count (of a primary that cannot be seen: who could flush for it), and `survives` how many more of them
    can be lost before commits wait. `headline` is the answer in a few words, `details` the sentences that say why.
    """

    acknowledged: Literal["yes", "no", "unknown"]
    node: str
    term: int
    serves: bool
    needed: int
    standbys: tuple[str, ...]
    survives: int
    headline: str
    details: tuple[str, ...] = ()
