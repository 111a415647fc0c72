"""What became of an operation that was cut off: "not executed" is said only of what can never happen any more."""

from typing import Literal

import pytest
from msgspec.structs import replace

from aerodb.actions import catalogue
from aerodb.protocol.authority import Branch, Candidacy, Position
from aerodb.protocol.change import read_step
from aerodb.protocol.facts import Facts, Instance, Load, State
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.plan import Plan
from aerodb.rules.condition import SETTINGS
from aerodb.rules.explain import explain
from aerodb.rules.standing import promised
from tests.unit.rules.doing import LATER
from tests.unit.rules.scenes import (
    CLUSTER,
    FILES,
    MARKS,
    REQUEST,
    Scene,
    demoted,
    enrolling,
    healthy,
    pledged,
    request_for,
    snapshot_of,
    with_files,
    with_instance,
    with_standing,
)

Found = Literal["executed", "not executed", "unknown"]
CROSSED = (True,)
SECOND = Candidacy(term=2, node="n2")
RUNNING: dict[str, object] = {"started": "yesterday"}
NEW_TIMELINE = (*healthy()["n2"].instance.lineage, Branch(timeline=2, begin=Lsn(5000), term=None))  # type: ignore[union-attr]
ARGUMENTS = {
    "accept-log": dict(zip(("restored", "seen"), MARKS, strict=True)),
    "configure": {"change": enrolling(CLUSTER)},
    "demote": {"for": "n2"},
    "fence": {"for": "n2"},
    "follow": {"upstream": "n1"},
    "reclone": {"upstream": "n1"},
}


DETACHED: dict[str, object] = {"attached": None, "receiver": None}


def plan_of(action: str, node: str, scene: Scene) -> Plan:
    """Return a plan in term 2 where the action is about a term."""
    plan = explain(CLUSTER, catalogue()[action], request_for(catalogue()[action], node, ARGUMENTS.get(action, {})),
                   snapshot_of(scene))  # fmt: skip
    return replace(plan, term=2 if plan.term else 0)


def load(lingering: int) -> Load:
    """Return a quiet node's load, with so many sessions of an earlier agent."""
    instance = healthy()["n1"].instance
    assert instance is not None
    assert instance.load is not None
    return replace(instance.load, lingering=lingering)


def judged(action: str, node: str, before: Scene, now: Facts, *, crossed: bool = True) -> Found:
    """Return what the action says of its operation, cut off, from the facts before it and now."""
    started = with_instance(before, node, **RUNNING)[node]
    return catalogue()[action].established(plan_of(action, node, before), started, now, crossed).result


def changed(node: str, **changes: object) -> Facts:
    """Return the facts of a node, with parts of its PostgreSQL changed; the same postmaster runs, if nothing else."""
    return with_instance(healthy(), node, **{**RUNNING, **changes})[node]


def at(lsn: int) -> Position:
    """Return a position on a timeline whose term nobody knows."""
    return Position(term=None, bound=None, timeline=2, lsn=Lsn(lsn))


def taking(scene: Scene, node: str) -> Facts:
    """Return the facts of a node once it has taken the version in which somebody was enrolled."""
    digest = read_step(enrolling(CLUSTER), "change").digest
    return replace(scene[node], configuration=digest, versions=(scene[node].configuration, digest))


EVERYTHING: list[tuple[str, str, Facts]] = [
    ("accept-log", "n3", replace(healthy()["n3"], gave_up=(REQUEST,))),
    ("checkpoint", "n1", changed("n1", checkpoint=Lsn(9000))),
    ("configure", "n1", taking(healthy(), "n1")),
    ("demote", "n1", demoted()["n1"]),
    ("fence", "n3", pledged(healthy(), "n3", SECOND)["n3"]),
    ("follow", "n3", changed("n3")),
    ("promote", "n2", changed("n2", recovery=False)),
    ("reclone", "n3", changed("n3", folder="data-0002")),
    ("reload", "n1", changed("n1", files=replace(FILES, loaded=LATER))),
    ("renew", "n1", changed("n1", position=Position(term=2, bound=2, timeline=1, lsn=Lsn(6000)))),
    ("restart", "n1", changed("n1", started="later")),
    ("start", "n3", changed("n3")),
    ("stop", "n1", changed("n1", state=State.STOPPED)),
]
"""Each action, its target, and the facts by which it is executed, once it has crossed."""


