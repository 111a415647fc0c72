"""A procedure, judged step by step: done, judged now, foreseen, or not judged yet. Nothing is guessed.

- The first step that is not done is judged as a request for it would be.
- Each later step is judged by the same rules, on the state that the steps before it are foreseen to leave.
- A step that rests on one that would be rejected, on a node that does not report, or on what only the execution of an
  earlier step can show, is not judged yet, and says on which.

Pure: no I/O, no clock.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from aerodb.actions import action_named
from aerodb.errors import AeroError
from aerodb.protocol.chain import Chain
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.plan import Request, Result, Verdict
from aerodb.protocol.procedure import ProcedureOrder, ProcedureStep, StepDone, StepState
from aerodb.protocol.writes import Writes
from aerodb.rules.explain import LOOK_ID
from aerodb.rules.foreseen import left_by, source_of
from aerodb.rules.foresight import MEANWHILE
from aerodb.rules.invariants import Invariant
from aerodb.rules.specification import Action
from aerodb.rules.view import Peer, View
from aerodb.rules.ways import Step, Way
from aerodb.rules.writes import writes

UNTOLD_TERM = re.compile(r",? (?:of|in) term \{term\}$")
"""What the title of an action says of its term, which is not known before the action is judged."""
EARLIER_RULES = "not every node speaks the rules that this control plane judges by"


@dataclass(frozen=True, kw_only=True)
class ProcedureGround:
    """What steps are judged on: the nodes' verified statements, of one moment.

    `missing` says of each node that gave no report why. `speaks` is false where reports are in earlier rules, by which
    nothing is judged here.
    """

    chain: Chain
    everyone: Mapping[str, Peer]
    missing: Mapping[str, str]
    operator: str
    speaks: bool = True

    @property
    def cluster(self) -> Cluster:
        """Return the newest version of the configuration."""
        return self.chain.newest

    def writes_of(self, everyone: Mapping[str, Peer]) -> Writes:
        """Return whether commits can be acknowledged, with the nodes as they are given."""
        return writes(self.cluster, {name: peer.facts for name, peer in everyone.items()})


@dataclass
class _Walk:
    """How far an order has been laid out: the nodes as the steps so far leave them, and what that rests on.

    `moving` are the nodes that a step cuts off while they receive: that step's number, and whose WAL it is. `stuck` is
    the number of the first step on which nothing that comes after can be judged.
    """

    everyone: Mapping[str, Peer]
    foreseen: list[int] = field(default_factory=list)
    moving: dict[str, tuple[int, str]] = field(default_factory=dict)
    stuck: int = 0


def laid_out(ground: ProcedureGround, way: Way, done: Mapping[Step, StepDone]) -> ProcedureOrder:
    """Return an order with each of its steps judged, as far as it can be; `done` are those that were executed."""
    walk, steps = _Walk(everyone=ground.everyone), list[ProcedureStep]()
    for number, step in enumerate(way.steps, 1):
        found = _done(step, done[step]) if step in done else _step(ground, walk, step, number)
        steps.append(found)
    return ProcedureOrder(order=way.order, steps=tuple(steps), remarks=way.remarks)


def _bare(step: Step, state: StepState, view: View | None = None) -> ProcedureStep:
    """Return a step of which only what it is, is known."""
    action = action_named(step.action)
    words = {**step.arguments, "node": step.target, "term": str(view.term) if view else ""}

    def filled(template: str) -> str:
        known = template if words["term"] else UNTOLD_TERM.sub("", template).replace("term {term}", "its term")
        return known.format_map(words)

    return ProcedureStep(
        action=step.action,
        target=step.target,
        arguments=step.arguments,
        title=filled(action.title),
        state=state,
        irreversible=tuple(filled(each) for each in action.irreversible),
    )


def _done(step: Step, by: StepDone) -> ProcedureStep:
    return replace(_bare(step, "done"), done=by, irreversible=())


def _step(ground: ProcedureGround, walk: _Walk, step: Step, number: int) -> ProcedureStep:
    """Return a step that is not done, judged if it can be; the walk then goes on from what it leaves."""
    waits = _waits(ground, walk, step)
    if waits is not None:
        walk.stuck = walk.stuck or number
        return waits
    action, view = action_named(step.action), _view(ground, walk.everyone, step)
    found = _bare(step, "foreseen" if walk.foreseen else "judged now", view)
    try:
        verdicts, loss = action.judge(view), action.loss(view)
    except AeroError as error:
        walk.stuck = walk.stuck or number
        return replace(found, state="not judged yet", why=error.message)
    rests, why = _open(walk, view, verdicts)
    if why:
        walk.stuck = walk.stuck or number
        return replace(found, state="not judged yet", rests_on=rests, why=why)
    accepted = all(each.result is Result.HOLDS for each in verdicts)
    found = replace(
        found,
        accepted=accepted,
        verdicts=verdicts,
        loss=loss,
        only_then=_only_then(ground, step, action, verdicts) if walk.foreseen else (),
        rests_on=tuple(walk.foreseen),
        meanwhile=next((each for each in action.writes(view) if each.startswith(MEANWHILE)), ""),
    )
    if not accepted:
        walk.stuck = walk.stuck or number
        return found
    _go_on(walk, step, number, left_by(view, action.leaves))
    return replace(found, writes=ground.writes_of(walk.everyone))


def _open(walk: _Walk, view: View, verdicts: Sequence[Verdict]) -> tuple[tuple[int, ...], str]:
    """Return on which steps a foreseen one rests that cannot be judged before they are executed, and why; or nothing.

    Of the step that is judged now, what is unknown counts as no: it is judged on nothing else.
    """
    unsure = _unsure(walk, view, verdicts)
    if unsure:
        return unsure, MOVING
    unknown = [each for each in verdicts if each.result is Result.UNKNOWN]
    if not walk.foreseen or not unknown or any(each.result is Result.VIOLATED for each in verdicts):
        return (), ""
    return tuple(walk.foreseen), "; ".join(f"{each.invariant}: {each.evidence}" for each in unknown)


MOVING = "where the WAL ends of what still receives is known only once it is cut off"


def _waits(ground: ProcedureGround, walk: _Walk, step: Step) -> ProcedureStep | None:
    """Return the step as one that cannot be judged yet; None if it can."""
    found = _bare(step, "not judged yet")
    if walk.stuck:
        return replace(found, rests_on=(walk.stuck,))
    if not ground.speaks:
        return replace(found, why=EARLIER_RULES)
    if step.target not in walk.everyone:
        return replace(found, why=f"{step.target} gives no report: {ground.missing.get(step.target, 'not asked')}")
    return None


def _view(ground: ProcedureGround, everyone: Mapping[str, Peer], step: Step) -> View:
    """Return the view on which a step is judged, with the nodes as they are given."""
    own = everyone[step.target]
    cluster = ground.chain.judging(own.facts.configuration)
    request = Request(
        id=LOOK_ID, action=step.action, target=step.target, arguments=step.arguments, operator=ground.operator,
        reason="look",
    )  # fmt: skip
    peers = {name: peer for name, peer in everyone.items() if name != step.target}
    view = View(cluster=cluster, request=request, own=own, peers=peers, term=0)
    return replace(view, term=action_named(step.action).term(view))


def _only_then(ground: ProcedureGround, step: Step, action: Action, verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    """Return the invariants that hold on the foreseen state, and do not now."""
    try:
        now = {each.invariant: each.result for each in action.judge(_view(ground, ground.everyone, step))}
    except (AeroError, KeyError):
        now = {}
    return tuple(
        each.invariant for each in verdicts if each.result is Result.HOLDS and now.get(each.invariant) != Result.HOLDS
    )


def _unsure(walk: _Walk, view: View, verdicts: Sequence[Verdict]) -> tuple[int, ...]:
    """Return the steps that must first show where a WAL ends on which one of the verdicts rests.

    What a node receives from the target itself ends nowhere beyond the target's own.
    """
    if all(each.invariant != Invariant.WAL_PREFIX for each in verdicts):
        return ()
    pledged = {name for name, peer in view.peers.items() if peer.pledge is not None and peer.pledge.term == view.term}
    found = (walk.moving[name] for name in (view.node, *pledged) if name in walk.moving)
    return tuple(sorted({number for number, source in found if source != view.node}))


def _go_on(walk: _Walk, step: Step, number: int, after: Mapping[str, Peer]) -> None:
    """Go on from what a step leaves.

    A primary that is demoted sends all that it has to its successor: none of what came from it ends further on.
    """
    source = source_of(walk.everyone, step.target)
    if step.action == "fence" and source is not None:
        walk.moving[step.target] = (number, source)
    if step.action == "demote" and step.other not in walk.moving:
        walk.moving = {name: each for name, each in walk.moving.items() if each[1] != step.target}
    walk.everyone = after
    walk.foreseen.append(number)
