"""start: a node that is down starts in the standing it had, and no other."""

from msgspec.structs import replace

from aerodb.protocol.authority import Standing
from aerodb.protocol.classes import ActionClass
from aerodb.protocol.cluster import Role
from aerodb.protocol.facts import Facts, State
from aerodb.protocol.plan import Plan, Verdict
from aerodb.rules.charge import in_charge
from aerodb.rules.condition import (
    configuration_agrees,
    journal_settled,
    policy_known,
    receiver_known,
    role_fits,
    running_fits,
)
from aerodb.rules.foreseen import with_standing
from aerodb.rules.foresight import started
from aerodb.rules.hands import Hands
from aerodb.rules.invariants import Invariant, holds, violated
from aerodb.rules.position import is_of
from aerodb.rules.promises import authority_stands
from aerodb.rules.reach import PUT_BACK, WHY_PUT_BACK
from aerodb.rules.specification import NOT_CROSSED, Action, Established, Failure, Order, no_loss, no_term
from aerodb.rules.standing import detached
from aerodb.rules.streaming import strayed, unproven
from aerodb.rules.view import Peer, View


def no_higher_grant(view: View) -> Verdict:
    """Judge, for a primary, whether a majority states that it has promised nobody else a higher term."""
    role = view.own.facts.standing.role
    if role != "primary":
        return holds(Invariant.NO_HIGHER_GRANT, f"{view.node} starts as a {role}, which holds no authority")
    standings = {name: peer.facts.standing for name, peer in view.everyone().items()}
    return authority_stands(view.cluster, view.node, standings)


def detaches(view: View) -> str:
    """Return why a standby that names an upstream starts detached; empty where it may stream from it, or names none."""
    upstream = view.own.facts.standing.upstream
    return unproven(view, upstream) if upstream is not None else ""


def notes(view: View) -> tuple[str, ...]:
    """Say where a standby will stream from nobody, and why."""
    why, upstream = detaches(view), view.own.facts.standing.upstream
    if not why:
        return ()
    return (
        f"{view.node} starts DETACHED, and streams from nobody: it is not proven that it may stream from {upstream} "
        f"({why}). Let it follow by a request of its own, once it runs.",
    )


def starts_as_it_stands(view: View) -> Verdict:
    """Judge whether the data folder would start as what the node stands as."""
    judged = role_fits(view, "primary", "standby")
    instance = view.own.facts.instance
    if judged.result != "holds" or instance is None:
        return judged
    if strayed(view.own, view.cluster):
        return violated(
            Invariant.ROLE_FITS,
            f"{view.node} stands as a standby, and its folder was out of recovery beyond what it has noted; reclone it",
        )
    if view.own.facts.standing.role == "standby":
        return judged
    if not is_of(view.own.facts.standing, instance.identity):
        other = "the data folder in use is not the one that its standing is of"
        why = WHY_PUT_BACK if instance.identity == PUT_BACK else other
        return violated(Invariant.ROLE_FITS, f"{view.node} stands as a primary; {why}")
    if instance.recovery is not False:
        return violated(Invariant.ROLE_FITS, f"{view.node} stands as a primary; its folder would start as a standby")
    return judged


def starts_under_its_policy(view: View) -> Verdict:
    """Judge, for a primary, whether what its commits would wait for is as configured."""
    if view.own.facts.standing.role == "primary":
        return policy_known(view)
    return holds(Invariant.POLICY_KNOWN, f"{view.node} starts as a standby, and acknowledges nothing of its own")


def starts_from_its_upstream(view: View) -> Verdict:
    """Judge, for a standby, whether it would receive from nowhere but where its agent wrote."""
    if view.own.facts.standing.role == "standby":
        return receiver_known(view)
    return holds(Invariant.RECEIVER_KNOWN, f"{view.node} starts as a primary, and receives nothing")


def judge(view: View) -> tuple[Verdict, ...]:
    """Judge whether the target may start in its standing."""
    return (
        in_charge(view),
        configuration_agrees(view, elects=True),
        journal_settled(view, past=True),
        starts_as_it_stands(view),
        starts_under_its_policy(view),
        starts_from_its_upstream(view),
        running_fits(view, State.STOPPED, State.CRASHED),
        no_higher_grant(view),
    )


