"""The catalogue against the invariants: every action, every invariant it relies on, broken alone.

The matrix is derived from the catalogue: a new action is tested by being there.
"""

from collections.abc import Callable, Iterator
from functools import cache

import msgspec
import pytest
from msgspec.structs import replace

from aerodb.actions import catalogue
from aerodb.protocol.ahead import AFTER
from aerodb.protocol.authority import Branch, Candidacy, Position
from aerodb.protocol.change import read_step
from aerodb.protocol.facts import State, Unfinished
from aerodb.protocol.keeping import Keeping, Replay
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.plan import Request, Result
from aerodb.protocol.watched import Watched
from aerodb.rules.explain import explain, verdict_changes
from aerodb.rules.invariants import STATEMENTS, Invariant
from tests.unit.rules.scenes import (
    CHECKPOINT,
    CLUSTER,
    FILES,
    Scene,
    grant_of,
    having_seen,
    held_for,
    holding,
    pledged,
    possible,
    scenes,
    sequenced,
    snapshot_of,
    view_for,
    with_files,
    with_instance,
    with_standing,
)

Breaker = Callable[[Scene, Request], Iterator[Scene]]


def _each_node(change: Callable[[Scene, str], Scene]) -> Breaker:
    """Return a breaker that tries a change on every node."""

    def breaker(scene: Scene, request: Request) -> Iterator[Scene]:
        for name in (request.target, *(each for each in scene if each != request.target)):
            yield change(scene, name)

    return breaker


def _upstreams(scene: Scene, request: Request) -> Iterator[Scene]:
    """Take away whatever the upstream's authority rests on: its pledge is below the target's."""
    yield with_standing(scene, request.target, pledged=Candidacy(term=9, node="n3"), pledge=None)


def _untold_while_running(scene: Scene, request: Request) -> Iterator[Scene]:
    """The target runs, and cannot tell the term of its own log."""
    position = Position(term=None, bound=None, timeline=2, lsn=Lsn(5000))
    yield with_instance(scene, request.target, position=position)


def _diverged(scene: Scene, request: Request) -> Iterator[Scene]:
    upstream = request.arguments.get("upstream", "")
    lineage = (Branch(timeline=1, begin=Lsn(0), term=1), Branch(timeline=2, begin=Lsn(4000), term=2))
    yield with_instance(scene, upstream, lineage=lineage)


def _cycle(scene: Scene, request: Request) -> Iterator[Scene]:
    upstream = request.arguments.get("upstream", "")
    yield with_standing(scene, upstream, upstream=request.target)


def _without_senders(scene: Scene, request: Request) -> Iterator[Scene]:
    yield with_instance(scene, request.target, senders=())


def _pledged_elsewhere(scene: Scene, request: Request) -> Iterator[Scene]:
    """The candidate has pledged the same term to another."""
    term = max(facts.standing.pledged.term for facts in scene.values())
    yield with_standing(scene, request.target, pledged=Candidacy(term=term, node="n3"), pledge=None)
    yield with_instance(scene, request.target, position=Position(term=None, bound=None, timeline=1, lsn=Lsn(5000)))


def _pledge_gone(scene: Scene, request: Request) -> Iterator[Scene]:
    """A peer's pledge is not there: it promises, and shows nothing signed."""
    for name in scene:
        if name != request.target and scene[name].standing.pledge is not None:
            yield with_standing(scene, name, pledge=None)


def _granted_elsewhere(scene: Scene, request: Request) -> Iterator[Scene]:
    for name in scene:
        if name != request.target:
            yield with_standing(scene, name, granted=Candidacy(term=9, node=name))


def _promised_elsewhere(scene: Scene, request: Request) -> Iterator[Scene]:
    for name in scene:
        if name != request.target:
            yield pledged(scene, name, Candidacy(term=5, node=name))


def _other_role(scene: Scene, request: Request) -> Iterator[Scene]:
    """PostgreSQL is, or would start as, something else than its standing says; or the target is a witness."""
    for recovery in (None, True, False):
        yield with_instance(scene, request.target, recovery=recovery)
    yield with_standing(scene, request.target, role="witness")


def _states(scene: Scene, request: Request) -> Iterator[Scene]:
    for name in (request.target, *scene):
        for state in State:
            yield with_instance(scene, name, state=state)


def _ahead(scene: Scene, request: Request) -> Iterator[Scene]:
    """A voter's log ends beyond the candidate's."""
    position = Position(term=1, bound=1, timeline=1, lsn=Lsn(1000))
    yield with_instance(scene, request.target, position=position)


