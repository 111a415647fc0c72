"""Signed ahead: what may be foreseen, that foresight is honest, and that the two requests name exactly each other.

Foresight is held against the real thing: the earlier request is carried out by its own operation on the same state, and
the later one is judged on what that has left.
"""

import dataclasses
from collections.abc import Callable, Iterator

import pytest
from msgspec.structs import replace

from aerodb.actions import catalogue
from aerodb.protocol.ahead import AFTER, Earlier, read_earlier
from aerodb.protocol.authority import Candidacy, Owed, Position
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import State
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.plan import LaterPlan, Plan, Request, Result, Verdict
from aerodb.rules.ahead import FORESEEABLE, judged
from aerodb.rules.arguments import RequestMalformed
from aerodb.rules.explain import explain, failed, verdict_changes
from aerodb.rules.foreseen import left_by
from aerodb.rules.invariants import Invariant, holds
from aerodb.rules.operation import carry_out
from aerodb.rules.position import reaches_owed
from aerodb.rules.specification import Foreseen, Order
from aerodb.rules.view import View
from aerodb.rules.writes import denied
from tests.unit.rules.doing import SceneHands, SceneProcess
from tests.unit.rules.plans import states
from tests.unit.rules.scenes import (
    CLUSTER,
    LATER,
    Scene,
    carried,
    cluster_of,
    healthy,
    pledged,
    request_for,
    sized,
    snapshot_of,
    view_for,
    with_instance,
    with_standing,
)
from tests.unit.rules.test_matrix import PAUSED, UNFINISHED

PROMOTE, DEMOTE = catalogue()["promote"], catalogue()["demote"]
EARLIER = Earlier(action="demote", target="n1", request=LATER.request)
AT_1000 = Position(term=1, bound=1, timeline=1, lsn=Lsn(1000))
FOR_N2 = Candidacy(term=2, node="n2")


def later(node: str = "n2", primary: str = "n1") -> Request:
    """Return the request to promote a node after its primary's demotion."""
    return request_for(PROMOTE, node, {AFTER: str(replace(EARLIER, target=primary))})


def first(primary: str = "n1", successor: str = "n2", **more: str) -> Request:
    """Return the request to demote a primary for its successor."""
    return request_for(DEMOTE, primary, {"for": successor, **more})


def ahead(scene: Scene, cluster: Cluster = CLUSTER, request: Request | None = None) -> Plan:
    """Return the plan of a promotion that is signed ahead."""
    return explain(cluster, PROMOTE, request or later(), snapshot_of(scene, cluster))


def results(plan: Plan) -> dict[str, Result]:
    """Return a plan's results by invariant."""
    return {each.invariant: each.result for each in plan.verdicts}


def said_of(plan: Plan, invariant: Invariant) -> str:
    """Return the evidence of one verdict."""
    return next(each.evidence for each in plan.verdicts if each.invariant == invariant)


class ShutsDown(SceneProcess):
    """A primary's process, whose clean shutdown ends its WAL with one record more."""

    def stop(self) -> None:
        """Shut down cleanly: nobody streams any more, and the control file says where the WAL ends."""
        position = self._hands.facts.instance.position if self._hands.facts.instance else None
        assert position is not None
        end = replace(position, lsn=Lsn(position.lsn.value + 120))
        self._hands.change(
            "stop", state=State.STOPPED, receiver=None, senders=(), shutdown=end.lsn, position=end, recovery=False
        )


def carried_out(scene: Scene, cluster: Cluster, asked: Request, plan: Plan) -> Scene:
    """Return the scene after a demotion that its own operation carried out, as far as it can be seen then.

    The shutdown waits for who streams: these have received all of it, and are cut off. What cannot be seen of a node
    cannot be seen afterwards either, and what it owes it still owes, until its WAL reaches that.
    """
    hands = SceneHands(scene[asked.target])
    hands.process = ShutsDown(hands)
    carry_out(DEMOTE, hands, Order(plan=plan, view=view_for(asked, scene, cluster), judge=DEMOTE.judge))
    left, end = {**scene, asked.target: hands.facts}, hands.facts.instance.position if hands.facts.instance else None
    assert end is not None
    for name, facts in scene.items():
        if facts.instance is None or facts.instance.attached != asked.target:
            continue
        before = facts.instance.position
        if not denied(facts, asked.target) and before is not None:
            owes = before.owed is not None and not reaches_owed(end, before.owed)
            left = with_instance(left, name, position=replace(end, owed=before.owed if owes else None))
        left = with_instance(left, name, receiver=None)
    return left


# Foresight is honest --------------------------------------------------------------------------------------------------


