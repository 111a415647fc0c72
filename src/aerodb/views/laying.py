"""A procedure, judged step by step: done, judged now, foreseen, or not judged yet. Nothing is guessed.

- The first step that is not done is judged as a request for it would be.
- Each later step is judged by the same rules, on the state that the steps before it are foreseen to leave.
- A step that rests on one that would be rejected, on a node that does not report, or on what only the execution of an
  earlier step can show, is not judged yet, and says on which.
- A promotion that is signed ahead is judged where it is typed, before its demotion, as a request for it would be; both
  are executed by the demotion's confirmation. One that its node holds, with its turn to come, is held: see `held_for`.

Pure: no I/O, no clock.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from aerodb.actions import action_named
from aerodb.errors import AeroError
from aerodb.protocol.ahead import AFTER, THEN, Earlier, Held, Later, read_earlier
from aerodb.protocol.chain import Chain
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.plan import Request, Result, Verdict
from aerodb.protocol.procedure import ProcedureOrder, ProcedureStep, StepDone, StepState
from aerodb.protocol.writes import Writes
from aerodb.rules.ahead import AGREED, foreseen, judged
from aerodb.rules.charge import loss_in_charge
from aerodb.rules.explain import LOOK_ID
from aerodb.rules.foreseen import left_by, source_of
from aerodb.rules.foresight import MEANWHILE
from aerodb.rules.invariants import Invariant
from aerodb.rules.specification import Action
from aerodb.rules.view import Peer, View
from aerodb.rules.ways import UNTOLD, Step, Way
from aerodb.rules.writes import writes

UNTOLD_TERM = re.compile(r",? (?:of|in) term \{term\}$")
"""What the title of an action says of its term, which is not known before the action is judged."""
EARLIER_RULES = "not every node speaks the rules that this control plane judges by"


@dataclass(frozen=True, kw_only=True)
class ProcedureGround:
    """What steps are judged on: the nodes' verified statements, of one moment.

    `missing` says of each node that gave no report why. `speaks` is false where reports are in earlier rules, by which
    nothing is judged here. `turns` are the requests whose held orders can have their turn; each says whether the plan
    of the request before it is made already, and awaits its confirmation.
    """

    chain: Chain
    everyone: Mapping[str, Peer]
    missing: Mapping[str, str]
    operator: str
    speaks: bool = True
    turns: Mapping[str, bool] = field(default_factory=dict)

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
    walk, steps, at = _Walk(everyone=ground.everyone), list[ProcedureStep](), way.pair_at
    for number, step in enumerate(way.steps, 1):
        if way.form == "ahead" and way.pair is not None and at is not None and number - 1 in (at, at + 1):
            found = (_ahead if number - 1 == at else _both)(ground, walk, way.pair, number)
        else:
            found = _done(step, done[step]) if step in done else _step(ground, walk, step, number)
        if way.form == "apart" and number - 1 == at and found.writes is not None:
            found = replace(found, meanwhile=APART.format(successor=step.other))
        steps.append(found)
    order = "; ".join(filter(None, (way.order, FORMS[way.form])))
    untold = (HELD_LATER,) if any(step.arguments.get(THEN) == UNTOLD for step in steps) else ()
    return ProcedureOrder(order=order, steps=_as_signed(steps, at), remarks=(*way.remarks, *untold))


HELD_LATER = f"{UNTOLD} is the id of the promotion, which stands here once its node holds it"
FORMS = {"": "", "ahead": "the promotion is signed ahead", "apart": "in two confirmations"}
APART = f"{MEANWHILE}: none for as long as somebody reads the plan to promote {{successor}}, and signs it."
AHEAD = f"{MEANWHILE}: none from the shutdown of {{primary}} until {{successor}} is promoted; nobody reads then."


def _as_signed(steps: list[ProcedureStep], at: int | None) -> tuple[ProcedureStep, ...]:
    """Return steps in the order in which they were signed: a promotion that was signed ahead before its demotion."""
    if at is not None:
        done = steps[at + 1].done
        if done is not None and AFTER in done.arguments:
            steps[at : at + 2] = [steps[at + 1], steps[at]]
    return tuple(steps)


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
    brief = {AFTER: lambda text: text.rpartition(":")[0], THEN: lambda text: text.partition(":")[0]}
    named = {name: brief[name](text) for name, text in by.arguments.items() if name in brief}
    return replace(_bare(step, "done"), done=by, irreversible=(), arguments={**step.arguments, **named})


def _step(ground: ProcedureGround, walk: _Walk, step: Step, number: int) -> ProcedureStep:
    """Return a step that is not done, judged if it can be; the walk then goes on from what it leaves."""
    waits = _waits(ground, walk, step)
    if waits is not None:
        walk.stuck = walk.stuck or number
        return waits
    view = _view(ground, walk.everyone, step)
    found = _judged(ground, walk, step, view)
    if not found.accepted:
        walk.stuck = walk.stuck or number
        return found
    _go_on(walk, step, number, left_by(view, action_named(step.action).leaves))
    return replace(found, writes=ground.writes_of(walk.everyone))


def _judged(ground: ProcedureGround, walk: _Walk, step: Step, view: View) -> ProcedureStep:
    """Return a step with its verdicts on a view: on what it leaves where it comes after another one, as in its plan."""
    action = action_named(step.action)
    found = _bare(step, "foreseen" if walk.foreseen else "judged now", view)
    try:
        ahead = foreseen(view, action)
        then = (ahead.view if ahead else None) or view
        verdicts, loss = judged(view, action, ahead), loss_in_charge(action, then)
    except AeroError as error:
        return replace(found, state="not judged yet", why=error.message)
    rests, why = _open(walk, view, verdicts)
    if why:
        return replace(found, state="not judged yet", rests_on=rests, why=why)
    return replace(
        found,
        accepted=all(each.result in AGREED for each in verdicts),
        verdicts=verdicts,
        loss=loss,
        only_then=_only_then(ground, step, action, verdicts) if walk.foreseen else (),
        rests_on=tuple(walk.foreseen),
        meanwhile=next((each for each in action.writes(then) if each.startswith(MEANWHILE)), ""),
    )


# Signed ahead ---------------------------------------------------------------------------------------------------------

Pair = tuple[Step, Step]
"""A demotion, and the promotion of its successor right after it."""
FORESEEN_PLAN = f"sha256:{'0' * 64}"


def held_for(ground: ProcedureGround, pair: Pair) -> Held | None:
    """Return the order to promote that the successor reports to hold for this demotion, if its turn can come."""
    first, second = pair
    peer = ground.everyone.get(second.target)
    held = peer.facts.held if peer is not None else None
    if not held or held.action != second.action or held.request not in ground.turns:
        return None
    earlier = read_earlier(held.after)
    return held if (earlier.action, earlier.target) == (first.action, first.target) else None


def _ahead(ground: ProcedureGround, walk: _Walk, pair: Pair, number: int) -> ProcedureStep:
    """Return the promotion as it is asked for before its demotion; nothing but that it is held is so after it."""
    first, second = pair
    named = {AFTER: f"{first.action}:{first.target}"}
    held = held_for(ground, pair)
    if held is not None:
        bare = replace(_bare(second, "held"), arguments=named, irreversible=(), held=held.request)
        return replace(bare, writes=ground.writes_of(walk.everyone))
    waits = _waits(ground, walk, second)
    if waits is not None:
        walk.stuck = walk.stuck or number
        return replace(waits, arguments=named)
    earlier = Earlier(action=first.action, target=first.target, request=LOOK_ID)
    view = _view(ground, walk.everyone, second, {AFTER: str(earlier)})
    cleared = _Walk(everyone=walk.everyone, foreseen=walk.foreseen, moving=_still_moving(walk, first))
    found = replace(_judged(ground, cleared, second, view), arguments=named)
    if not found.accepted:
        walk.stuck = walk.stuck or number
        return found
    own = walk.everyone[second.target]
    order = Held(
        request=LOOK_ID, action=second.action, plan=FORESEEN_PLAN, after=str(earlier), term=view.term
    )  # fmt: skip
    walk.everyone = {**walk.everyone, second.target: replace(own, facts=replace(own.facts, held=order))}
    walk.foreseen.append(number)
    return replace(found, writes=ground.writes_of(walk.everyone))


def _both(ground: ProcedureGround, walk: _Walk, pair: Pair, number: int) -> ProcedureStep:
    """Return the demotion whose confirmation runs both, judged with the order that its successor holds then."""
    first, second = pair
    held = held_for(ground, pair)
    named = {**first.arguments, THEN: held.request if held is not None else UNTOLD}
    waits = _waits(ground, walk, first)
    if waits is not None:
        walk.stuck = walk.stuck or number
        return replace(waits, arguments=named)
    order = held or walk.everyone[second.target].facts.held
    if not order:
        return replace(_bare(first, "not judged yet"), arguments=named, rests_on=(number - 1,))
    then, earlier = Later(request=order.request, plan=order.plan), read_earlier(order.after)
    view = _view(ground, walk.everyone, first, {**first.arguments, THEN: str(then)}, earlier.request)
    found = replace(_judged(ground, walk, first, view), arguments=named)
    if held is not None and ground.turns[held.request]:
        found = replace(found, awaits=earlier.request)
    if not found.accepted:
        walk.stuck = walk.stuck or number
        return found
    _go_on(walk, first, number, left_by(view, action_named(first.action).leaves))
    view = _view(ground, walk.everyone, second)
    failing = [each.invariant for each in action_named(second.action).judge(view) if each.result is not Result.HOLDS]
    if failing:
        walk.stuck = walk.stuck or number
        said = f"{second.target} would then not be promoted, by {', '.join(failing)}."
        return replace(found, writes=ground.writes_of(walk.everyone), meanwhile=said)
    _go_on(walk, second, number, left_by(view, action_named(second.action).leaves))
    walk.foreseen.pop()
    meanwhile = AHEAD.format(primary=first.target, successor=second.target)
    return replace(found, writes=ground.writes_of(walk.everyone), meanwhile=meanwhile)


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


def _view(
    ground: ProcedureGround, everyone: Mapping[str, Peer], step: Step, arguments: dict[str, str] | None = None,
    request_id: str = LOOK_ID,
) -> View:  # fmt: skip
    """Return the view on which a step is judged, with the nodes as they are given, and with `arguments` for its own."""
    own = everyone[step.target]
    cluster = ground.chain.judging(own.facts.configuration)
    request = Request(
        id=request_id, action=step.action, target=step.target,
        arguments=step.arguments if arguments is None else arguments, operator=ground.operator, reason="look",
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
    if step.action == "demote":
        walk.moving = _still_moving(walk, step)
    walk.everyone = after
    walk.foreseen.append(number)


def _still_moving(walk: _Walk, demotion: Step) -> dict[str, tuple[int, str]]:
    """Return whose WAL's end is still not known once a primary is demoted."""
    if demotion.other in walk.moving:
        return walk.moving
    return {name: each for name, each in walk.moving.items() if each[1] != demotion.target}