def test_no_action_is_missing() -> None:
    """The table above has the whole catalogue."""
    assert {action for action, _, _ in EVERYTHING} == set(catalogue())


@pytest.mark.parametrize(("action", "node", "now"), EVERYTHING, ids=[each[0] for each in EVERYTHING])
def test_what_has_not_crossed_was_not_executed(action: str, node: str, now: Facts) -> None:
    """Whatever the node looks like, be it that somebody else did the same: this operation did not."""
    assert judged(action, node, with_files(healthy()), now, crossed=True) == "executed"
    assert judged(action, node, with_files(healthy()), now, crossed=False) == "not executed"


@pytest.mark.parametrize("action", ["checkpoint", "demote", "promote", "renew", "restart", "start", "stop"])
def test_a_process_that_does_not_answer_proves_nothing(action: str) -> None:
    """Where PostgreSQL cannot be looked into, nothing that it was told is known to be over."""
    node = "n2" if action == "promote" else "n1"
    assert judged(action, node, healthy(), changed(node, state=State.UNREACHABLE, started=None)) == "unknown"


@pytest.mark.parametrize(
    ("now", "found"),
    [
        (changed("n2"), "unknown"),  # Told, in recovery, the same process: it may leave it at any time.
        (changed("n2", started=None), "unknown"),
        (changed("n2", started="today"), "not executed"),
        (changed("n2", started="today", lineage=NEW_TIMELINE, position=at(5001), **DETACHED), "executed"),
        (changed("n2", recovery=False), "executed"),
        (changed("n2", recovery=None), "unknown"),
        # It streams, so another's timeline may have reached it: that is no promotion of its own.
        (changed("n2", lineage=NEW_TIMELINE, position=at(5001), attached="n1"), "unknown"),
        (changed("n2", state=State.STOPPED, started=None), "not executed"),
        (changed("n2", state=State.CRASHED, started=None), "not executed"),
        (changed("n2", state=State.CRASHED, lineage=NEW_TIMELINE, position=at(5001), **DETACHED), "executed"),
        # A history file alone is no promotion: nothing was written in it.
        (changed("n2", state=State.CRASHED, lineage=NEW_TIMELINE, position=at(5000), **DETACHED), "not executed"),
    ],
)
def test_a_promotion_may_outlive_its_answer(now: Facts, found: Found) -> None:
    """In recovery, a promotion that was asked for is over only with the process that was told."""
    assert judged("promote", "n2", healthy(), now) == found


@pytest.mark.parametrize(
    ("now", "found"),
    [
        (changed("n1", load=load(0)), "not executed"),
        (changed("n1", load=load(1)), "unknown"),  # An INSERT that waits for a lock is still to come.
        (changed("n1", load=None), "unknown"),
        (changed("n1", position=None), "unknown"),
        (changed("n1", position=at(6000)), "unknown"),
        (changed("n1", state=State.CRASHED), "unknown"),
        (changed("n1", load=load(1), position=Position(term=2, bound=2, timeline=1, lsn=Lsn(6000))), "executed"),
    ],
)
def test_a_row_may_still_be_written(now: Facts, found: Found) -> None:
    """A renewal is not executed only once no session is left that could write its row."""
    assert judged("renew", "n1", healthy(), now) == found


@pytest.mark.parametrize("action", ["stop", "demote"])
@pytest.mark.parametrize(
    ("now", "found"),
    [
        (changed("n1"), "not executed"),
        (changed("n1", stopping=True), "unknown"),  # Be it that its process stands still, the signal pending.
        (changed("n1", started="today"), "unknown"),
        (changed("n1", started=None), "unknown"),
        (changed("n1", state=State.STOPPED, started=None, shutdown=Lsn(5000)), "executed"),
    ],
)
def test_a_shutdown_may_still_come(action: str, now: Facts, found: Found) -> None:
    """Told to shut down, a process that has not taken it up yet will; one that is gone cannot."""
    assert judged(action, "n1", healthy(), now) == found


def test_a_process_that_is_gone_is_stopped_and_not_demoted() -> None:
    """A stop wants PostgreSQL down, and it is; a demotion needs the end of the WAL that a clean shutdown leaves."""
    now = changed("n1", state=State.CRASHED, started=None)
    assert judged("stop", "n1", healthy(), now) == "executed"
    assert judged("demote", "n1", healthy(), now) == "not executed"