def demotions() -> Iterator[tuple[str, Scene, Cluster, Request, Request]]:
    """Yield, in every state on file, each demotion of a node that reports, and the promotion that comes after it."""
    for state, cluster, scene, _ in states():
        data = [name for name in cluster.data_nodes if name in scene]
        for primary in data:
            if scene[primary].standing.role == "primary":
                for node in (each for each in data if each != primary):
                    yield state, scene, cluster, first(primary, node), later(node, primary)


def ahead_blind(scene: Scene, cluster: Cluster, then: Request) -> Plan:
    """Return the plan of the same promotion if it came after nothing."""
    return explain(cluster, PROMOTE, replace(then, arguments={}), snapshot_of(scene, cluster))


def foreseen_said(plan: Plan) -> dict[str, str]:
    """Return the evidence of what is foreseen, without the words that say so."""
    lead = f"once demote {read_earlier(plan.request.arguments[AFTER]).target} is executed: "
    return {each.invariant: each.evidence.removeprefix(lead) for each in plan.verdicts if each.result == "foreseen"}


# What may be foreseen -------------------------------------------------------------------------------------------------


def test_only_the_four_that_need_the_pledge_are_foreseen() -> None:
    """In a healthy cluster of three: the quorums and the pledge are foreseen; all else holds, and holds now."""
    plan = ahead(healthy())
    found = results(plan)
    assert (plan.accepted, plan.term, type(plan)) == (True, 2, LaterPlan)
    foreseen = {name for name, result in found.items() if result is Result.FORESEEN}
    assert foreseen == FORESEEABLE == {"pledges-kept", "election-quorum", "commit-quorum", "wal-prefix"}
    assert {found[name] for name in found if name not in foreseen} == {Result.HOLDS}
    assert said_of(plan, Invariant.ELECTION_QUORUM).startswith("once demote n1 is executed: 2 of 3 members")


UNMENDED: dict[Invariant, Callable[[Scene], Scene]] = {
    Invariant.JOURNAL_SETTLED: lambda scene: {**scene, "n2": replace(scene["n2"], unfinished=UNFINISHED)},
    Invariant.POLICY_KNOWN: lambda scene: with_instance(scene, "n2", drift=("fsync",)),
    Invariant.RECEIVER_KNOWN: lambda scene: with_instance(scene, "n2", drift=("restore_command",)),
    Invariant.REPLAY_RUNS: lambda scene: with_instance(scene, "n2", keeping=PAUSED),
    Invariant.CONFIGURATION_AGREES: lambda scene: {**scene, "n2": replace(scene["n2"], configuration="sha256:other")},
}
"""What does not hold now on the node that is to be promoted, or on n3, and which no demotion of n1 would mend."""


@pytest.mark.parametrize("invariant", UNMENDED)
def test_whatever_else_does_not_hold_is_a_rejection(invariant: Invariant) -> None:
    """What the earlier request's pledge is not needed for must hold now; it is never foreseen."""
    plan = ahead(UNMENDED[invariant](healthy()))
    assert not plan.accepted
    found = results(plan)
    assert found[invariant] in {Result.VIOLATED, Result.UNKNOWN}
    assert {name for name, result in found.items() if result is Result.FORESEEN} <= FORESEEABLE


def test_what_holds_now_and_would_not_then_is_a_rejection() -> None:
    """The primary's settings name an upstream: once it is demoted, its pledge would count for nothing."""
    plan = ahead(with_instance(healthy(), "n1", attached="n3"))
    assert failed(plan.verdicts) == (Invariant.PLEDGES_KEPT,)
    said = said_of(plan, Invariant.PLEDGES_KEPT)
    assert said.startswith("once demote n1 is executed: the election needs a pledge that counts for nothing: n1 stands")


def test_a_successor_that_has_not_received_everything_yet_is_foreseen_to() -> None:
    """A clean shutdown waits for who streams: the successor may be behind while its promotion is signed."""
    assert ahead(with_instance(healthy(), "n2", position=AT_1000)).accepted


def test_other_words_for_what_holds_now_and_then_are_not_foresight() -> None:
    """A verdict that needs no pledge stays as it is now, whatever its evidence would be then; the four are foreseen."""
    now = view_for(later(), healthy())
    then = replace(now, term=now.term + 1)

    def judge(view: View) -> tuple[Verdict, ...]:
        return tuple(holds(each, f"in term {view.term}") for each in (Invariant.REPLAY_RUNS, Invariant.WAL_PREFIX))

    found = judged(now, dataclasses.replace(PROMOTE, judge=judge), Foreseen(view=then))
    assert [(each.result, each.evidence) for each in found] == [
        (Result.HOLDS, "in term 2"), (Result.FORESEEN, "once demote n1 is executed: in term 3")
    ]  # fmt: skip


