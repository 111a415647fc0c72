"""No procedure offers a line that the real rules reject on what its earlier lines leave: every procedure, every naming.

In every state on file whose reports agree with one another, each line is carried out by its own operation, and the next
is judged by the real rules on what that has left.
"""

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest

from aerodb.actions import catalogue
from aerodb.errors import AeroError
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import Facts, Instance, State
from aerodb.protocol.plan import Plan, Result, Verdict
from aerodb.protocol.procedure import ProcedureStep
from aerodb.rules.explain import explain, failed
from aerodb.rules.invariants import Invariant
from aerodb.rules.operation import carry_out
from aerodb.rules.procedures import KINDS, ProcedureGiven, ProcedureKind
from aerodb.rules.specification import Order
from aerodb.rules.ways import Step, Way
from aerodb.rules.writes import denied, parted
from tests.unit.rules.doing import hands_in, streamed
from tests.unit.rules.plans import states
from tests.unit.rules.scenes import CLUSTER, Scene, request_for, snapshot_of, view_for
from tests.unit.views.test_laying import laid

KNOWN = (State.RUNNING, State.STOPPED, State.CRASHED)


def _whole(facts: Facts, own: Instance) -> bool:
    """Tell whether a node's report contradicts nothing in itself: nobody's PostgreSQL is otherwise than it stands."""
    known = own.position is not None and own.position.term is not None and own.lineage and own.recovery is not None
    runs_otherwise = own.state is State.RUNNING and own.recovery is (facts.standing.role == "primary")
    return bool(known) and own.state in KNOWN and not runs_otherwise and own.attached == facts.standing.upstream


def _streams_as_said(scene: Scene, facts: Facts, own: Instance) -> bool:
    """Tell whether a node and its upstream say the same of whether it streams."""
    above = scene.get(own.attached) if own.attached else None
    running = above.instance if above and above.instance and above.instance.state is State.RUNNING else None
    if running is None or own.attached is None:
        return own.receiver is None
    if own.state is not State.RUNNING:
        return True
    sends = facts.node in [each.node for each in running.senders]
    return sends and not denied(facts, own.attached) and not parted(facts, running)


def _agrees(scene: Scene, facts: Facts) -> bool:
    own = facts.instance
    if own is None:
        return facts.standing.role == "witness"
    refuted = any(each.node in scene and denied(scene[each.node], facts.node) for each in own.senders)
    return _whole(facts, own) and _streams_as_said(scene, facts, own) and not refuted


def agrees(scene: Scene) -> bool:
    """Tell whether the nodes' reports agree, so that what they go on to do can be played."""
    return all(_agrees(scene, facts) for facts in scene.values())


def ways(kind: ProcedureKind, cluster: Cluster, scene: Scene) -> Iterator[Way]:
    """Yield the orders of a procedure that fits, for every naming of nodes, each once.

    What is signed ahead is judged as its own plan is, before its turn: `test_laying` and `test_foresight` hold that.
    """
    seen = set[tuple[Step, ...]]()
    for named in itertools.permutations(cluster.data_nodes, len(kind.parts)):
        parts = dict(zip((part.name for part in kind.parts), named, strict=True))
        try:
            found = kind.ways(ProcedureGiven(cluster=cluster, facts=scene, named=parts))
        except AeroError:
            continue
        yield from (way for way in found if way.steps not in seen and way.form != "ahead")
        seen |= {way.steps for way in found}


def done(scene: Scene, cluster: Cluster, step: Step) -> tuple[Scene | None, Plan]:
    """Return the plan of a request for a line, and the scene once it was carried out; None if it was rejected."""
    action = catalogue()[step.action]
    request = request_for(action, step.target, step.arguments)
    plan = explain(cluster, action, request, snapshot_of(scene, cluster))
    if not plan.accepted:
        return None, plan
    hands = hands_in(scene, step.target)
    carry_out(action, hands, Order(plan=plan, view=view_for(request, scene, cluster), judge=action.judge))
    return streamed({**scene, step.target: hands.facts}), plan


LSN = re.compile(r"\b[0-9A-F]+/[0-9A-F]+\b")


def words(verdicts: Sequence[Verdict]) -> list[tuple[str, Result, str]]:
    """Return what is said of each invariant, but for where WAL ends: what is written meanwhile moves that."""
    return [(each.invariant, each.result, LSN.sub("LSN", each.evidence)) for each in verdicts]


def held(scene: Scene, cluster: Cluster, way: Way) -> Iterator[tuple[ProcedureStep, Plan]]:
    """Yield each line that is foreseen, and what the real rules then make of a request for it."""
    order, now = laid(scene, cluster, way), streamed(scene)
    for line, step in zip(order.steps, way.steps, strict=True):
        if step.target not in now:
            return
        after, plan = done(now, cluster, step)
        if line.state == "foreseen" and line.accepted is not None:
            yield line, plan
        if after is None:
            return
        now = after


LEAST = {"switchover": (500, 50), "failover": (500, 50), "give-up-election": (5, 1), "maintenance": (500, 10)}
"""How many lines at least are foreseen to be accepted, and to be rejected: else nothing is shown here."""


def test_each_procedure_of_more_than_one_line_is_held() -> None:
    """A return is one line, which is judged as it is now."""
    assert set(KINDS) - set(LEAST) == {"return"}
    scene = next(scene for state, _, scene, _ in states() if state == "switched")
    returns = list(ways(KINDS["return"], CLUSTER, scene))
    assert returns
    assert {len(way.steps) for way in returns} == {1}


@pytest.mark.parametrize("kind", LEAST)
def test_no_line_is_offered_that_is_then_rejected(kind: str) -> None:
    """Foreseen to be accepted, it is; foreseen to be rejected, it is, but for whose flushes come to count meanwhile.

    Where no node was changed by hand, each verdict then is what was foreseen, word for word.
    """
    told = Counter[bool]()
    for state, cluster, scene, changed in states():
        if cluster.version > 1 or not agrees(scene):
            continue
        for way in ways(KINDS[kind], cluster, scene):
            for line, plan in held(scene, cluster, way):
                where = (state, way.order, line, failed(plan.verdicts))
                assert plan.accepted or not line.accepted, where
                if line.accepted and not changed:
                    assert words(line.verdicts) == words(plan.verdicts), where
                if plan.accepted and not line.accepted:
                    assert Invariant.SUCCESSOR_STREAMS in {each.invariant for each in plan.verdicts}, where
                told[bool(line.accepted)] += 1
    accepted, rejected = LEAST[kind]
    assert (told[True] >= accepted, told[False] >= rejected) == (True, True), told