def ends(action: str, node: str, now: Facts) -> bool:
    """Tell whether what the action says of its operation, cut off, is the last that will ever be said."""
    before = with_instance(healthy(), node, **RUNNING)[node]
    return catalogue()[action].established(plan_of(action, node, healthy()), before, now, *CROSSED).ends


@pytest.mark.parametrize(("action", "node"), [("demote", "n1"), ("promote", "n2"), ("renew", "n1")])
def test_another_log_tells_nothing_of_the_old_one(action: str, node: str) -> None:
    """Recloned since, a node shows another's history: whether it had happened in its old one is unknown for ever."""
    position = Position(term=2, bound=2, timeline=2, lsn=Lsn(9000))
    now = changed(node, folder="data-0002", recovery=True, lineage=NEW_TIMELINE, position=position, **DETACHED)
    assert judged(action, node, healthy(), now) == "unknown"
    assert ends(action, node, now)


@pytest.mark.parametrize("state", [State.STOPPED, State.CRASHED])
def test_a_server_that_is_down_may_have_run_in_between(state: State) -> None:
    """A start that crossed, and whose server is down now: whether it accepted connections is unknown for ever."""
    now = changed("n3", state=state, started=None)
    assert judged("start", "n3", healthy(), now) == "unknown"
    assert ends("start", "n3", now)
    assert not ends("start", "n3", changed("n3", state=State.UNREACHABLE))


def test_settings_that_cannot_be_read_do_not_deny_an_upstream() -> None:
    """Whether they name it is unknown until they can be read."""
    now = changed("n3", attached=None, damage=(f"{SETTINGS}: Permission denied",))
    assert judged("follow", "n3", healthy(), now) == "unknown"
    assert not ends("follow", "n3", now)
    assert judged("follow", "n3", healthy(), changed("n3", attached=None)) == "not executed"


def test_a_demotion_is_its_own_pledge() -> None:
    """Another's pledge of the same or a higher term is none of the demotion's, and makes its own impossible."""
    standing = healthy()["n1"].standing
    for candidacy, found in ((SECOND, "executed"), (Candidacy(term=2, node="n3"), "not executed")):
        pledge = pledged(healthy(), "n1", candidacy)["n1"].standing.pledge
        now = replace(changed("n1"), standing=replace(promised(standing, candidacy), pledge=pledge))
        assert judged("demote", "n1", healthy(), now) == found


def test_a_fence_is_its_own_pledge() -> None:
    """What a grant told the node is no pledge of its own; a pledge stays made when it is superseded."""
    told = with_standing(healthy(), "n3", pledged=SECOND)["n3"]
    assert judged("fence", "n3", healthy(), told) == "not executed"
    made = pledged(healthy(), "n3", SECOND)
    assert judged("fence", "n3", healthy(), pledged(made, "n3", Candidacy(term=3, node="n1"))["n3"]) == "executed"


def test_a_witness_is_fenced_too() -> None:
    """The standing alone tells; there is no PostgreSQL to look at."""
    plan = replace(plan_of("fence", "n3", healthy()), term=2)
    witness = replace(pledged(healthy(), "n3", SECOND)["n3"], instance=None)
    assert catalogue()["fence"].established(plan, witness, witness, *CROSSED).result == "executed"


def test_running_is_not_enough_of_a_start() -> None:
    """A start whose process does not answer is unknown; one without a process is over."""
    before = with_instance(healthy(), "n3", state=State.STOPPED)
    for state, found in (
        (State.RUNNING, "executed"),
        (State.UNREACHABLE, "unknown"),
        (State.STOPPED, "unknown"),
        (State.CRASHED, "unknown"),
    ):
        assert judged("start", "n3", before, changed("n3", state=state)) == found


def _instances() -> list[Instance]:
    return [each.instance for each in healthy().values() if each.instance is not None]


def test_nothing_said_before_counts_as_the_same_process() -> None:
    """Facts of before that do not tell which postmaster ran prove nothing about the one that runs."""
    assert all(each.started is None for each in _instances())
    now = changed("n2")
    plan = plan_of("promote", "n2", healthy())
    assert catalogue()["promote"].established(plan, healthy()["n2"], now, *CROSSED).result == "unknown"
    plan = plan_of("stop", "n1", healthy())
    assert catalogue()["stop"].established(plan, healthy()["n1"], changed("n1"), *CROSSED).result == "unknown"