def test_where_the_demotion_would_be_rejected_nothing_is_foreseen_and_why_is_said() -> None:
    """All four are violated, with the demotion's own failing verdict; the rest is judged as it is now."""
    unstreamed = with_instance(healthy(), "n1", senders=())
    plan = ahead(unstreamed)
    assert set(failed(plan.verdicts)) == FORESEEABLE
    why = "nothing can be foreseen: demote n1 would be rejected (successor-streams: n2 does not stream from n1)"
    assert {said_of(plan, each) for each in FORESEEABLE} == {why}
    now = ahead_blind(unstreamed, CLUSTER, later())
    assert {each for each in plan.verdicts if each.invariant not in FORESEEABLE} <= set(now.verdicts)


def test_a_silent_primary_is_foreseen_to_do_nothing() -> None:
    """Nothing can be foreseen of who does not report."""
    scene = {name: facts for name, facts in healthy().items() if name != "n1"}
    plan = ahead(scene)
    assert set(failed(plan.verdicts)) == FORESEEABLE
    assert said_of(plan, Invariant.ELECTION_QUORUM) == "nothing can be foreseen: n1 did not report"


def test_two_terms_are_no_sequence() -> None:
    """Where the demotion would pledge another term than the one to be promoted in, nothing is foreseen."""
    scene = pledged(healthy(), "n3", FOR_N2)
    scene = with_standing(scene, "n1", pledged=Candidacy(term=2, node="n1"))
    plan = ahead(scene)
    assert set(failed(plan.verdicts)) == FORESEEABLE
    assert said_of(plan, Invariant.WAL_PREFIX).endswith("demote n1 would pledge term 3, and not 2")


def test_a_pledge_of_n3_to_another_raises_the_term_of_both() -> None:
    """n3 has pledged elsewhere, or knows a higher grant: the sequence is for the next term, and n3 counts for none."""
    elsewhere = pledged(healthy(), "n3", Candidacy(term=2, node="n3"))
    for scene, term in (elsewhere, 3), (with_standing(healthy(), "n3", granted=Candidacy(term=9, node="n3")), 10):
        plan = ahead(scene)
        assert (plan.accepted, plan.term) == (True, term)
        assert "n3" not in said_of(plan, Invariant.ELECTION_QUORUM)


def test_a_successor_that_is_fenced_for_another_is_foreseen_nothing() -> None:
    """It receives nothing any more: the demotion for it would be rejected."""
    scene = pledged(healthy(), "n2", Candidacy(term=2, node="n3"))
    n1 = scene["n1"].instance
    assert n1 is not None
    scene = with_instance(scene, "n1", senders=tuple(each for each in n1.senders if each.node != "n2"))
    assert "would be rejected (successor-streams" in said_of(ahead(scene), Invariant.ELECTION_QUORUM)


