"""By which rules a node judges a plan: by those that the plan names, and by its own as well.

- A plan by the rules before the node's own is what they make it: its verdicts are compared with theirs. So a node works
  with a control plane and with peers of the release before.
- It must hold by the node's own rules, too. Whoever chooses the rules of a plan, or asks peers in earlier words, can
  so have a plan refused that would have held; never one accepted that the newest rules refuse.
- By its own rules a node sees all of its own facts; of peers that spoke in earlier words, what those words can say.

Pure: no I/O, no clock.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from aerodb.actions import action_named
from aerodb.past import held
from aerodb.past.entry import Judged
from aerodb.past.speaking import late_in, view_in
from aerodb.protocol import canonical
from aerodb.protocol.plan import Plan, Result, Verdict
from aerodb.rules.invariants import RULES
from aerodb.rules.late import Judge, judged_late
from aerodb.rules.view import Peer, View


def judge_of(plan: Plan, late: dict[str, Peer]) -> Judge:
    """Return what judges a plan, on a view and on what the peers said `late`.

    It raises PastRefused where the plan's rules cannot judge that.
    """
    judge = action_named(plan.request.action).judge
    if plan.rules == RULES:
        return judged_late(judge, late)
    now = judged_late(judge, _in_own_name(plan.rules, late))

    def both(view: View) -> tuple[Verdict, ...]:
        own = replace(view, peers=_in_own_name(plan.rules, view.peers))
        return stricter(_then(plan.rules, view, late), now(own))

    return both


def _then(rules: str, view: View, late: Mapping[str, Peer]) -> tuple[Verdict, ...]:
    """Return the verdicts of earlier rules, which are asked in texts."""
    text = held.judged(rules, view_in(rules, view), late_in(rules, late))
    return canonical.decode(text.encode(), Judged).verdicts


def _in_own_name(rules: str, peers: Mapping[str, Peer]) -> dict[str, Peer]:
    """Return peers who spoke by a plan's rules as if they had named the node's own: that they differ is known."""
    return {
        name: replace(peer, facts=replace(peer.facts, rules=RULES)) if peer.facts.rules == rules else peer
        for name, peer in peers.items()
    }


def stricter(then: tuple[Verdict, ...], now: tuple[Verdict, ...]) -> tuple[Verdict, ...]:
    """Return the plan's rules' verdicts, and in place of one that holds, or beside them, what the own rules refuse."""
    refused = {each.invariant: each for each in now if each.result is not Result.HOLDS}
    found = [_refused(refused, each) if each.result is Result.HOLDS else each for each in then]
    known = {each.invariant for each in then}
    return (*found, *(_by_own(each) for name, each in refused.items() if name not in known))


def _refused(refused: Mapping[str, Verdict], verdict: Verdict) -> Verdict:
    own = refused.get(verdict.invariant)
    return verdict if own is None else _by_own(own)


def _by_own(verdict: Verdict) -> Verdict:
    return replace(verdict, evidence=f"by this node's own {RULES}: {verdict.evidence}")