def leaves(view: View, peer: Peer) -> Peer:
    """Return the node as one that runs."""
    return with_standing(peer, replace(view.own.facts.standing, halted=False))


def settle(hands: Hands, plan: Plan) -> Standing:
    """Return the standing of a node that runs."""
    del plan
    return replace(hands.standing(), halted=False)


def operate(hands: Hands, order: Order) -> tuple[str, ...]:
    """Start PostgreSQL in its standing (the commit point: it accepts connections).

    The settings of a standby are written anew: they name its upstream only where it is proven that it may stream so.
    """
    if hands.standing().role == "standby":
        settle_upstream(hands, order)
    hands.cross(order.plan.request.id)
    return (brought_up(hands, order),)


def brought_up(hands: Hands, order: Order) -> str:
    """Start PostgreSQL in its standing, which says from then on that it runs; return as what it does."""
    hands.process.start()
    standing = settle(hands, order.plan)
    hands.write_standing(standing)
    whom = f", and follows {standing.upstream}" if standing.upstream else ""
    detached_now = ", detached" if standing.role == "standby" and not standing.upstream else ""
    return f"PostgreSQL on {order.view.node} runs as a {standing.role}{whom}{detached_now}"


def settle_upstream(hands: Hands, order: Order) -> None:
    """Make settings and standing of a standby that is down name its upstream, or nobody where that is not proven."""
    upstream = hands.standing().upstream
    if upstream is not None and any(detaches(view) for view in order.views):
        hands.write_standing(detached(hands.standing()))
        upstream = None
    if upstream is None:
        hands.replication.detach()
    else:
        hands.replication.attach(upstream)


def established(plan: Plan, before: Facts, now: Facts, crossed: bool) -> Established:
    """Tell from the process whether PostgreSQL runs."""
    del plan, before
    if not crossed:
        return NOT_CROSSED
    if now.instance is None or now.instance.state is State.UNREACHABLE:
        return Established(
            result="unknown",
            evidence="PostgreSQL has a process that does not answer yet; ask again, or stop the node",
        )
    if now.instance.state is State.RUNNING:
        return Established(result="executed", evidence="PostgreSQL runs")
    return Established(
        result="unknown",
        final=True,
        evidence=f"PostgreSQL is {now.instance.state}, and will not start any more; whether it accepted connections in "
        "between cannot be told",
    )


ACTION = Action(
    name="start",
    title="Start {node} in its standing",
    summary="A node that is down starts in the standing it had, and no other.",
    target="node that is down",
    arguments=(),
    authority=Role.OPERATOR,
    of_class=ActionClass.RUNNING,
    invariants=(
        Invariant.IN_CHARGE,
        Invariant.CONFIGURATION_AGREES,
        Invariant.JOURNAL_SETTLED,
        Invariant.ROLE_FITS,
        Invariant.POLICY_KNOWN,
        Invariant.RECEIVER_KNOWN,
        Invariant.RUNNING_FITS,
        Invariant.NO_HIGHER_GRANT,
    ),
    effects=(
        "PostgreSQL on {node} starts, with crash recovery where it needs it.",
        "A primary takes writes again in the term it holds. A standby streams from the upstream it had where that is "
        "proven, as for follow; else it starts detached, and the notes say why.",
        "From now on a standby starts together with its host, where the agent's configuration says so.",
    ),
    irreversible=(),
    notes=notes,
    loss=no_loss,
    commit_point="PostgreSQL on {node} accepts connections.",
    failures=(
        Failure(
            when="PostgreSQL refuses to start.",
            leaves="Not executed. Its server log says why; the error repeats the end of it.",
            then="Mend the cause, then request start anew.",
        ),
        Failure(
            when="The agent dies while PostgreSQL starts.",
            leaves="Executed, if PostgreSQL comes up; it does so by itself.",
            then="Ask for the outcome.",
        ),
    ),
    outage="Ends the outage where the node is the primary.",
    term=no_term,
    judge=judge,
    operate=operate,
    established=established,
    settle=settle,
    writes=started,
    leaves=leaves,
)