SHAPES = {
    "two": (sized(2, 1), (), True),
    "two, k=0": (sized(2, 0), (), True),
    "two and a witness": (cluster_of(witness=True), (), True),
    "three, k=0": (cluster_of(quorum=0), (), True),
    "three, k=2": (cluster_of(quorum=2), (), True),
    "four": (sized(4, 1), (), False),
    "four, one fenced": (sized(4, 1), ("n3",), True),
    "four and a witness": (sized(4, 1, witness=True), (), False),
    "four and a witness, which has pledged": (sized(4, 1, witness=True), ("w",), True),
    "five": (sized(5, 2), (), False),
    "five, one fenced": (sized(5, 2), ("n3",), True),
    "five, k=0, one fenced": (sized(5, 0), ("n5",), True),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_clusters_of_every_shape(shape: str) -> None:
    """A majority is needed, and all others must have pledged before: then it is foreseen, and comes as foreseen."""
    cluster, fenced, accepted = SHAPES[shape]
    scene = healthy(cluster)
    for name in fenced:
        scene = pledged(scene, name, FOR_N2, cluster)
    plan = ahead(scene, cluster)
    assert plan.accepted is accepted
    if not accepted:
        assert "successor-electable" in said_of(plan, Invariant.ELECTION_QUORUM)
        return
    before = explain(cluster, DEMOTE, first(), snapshot_of(scene, cluster))
    after = carried_out(scene, cluster, first(), before)
    assert explain(cluster, PROMOTE, request_for(PROMOTE, "n2", {}), snapshot_of(after, cluster)).accepted


def test_a_witness_is_nobodys_primary() -> None:
    """Neither is one demoted before, nor promoted after; nor does a node come after itself, or after another action."""
    cluster = cluster_of(witness=True)
    for request in (later("n2", "w"), later("n2", "n2"), later("n2", "n9")):
        with pytest.raises(Exception, match=r"n2 cannot promote after|n9"):
            explain(cluster, PROMOTE, request, snapshot_of(healthy(cluster), cluster))
    fence = request_for(PROMOTE, "n2", {AFTER: str(replace(EARLIER, action="fence"))})
    with pytest.raises(RequestMalformed, match="promote comes after demote, and not after fence"):
        ahead(healthy(), request=fence)
    plan = explain(cluster, PROMOTE, later("w", "n1"), snapshot_of(healthy(cluster), cluster))
    assert not plan.accepted


def test_foreseen_counts_for_nothing_when_it_is_judged_again() -> None:
    """A verdict that was foreseen and holds now is a change; one that does not hold is one, whatever was foreseen."""
    plan = ahead(healthy())
    now = ahead_blind(healthy(), CLUSTER, later()).verdicts
    changed = {each.invariant for each in verdict_changes(plan.verdicts, now)}
    assert Invariant.ELECTION_QUORUM in changed
    assert verdict_changes(plan.verdicts, plan.verdicts) == ()
    assert failed(plan.verdicts) == ()


def test_what_is_left_is_what_the_operation_leaves() -> None:
    """The pure effect of a demotion names the pledge that its operation signs, but for where the shutdown ends."""
    view = view_for(first(), healthy())
    left = left_by(view, DEMOTE.leaves)
    real = carried_out(healthy(), CLUSTER, first(), explain(CLUSTER, DEMOTE, first(), snapshot_of(healthy())))
    own, made = left["n1"].facts, real["n1"]
    assert own.standing == replace(made.standing, pledge=own.standing.pledge)
    assert own.instance is not None
    assert made.instance is not None
    for name in ("state", "recovery", "senders", "receiver"):
        assert getattr(own.instance, name) == getattr(made.instance, name)
    pledge = left["n1"].pledge
    assert pledge is not None
    assert (pledge.term, pledge.candidate, pledge.since) == (2, "n2", (FOR_N2,))


def owing(lsn: int) -> Scene:
    """Return the scene in which n2 is behind, and has discarded a WAL that may have acknowledged up to there."""
    return with_instance(healthy(), "n2", position=replace(AT_1000, owed=Owed(term=1, lsn=Lsn(lsn))))


def test_what_a_successor_owes_it_still_owes_once_it_has_received_everything() -> None:
    """Its discarded WAL went further than the primary's: writes are not stopped for it, so nothing is foreseen."""
    plan = ahead(owing(7000))
    elected = (Invariant.PLEDGES_KEPT, Invariant.ELECTION_QUORUM, Invariant.COMMIT_QUORUM, Invariant.WAL_PREFIX)
    assert failed(plan.verdicts) == elected
    assert "demote n1 would be rejected" in said_of(plan, Invariant.WAL_PREFIX)
    assert "a WAL that n2 has discarded may have acknowledged up to" in said_of(plan, Invariant.WAL_PREFIX)


@pytest.mark.parametrize(("lsn", "owed"), [(7000, Owed(term=1, lsn=Lsn(7000))), (4000, None)])
def test_what_is_foreseen_to_be_owed_is_what_the_primary_does_not_hold(lsn: int, owed: Owed | None) -> None:
    """Once everything is received, that alone is left of what the successor owes."""
    instance = left_by(view_for(first(), owing(lsn)), DEMOTE.leaves)["n2"].facts.instance
    assert instance is not None
    assert instance.position is not None
    assert instance.position.owed == owed


def test_what_a_successor_owes_is_settled_by_what_it_is_foreseen_to_receive() -> None:
    """The primary's WAL goes further than the discarded one did, and the successor gets all of it."""
    assert ahead(owing(4000)).accepted


SAYS_NO = "n2 itself says that it does not stream from n1"
DENIALS: dict[str, tuple[Callable[[Scene], Scene], str]] = {
    "it has no receiver": (lambda scene: with_instance(scene, "n2", receiver=None), SAYS_NO),
    "its settings name another": (lambda scene: with_instance(scene, "n2", attached="n3"), SAYS_NO),
    "its PostgreSQL is down": (lambda scene: with_instance(scene, "n2", state=State.CRASHED), SAYS_NO),
    "it has another timeline": (lambda scene: carried(scene, "n2"), "the WAL of n2 is not part of that of n1"),
}


@pytest.mark.parametrize("denial", DENIALS)
def test_writes_are_not_stopped_for_who_says_itself_that_it_does_not_stream(denial: str) -> None:
    """The primary may not have noticed yet; the shutdown would wait for nobody, and the successor lack its end."""
    denied_by, evidence = DENIALS[denial]
    scene = denied_by(healthy())
    plan = explain(CLUSTER, DEMOTE, first(), snapshot_of(scene))
    assert failed(plan.verdicts) == (Invariant.SUCCESSOR_STREAMS,)
    assert said_of(plan, Invariant.SUCCESSOR_STREAMS) == evidence
    assert not ahead(scene).accepted
