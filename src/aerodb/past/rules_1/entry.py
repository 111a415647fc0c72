"""What a version of the rules is asked: functions from texts to texts, so that versions share no type.

This module is copied with the rules that it asks, so what it promises stands for as long as any copy is kept: a change
here is one that `held` must be able to tell. Pure: no I/O, no clock.
"""

import msgspec

from aerodb.past.rules_1.actions import action_named
from aerodb.past.rules_1.errors import AeroError
from aerodb.past.rules_1.protocol import canonical
from aerodb.past.rules_1.protocol.cluster import Cluster
from aerodb.past.rules_1.protocol.plan import Request, Snapshot, Verdict
from aerodb.past.rules_1.rules.explain import explain
from aerodb.past.rules_1.rules.invariants import RULES
from aerodb.past.rules_1.rules.late import judged_late
from aerodb.past.rules_1.rules.view import Peer, View

NAME = RULES
"""Which rules these are."""

RulesRefuse = AeroError
"""What every function here raises where these rules refuse; it has a `code` and a `message`."""


class Late(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a target's peers said after the confirmation, verified, by node."""

    peers: dict[str, Peer]


class Judged(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The verdicts of a judgement, in the order of the action's invariants."""

    verdicts: tuple[Verdict, ...]


def explained(configuration: str, request: str, snapshot: str) -> str:
    """Return the canonical text of the plan of a request, from the canonical texts of what it is made from.

    Raises:
        RulesRefuse: a text is none of these rules', a report is not what it says, or there is no plan of it.
    """
    cluster = canonical.decode(configuration.encode(), Cluster)
    asked = canonical.decode(request.encode(), Request)
    seen = canonical.decode(snapshot.encode(), Snapshot)
    return canonical.encode(explain(cluster, action_named(asked.action), asked, seen)).decode()


def judged(view: str, late: str) -> str:
    """Return the canonical text of the verdicts on a view; `late` is what the peers said after the confirmation.

    Raises:
        RulesRefuse: a text is none of these rules'.
    """
    seen = canonical.decode(view.encode(), View)
    said = canonical.decode(late.encode(), Late)
    judge = judged_late(action_named(seen.request.action).judge, said.peers)
    return canonical.encode(Judged(verdicts=judge(seen))).decode()
