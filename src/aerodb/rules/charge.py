"""Whether AeroDB is in charge of a node; of one that it is not, a plan says that alone.

There is no standing, pledge, grant or term there, so nothing else is judged, and nothing is foreseen of what an action
would leave. Pure: no I/O, no clock.
"""

from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import Facts
from aerodb.protocol.plan import Loss, Verdict
from aerodb.protocol.watched import Watched
from aerodb.rules.invariants import Invariant, holds, violated
from aerodb.rules.specification import Action
from aerodb.rules.view import View

UNFORESEEN = Loss(
    claim="cannot be proven",
    statement="Nothing is proven: AeroDB is not in charge of the node.",
    arithmetic=(),
)


def out_of_charge(cluster: Cluster, facts: Facts) -> str:
    """Return why AeroDB is not in charge of the node that reports `facts`; empty if it is."""
    if isinstance(facts.watched, Watched):
        return f"{facts.node} is only watched: its agent has no hands"
    if cluster.watched:
        return f"no term has been founded in {cluster.name}, which is only watched"
    return ""


def in_charge(view: View) -> Verdict:
    """Judge whether AeroDB has taken charge of the target; of a node that is only watched it is asked for nothing."""
    why = out_of_charge(view.cluster, view.own.facts)
    if why:
        return violated(Invariant.IN_CHARGE, why)
    return holds(Invariant.IN_CHARGE, f"AeroDB has taken charge of {view.node}")


def judge_in_charge(action: Action, view: View) -> tuple[Verdict, ...]:
    """Return an action's verdicts; where AeroDB is not in charge of the target, that one alone."""
    if out_of_charge(view.cluster, view.own.facts):
        return (in_charge(view),)
    return action.judge(view)


def loss_in_charge(action: Action, view: View) -> Loss:
    """Return what an action could lose; where AeroDB is not in charge of the target, that nothing is proven."""
    return UNFORESEEN if out_of_charge(view.cluster, view.own.facts) else action.loss(view)


def notes_in_charge(action: Action, view: View) -> tuple[str, ...]:
    """Return an action's notes; where AeroDB is not in charge of the target, none."""
    return () if out_of_charge(view.cluster, view.own.facts) else action.notes(view)