def _short_of_commits(scene: Scene, request: Request) -> Iterator[Scene]:
    """A majority that knows of another granted primary, absent, under a policy that nobody can tell."""
    for name in scene:
        if name == request.target:
            continue
        standing = scene[name].standing
        if standing.pledge is not None:
            absent = [each for each in scene if each != request.target and scene[each].standing.pledge is None]
            if not absent:
                continue
            moved = with_standing(scene, name, granted=Candidacy(term=1, node=absent[0]))
            again = pledged(moved, name, standing.pledged)
            yield with_instance(again, request.target, quorum=None)


def _pledge_broken(scene: Scene, request: Request) -> Iterator[Scene]:
    """A pledger serves, receives, or has moved on, against its pledge."""
    for name in scene:
        if name == request.target or scene[name].instance is None or scene[name].standing.pledge is None:
            continue
        yield with_instance(scene, name, state=State.RUNNING, recovery=False)
        yield with_instance(scene, name, attached="n1")
        yield with_instance(scene, name, state=State.UNREACHABLE)


def _only_watched(scene: Scene, request: Request) -> Iterator[Scene]:
    """The target's agent says that it only watches; all else is as it was."""
    watched = Watched(unseen=(), strangers=(), survey=None)
    yield {**scene, request.target: replace(scene[request.target], watched=watched)}


def _successor_silent(scene: Scene, request: Request) -> Iterator[Scene]:
    yield {name: facts for name, facts in scene.items() if name != request.arguments.get("for")}


def _not_held(scene: Scene, request: Request) -> Iterator[Scene]:
    """The successor holds no order, or the order of another request, or for another term."""
    successor = request.arguments.get("for", "")
    for held in (msgspec.UNSET, held_for("n3"), held_for(request.target, term=9)):
        yield holding(scene, successor, held)


def _taken_already(scene: Scene, request: Request) -> Iterator[Scene]:
    """The target has taken the version already: the step is a step back."""
    if "change" not in request.arguments:
        return
    digest = read_step(request.arguments["change"], "change").digest
    path = (scene[request.target].configuration, digest)
    for name in scene:
        scene = {**scene, name: replace(scene[name], configuration=digest, versions=path)}
    yield scene


UNFINISHED = Unfinished(request="x", action="stop", result="executed", evidence="e")
LONGER = CHECKPOINT.replace("\n9\n", "\n10\n")
PAUSED = Keeping(replay=Replay(paused=True, unreplayed_bytes=0, conflicts=0))
BREAKERS: dict[Invariant, Breaker] = {
    Invariant.IN_CHARGE: _only_watched,
    Invariant.CONFIGURATION_AGREES: _each_node(
        lambda scene, name: {**scene, name: replace(scene[name], configuration="sha256:other")}
    ),
    Invariant.JOURNAL_SETTLED: _each_node(
        lambda scene, name: {**scene, name: replace(scene[name], unfinished=UNFINISHED)}
    ),
    Invariant.POLICY_KNOWN: _each_node(lambda scene, name: with_instance(scene, name, drift=("fsync",))),
    Invariant.RECEIVER_KNOWN: _each_node(lambda scene, name: with_instance(scene, name, drift=("restore_command",))),
    Invariant.ROLE_FITS: _other_role,
    Invariant.RUNNING_FITS: _states,
    Invariant.TERM_RISES: _pledged_elsewhere,
    Invariant.POSITION_KNOWN: _each_node(lambda scene, name: with_instance(scene, name, position=None)),
    Invariant.SUCCESSOR_STREAMS: _without_senders,
    Invariant.SUCCESSOR_ELECTABLE: _successor_silent,
    Invariant.SUCCESSOR_HOLDS: _not_held,
    Invariant.PLEDGES_KEPT: _pledge_broken,
    Invariant.ELECTION_QUORUM: _pledge_gone,
    Invariant.COMMIT_QUORUM: _short_of_commits,
    Invariant.WAL_PREFIX: _ahead,
    Invariant.CANDIDACY_STANDS: _pledged_elsewhere,
    Invariant.CANDIDATE_READABLE: _each_node(lambda scene, name: with_instance(scene, name, state=State.UNREADABLE)),
    Invariant.TERM_UNGRANTED: _granted_elsewhere,
    Invariant.VOTE_KEPT: _untold_while_running,
    Invariant.UPSTREAM_AUTHORITY: _upstreams,
    Invariant.WAL_ANCESTRY: _diverged,
    Invariant.NO_CYCLE: _cycle,
    Invariant.NO_HIGHER_GRANT: _promised_elsewhere,
    Invariant.REPLAY_RUNS: _each_node(lambda scene, name: with_instance(scene, name, keeping=PAUSED)),
    Invariant.SETTINGS_LOADABLE: lambda scene, _: iter(
        [
            with_files(scene, replace(FILES, faults=("x.conf line 3: syntax error",))),
            with_files(scene, replace(FILES, drift=("fsync",))),
        ]
    ),
    Invariant.STEP_FOLLOWS: _taken_already,
    Invariant.PRIMARY_FIRST: _promised_elsewhere,
    Invariant.GAP_NAMED: lambda scene, _: iter([having_seen(scene, "nothing"), having_seen(scene, LONGER)]),
}
"""How each invariant is broken; each yields scenes until one breaks it."""


