"""Steps that operations share: judging again once a position is final, pledging, taking a grant.

Each works through the hands that it is given. Pure: no I/O of its own, no clock.
"""

from msgspec.structs import replace

from aerodb.errors import AeroError
from aerodb.protocol.authority import Candidacy, Grant, Standing
from aerodb.protocol.facts import Facts, State
from aerodb.protocol.plan import Plan, Result, Verdict
from aerodb.rules.election import prospective_pledge
from aerodb.rules.hands import Hands
from aerodb.rules.specification import SILENT, Action, Established, Order
from aerodb.rules.standing import granted, promised, trimmed
from aerodb.rules.view import View, peer_of


class Changed(AeroError):
    """Once the node's position was final, its state was not the one that the plan was made from."""

    code = "kernel.state-changed"
    status = 409
    title = "The state has changed since the plan was made"


def learned(standing: Standing, view: View) -> Standing:
    """Return the standing with the newest grant that the peers' reports prove, if the target may be told of it.

    Told are a witness, a detached standby, and a standby whose own WAL shows that it was carried into the term. A
    standby that still streams from another node is not: that would be a promise that its receiver does not keep. A
    node that stands as a primary is not either: its own grant gives the term of its WAL. The grant's history is taken
    only if it is exactly that of the node's own WAL.
    """
    shown = [(peer.grant, peer.facts.standing.grant) for peer in view.peers.values()]
    grant, signed = max(shown, key=lambda each: each[0].term if each[0] else 0, default=(None, None))
    if grant is None or signed is None or grant.term <= standing.granted.term or standing.role == "primary":
        return standing
    instance = view.own.facts.instance
    term = instance.position.term if instance and instance.position else None
    carried = term is not None and term >= grant.term
    if standing.role == "standby" and standing.upstream is not None and not carried:
        return standing
    told = granted(standing, grant, signed, own=False)
    same = instance is not None and instance.lineage == grant.lineage
    return told if same else replace(told, lineage=standing.lineage)


def carry_out(action: Action, hands: Hands, order: Order) -> tuple[str, ...]:
    """Tell the target which grants its peers' reports prove, then run the operation; return its evidence."""
    before = hands.standing()
    after = before
    for view in order.views:
        after = learned(after, view)
    if after != before:
        hands.write_standing(after)
    return action.operate(hands, order)


def judge_again(hands: Hands, order: Order) -> View:
    """Return the order's view with the node's facts as they are now.

    Raises:
        Changed: a verdict no longer holds.
    """
    view = replace(order.view, own=peer_of(order.view.cluster, hands.look()))
    refuse_unless_held(order.judge(view))
    return view


def refuse_another_process(before: View, now: View) -> None:
    """Refuse if PostgreSQL was started anew since `before`: what becomes of an operation is told by which one it was.

    Raises:
        Changed: so it was.
    """
    old, new = before.own.facts.instance, now.own.facts.instance
    if old is not None and new is not None and old.started != new.started:
        raise Changed(f"PostgreSQL was started anew, at {new.started}")


def refuse_unless_held(verdicts: tuple[Verdict, ...]) -> None:
    """Refuse if a verdict does not hold.

    Raises:
        Changed: naming the invariants.
    """
    failed = [verdict for verdict in verdicts if verdict.result is not Result.HOLDS]
    if failed:
        raise Changed(
            "; ".join(verdict.evidence for verdict in failed),
            invariants=tuple(verdict.invariant for verdict in failed),
        )


REPLACED = Established(
    result="unknown",
    final=True,
    evidence="the data folder in which it would have happened was replaced since: it cannot happen any more, and "
    "whether it had happened there cannot be told",
)
"""What is established of an operation on a WAL that was replaced afterwards."""


def is_replaced(before: Facts, now: Facts) -> bool:
    """Tell whether the node uses another data folder than before the operation."""
    old, new = before.instance, now.instance
    return old is not None and new is not None and "" not in {old.folder, new.folder} and old.folder != new.folder


def not_shut_down(before: Facts, now: Facts) -> Established:
    """Establish whether a requested shutdown that has not ended cleanly can still happen.

    It cannot if no process is left, or if the very process that was told to shut down has no pending signal to do so.
    """
    old, new = before.instance, now.instance
    if old is None or new is None:
        return SILENT
    if new.state is State.CRASHED:
        return Established(result="not executed", evidence="PostgreSQL is crashed, not shut down cleanly")
    if new.state is not State.RUNNING:
        return SILENT
    if new.stopping:
        return Established(
            result="unknown", evidence="PostgreSQL shuts down, or is about to; ask again when it is down"
        )
    if new.started is None or new.started != old.started:
        return Established(
            result="unknown",
            evidence="the PostgreSQL that was told to shut down is gone, and another runs: whether it went cleanly "
            "cannot be told; stop the node, then ask again",
        )
    return Established(result="not executed", evidence=f"PostgreSQL runs since {new.started}, and does not shut down")


def pledge_with(hands: Hands, view: View, candidacy: Candidacy, standing: Standing, rules: str) -> Standing:
    """Return `standing` with `candidacy` promised and the signed pledge; writing that durably makes the pledge.

    The pledge is signed in the format of `rules`, the plan's.
    """
    pledge = hands.sign(prospective_pledge(view, candidacy), rules)
    return replace(promised(own_history(view, standing), candidacy), pledge=pledge)


def own_history(view: View, standing: Standing) -> Standing:
    """Return `standing` without branches that the target's WAL does not have now."""
    instance = view.own.facts.instance
    return trimmed(standing, instance.lineage if instance else ())


def take_grant(hands: Hands, plan: Plan, *, begins: bool = False) -> Standing:
    """Return the standing of the target as the primary of the plan's term, with its signed grant.

    `begins` says that its last timeline began with this term.

    If it has promised a higher term since, as it can while it is down, it learns of its grant but is not a primary.
    """
    facts, standing = hands.look(), hands.standing()
    instance = facts.instance
    lineage = instance.lineage if instance else standing.lineage
    if lineage and (begins or lineage[-1].term is None):
        lineage = (*lineage[:-1], replace(lineage[-1], term=plan.term))
    grant = Grant(
        cluster=plan.cluster,
        node=plan.request.target,
        epoch=facts.epoch,
        term=plan.term,
        begin=lineage[-1].begin,
        lineage=lineage,
        quorum=(instance.quorum if instance else None) or 0,
        pledges=tuple(sorted(plan.reports.values())),
    )
    return granted(standing, grant, hands.sign(grant, plan.rules), own=standing.pledged.term <= plan.term)
