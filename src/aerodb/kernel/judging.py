"""Chooses the rules by which a node judges a plan: those that the plan names, and the node's own as well.

- A plan made by the previous rules is judged by the previous rules, and the verdicts are compared. So a node works with
  a control plane and with peers of the previous release.
- It must hold by the node's own rules too. So naming older rules, or asking peers in an older format, can get a good
  plan refused, but never get a plan accepted that the newest rules refuse.
- Judging by its own rules, a node sees all of its own facts, but of a peer that reported in an older format only what
  that format can say.

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
    """Return a function that judges a plan on a view and on the peers' `late` reports.

    It raises PastRefused if the plan's rules cannot judge them.
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
    """Return the verdicts of earlier rules, which take and return text."""
    text = held.judged(rules, view_in(rules, view), late_in(rules, late))
    return canonical.decode(text.encode(), Judged).verdicts


def _in_own_name(rules: str, peers: Mapping[str, Peer]) -> dict[str, Peer]:
    """Relabel reports made by the plan's rules as made by the node's own; that the two differ is known here."""
    return {
        name: replace(peer, facts=replace(peer.facts, rules=RULES)) if peer.facts.rules == rules else peer
        for name, peer in peers.items()
    }


def stricter(then: tuple[Verdict, ...], now: tuple[Verdict, ...]) -> tuple[Verdict, ...]:
    """Return the verdicts by the plan's rules, with each refusal by the node's own rules put in place or added."""
    refused = {each.invariant: each for each in now if each.result is not Result.HOLDS}
    found = [_refused(refused, each) if each.result is Result.HOLDS else each for each in then]
    known = {each.invariant for each in then}
    return (*found, *(_by_own(each) for name, each in refused.items() if name not in known))


def _refused(refused: Mapping[str, Verdict], verdict: Verdict) -> Verdict:
    own = refused.get(verdict.invariant)
    return verdict if own is None else _by_own(own)


def _by_own(verdict: Verdict) -> Verdict:
    return replace(verdict, evidence=f"by this node's own {RULES}: {verdict.evidence}")