@cache
def accepted(name: str) -> tuple[tuple[Request, str], ...]:
    """Return the requests for an action, and the scenes, in which everything holds: now, and not foreseen."""
    action = catalogue()[name]
    return tuple(
        (request, scene_name)
        for scene_name, scene in scenes().items()
        for request in (*possible(action), *(each for each in sequenced(action) if AFTER not in each.arguments))
        if explain(CLUSTER, action, request, snapshot_of(scene)).accepted
    )


@pytest.mark.parametrize("name", catalogue())
def test_every_action_is_possible_somewhere(name: str) -> None:
    """No action is dead: in some state all its invariants hold."""
    assert accepted(name)


@pytest.mark.parametrize("name", catalogue())
def test_every_action_judges_what_it_says(name: str) -> None:
    """In every scene, for every request, an action judges exactly its declared invariants, each once, in order."""
    action = catalogue()[name]
    for scene in scenes().values():
        for request in (*possible(action), *sequenced(action)):
            judged = tuple(verdict.invariant for verdict in action.judge(view_for(request, scene)))
            assert judged == action.invariants


@pytest.mark.parametrize(
    ("name", "invariant"),
    [(name, invariant) for name, action in catalogue().items() for invariant in action.invariants],
)
def test_every_invariant_can_reject_every_action_that_relies_on_it(name: str, invariant: Invariant) -> None:
    """Broken from a state in which all held, an invariant fails by its own verdict: in a new plan, or at the agent.

    The agent judges in the term that the plan names; a new plan may name a higher one.
    """
    action, found = catalogue()[name], False
    for request, scene_name in accepted(name):
        planned = view_for(request, scenes()[scene_name])
        for broken in BREAKERS[invariant](scenes()[scene_name], request):
            view = view_for(request, broken)
            for term in {view.term, planned.term}:
                again = action.judge(replace(view, term=term))
                if {verdict.invariant: verdict.result for verdict in again}[invariant] is not Result.HOLDS:
                    assert verdict_changes(action.judge(planned), again)
                    found = True
    assert found


ALONE = [
    Invariant.CONFIGURATION_AGREES,
    Invariant.JOURNAL_SETTLED,
    Invariant.POLICY_KNOWN,
    Invariant.RECEIVER_KNOWN,
    Invariant.ROLE_FITS,
    Invariant.RUNNING_FITS,
    Invariant.SUCCESSOR_STREAMS,
    Invariant.SUCCESSOR_ELECTABLE,
    Invariant.SUCCESSOR_HOLDS,
    Invariant.PLEDGES_KEPT,
    Invariant.ELECTION_QUORUM,
    Invariant.WAL_PREFIX,
    Invariant.CANDIDATE_READABLE,
    Invariant.VOTE_KEPT,
    Invariant.UPSTREAM_AUTHORITY,
    Invariant.WAL_ANCESTRY,
    Invariant.NO_CYCLE,
    Invariant.NO_HIGHER_GRANT,
    Invariant.GAP_NAMED,
    Invariant.SETTINGS_LOADABLE,
    Invariant.PRIMARY_FIRST,
]


@pytest.mark.parametrize("invariant", ALONE)
def test_a_dropped_invariant_would_be_noticed(invariant: Invariant) -> None:
    """The mutant without this invariant accepts a state that the rules reject: no other invariant covers for it."""
    for name, action in catalogue().items():
        if invariant not in action.invariants:
            continue
        for request, scene_name in accepted(name):
            for broken in BREAKERS[invariant](scenes()[scene_name], request):
                failing = [
                    verdict.invariant
                    for verdict in action.judge(view_for(request, broken))
                    if verdict.result is not Result.HOLDS
                ]
                if failing == [invariant]:
                    return
    pytest.fail(f"{invariant} never decides alone")


def test_the_list_of_invariants_is_closed() -> None:
    """Every invariant has a statement, a breaker, and an action that relies on it."""
    used = {invariant for action in catalogue().values() for invariant in action.invariants}
    assert used == set(Invariant) == set(STATEMENTS) == set(BREAKERS)


def test_a_grant_of_another_is_not_believed() -> None:
    """A grant that is signed by somebody else than the primary it names is refused, not weighed."""
    scene = scenes()["switched"]
    _, signed = grant_of(scene, "n2", 9)
    forged = replace(signed, signer="n3")
    broken = with_standing(scene, "n2", grant=forged)
    request = next(iter(possible(catalogue()["follow"])))
    with pytest.raises(Exception, match="grant of n3"):
        view_for(request, broken)
