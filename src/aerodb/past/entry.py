"""The entry points of a version of the rules: functions from texts to texts, so that versions share no type.

This module is copied together with its rules, so each copy keeps the interface of its time: if the interface changes
here, `held` must be able to tell copies of either kind apart. Pure: no I/O, no clock.
"""

from typing import Any

import msgspec

from aerodb.actions import action_named
from aerodb.errors import AeroError
from aerodb.protocol import canonical
from aerodb.protocol.authority import Pledge
from aerodb.protocol.cluster import read_configuration
from aerodb.protocol.plan import Request, Snapshot, Verdict
from aerodb.rules.explain import explain
from aerodb.rules.invariants import RULES
from aerodb.rules.late import judged_late
from aerodb.rules.view import Peer, View

NAME = RULES
"""The name of these rules."""

RulesRefuse = AeroError
"""What every function here raises if these rules refuse; it has a `code` and a `message`."""


class Late(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The verified statements that the target's peers made after the confirmation, by node."""

    peers: dict[str, Peer]


class ViewText(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A view as a text holds it: its configuration may be of any version, and is read by that version's own reader."""

    cluster: dict[str, Any]
    request: Request
    own: Peer
    peers: dict[str, Peer]
    term: int
    pledged: dict[str, Pledge]


class Judged(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The verdicts of a judgement, in the order of the action's invariants."""

    verdicts: tuple[Verdict, ...]


def explained(configuration: str, request: str, snapshot: str) -> str:
    """Return the canonical text of a request's plan, from canonical texts.

    Raises:
        RulesRefuse: these rules cannot read a text, a report does not verify, or they make no plan from it.
    """
    cluster = read_configuration(configuration.encode())
    asked = canonical.decode(request.encode(), Request)
    seen = canonical.decode(snapshot.encode(), Snapshot)
    return canonical.encode(explain(cluster, action_named(asked.action), asked, seen)).decode()


def judged(view: str, late: str) -> str:
    """Return the canonical text of the verdicts on a view; `late` is what the peers said after the confirmation.

    Raises:
        RulesRefuse: these rules cannot read a text.
    """
    seen = canonical.decode(view.encode(), ViewText)
    said = canonical.decode(late.encode(), Late)
    judge = judged_late(action_named(seen.request.action).judge, said.peers)
    cluster = read_configuration(canonical.encode(seen.cluster))
    on = View(
        cluster=cluster, request=seen.request, own=seen.own, peers=seen.peers, term=seen.term, pledged=seen.pledged
    )
    return canonical.encode(Judged(verdicts=judge(on))).decode()
