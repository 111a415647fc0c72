"""Nodes whose WAL is replaced: what they may have acknowledged stays in their vote; sources, rings and claims."""

import pytest
from msgspec.structs import replace

from aerodb.actions import catalogue
from aerodb.actions.reclone import final, relinquished
from aerodb.protocol.authority import Branch, Candidacy, Owed, Position
from aerodb.protocol.facts import Commit, State
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.plan import Loss, Result, Verdict
from aerodb.rules.invariants import Invariant
from aerodb.rules.standing import copied, granted, owing, trimmed
from tests.unit.rules.doing import hands_in, order_in
from tests.unit.rules.scenes import (
    CLUSTER,
    FIRST,
    Scene,
    cluster_of,
    grant_of,
    healthy,
    pledged,
    request_for,
    switched,
    view_for,
    with_instance,
    with_standing,
)

UNKNOWN = Position(term=None, bound=None, timeline=1, lsn=Lsn(5000))
FOR_N3 = Candidacy(term=2, node="n3")


def verdict(scene: Scene, invariant: Invariant, action: str, target: str, **arguments: str) -> Verdict:
    """Return one verdict on a request."""
    view = view_for(request_for(catalogue()[action], target, arguments), scene, CLUSTER)
    return next(each for each in catalogue()[action].judge(view) if each.invariant == invariant)


def owes(scene: Scene, node: str, lsn: int, term: int | None = 1) -> Scene:
    """Return the scene with a node that discarded a WAL which ended at `lsn`, and does not reach that."""
    owed, instance = Owed(term=term, lsn=Lsn(lsn)), scene[node].instance
    assert instance is not None
    assert instance.position is not None
    scene = with_standing(scene, node, owed=owed)
    return with_instance(scene, node, position=replace(instance.position, owed=owed))


def elected(scene: Scene, voter: str) -> Scene:
    """Return the scene with n1 gone and `voter` fenced for n3."""
    left = {name: facts for name, facts in scene.items() if name != "n1"}
    return pledged(pledged(left, voter, FOR_N3), "n3", FOR_N3)


# Votes ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("node", "lsn", "term", "result"), [
    ("n2", 9000, 1, Result.VIOLATED),
    ("n2", 4000, 1, Result.HOLDS),
    ("n2", 4000, None, Result.UNKNOWN),
    ("n2", 1, 2, Result.VIOLATED),
    ("n3", 9000, 1, Result.VIOLATED),
    ("n3", 4000, 1, Result.HOLDS),
])  # fmt: skip
def test_writes_are_not_stopped_for_a_successor_whose_election_would_owe(
    node: str, lsn: int, term: int | None, result: Result
) -> None:
    """The successor gets all of the primary's WAL, and no more: what it or a voter owes beyond that stays owed."""
    scene = pledged(owes(healthy(), node, lsn, term), "n3", Candidacy(term=2, node="n2"))
    found = verdict(scene, Invariant.SUCCESSOR_ELECTABLE, "demote", "n1", **{"for": "n2"})
    assert found.result is result
    assert (f"a WAL that {node} has discarded" in found.evidence) == (result is not Result.HOLDS)


@pytest.mark.parametrize(("term", "lsn", "result"), [
    (1, 9000, Result.VIOLATED), (2, 1, Result.VIOLATED), (None, 4000, Result.UNKNOWN), (1, 4000, Result.HOLDS),
])  # fmt: skip
def test_writes_are_not_stopped_for_a_successor_that_a_voter_is_ahead_of(
    term: int | None, lsn: int, result: Result
) -> None:
    """A node that has pledged to the successor holds WAL that the primary does not: the election would fail on it."""
    position = Position(term=term, bound=term, timeline=1, lsn=Lsn(lsn))
    scene = pledged(with_instance(healthy(), "n3", position=position), "n3", Candidacy(term=2, node="n2"))
    found = verdict(scene, Invariant.SUCCESSOR_ELECTABLE, "demote", "n1", **{"for": "n2"})
    assert found.result is result
    assert ("n3 has pledged at term" in found.evidence) == (result is not Result.HOLDS)


def test_a_candidate_that_discarded_acknowledged_wal_is_not_elected() -> None:
    """The issue's first loss: n3's new WAL ends before what its old one acknowledged, and n2 was down meanwhile."""
    found = verdict(elected(owes(healthy(), "n3", 9000), "n2"), Invariant.WAL_PREFIX, "promote", "n3")
    assert found.result is Result.VIOLATED
    assert "n3 has discarded" in found.evidence
    assert verdict(elected(healthy(), "n2"), Invariant.WAL_PREFIX, "promote", "n3").result is Result.HOLDS


def test_a_voter_that_discarded_acknowledged_wal_is_to_be_reached() -> None:
    """A candidate must reach what the voter's old WAL may have acknowledged, not only what its new one holds."""
    found = verdict(elected(owes(healthy(), "n2", 9000), "n2"), Invariant.WAL_PREFIX, "promote", "n3")
    assert found.result is Result.VIOLATED
    assert "n2 has discarded" in found.evidence
    reached = elected(owes(healthy(), "n2", 5000), "n2")
    assert verdict(reached, Invariant.WAL_PREFIX, "promote", "n3").result is Result.HOLDS


def test_two_data_nodes_and_a_witness_elect_no_log_that_was_cut_short() -> None:
    """The witness holds no WAL, so what the candidate itself owes is all that stands against it."""
    cluster, for_n2 = cluster_of(witness=True), Candidacy(term=2, node="n2")
    for owing_node, result in ((True, Result.VIOLATED), (False, Result.HOLDS)):
        scene = owes(healthy(cluster), "n2", 9000) if owing_node else healthy(cluster)
        scene = {name: facts for name, facts in scene.items() if name != "n1"}
        scene = pledged(pledged(scene, "w", for_n2, cluster), "n2", for_n2, cluster)
        view = view_for(request_for(catalogue()["promote"], "n2", {}), scene, cluster)
        found = {each.invariant: each.result for each in catalogue()["promote"].judge(view)}
        assert found[Invariant.WAL_PREFIX] is result
        assert found[Invariant.ELECTION_QUORUM] is Result.HOLDS


def test_what_is_owed_in_an_unknown_term_is_reached_by_nobody() -> None:
    """Neither a voter's nor the candidate's own: unknown counts as no."""
    for node in ("n2", "n3"):
        scene = elected(owes(healthy(), node, 0, term=None), "n2")
        assert verdict(scene, Invariant.WAL_PREFIX, "promote", "n3").result is Result.UNKNOWN


def test_what_is_owed_only_rises() -> None:
    """A second discarded WAL adds to the first; an unknown term is above all."""
    standing = healthy()["n2"].standing
    low, high, untold = Owed(term=1, lsn=Lsn(9)), Owed(term=2, lsn=Lsn(1)), Owed(term=None, lsn=Lsn(0))
    assert owing(owing(standing, high), low).owed == high
    assert owing(owing(standing, low), high).owed == high
    assert owing(owing(standing, untold), high).owed == untold


# Reclone --------------------------------------------------------------------------------------------------------------


def test_a_log_that_tells_its_end_is_owed_up_to_there() -> None:
    """The bound counts, not the term that the rows show; and the standing then names no upstream."""
    position = Position(term=1, bound=2, timeline=1, lsn=Lsn(7000))
    scene = with_instance(healthy(), "n3", position=position)
    view = view_for(request_for(catalogue()["reclone"], "n3", {"upstream": "n1"}), scene)
    assert final(view) == Owed(term=2, lsn=Lsn(7000))
    after = relinquished(view, scene["n3"].standing)
    assert (after.owed, after.upstream, after.role) == (Owed(term=2, lsn=Lsn(7000)), None, "standby")


def test_a_grant_that_is_known_is_not_the_history_of_the_log_that_is_kept() -> None:
    """The old folder never gets the new primary's history: a diverged WAL would count as part of it."""
    scene, lineage = forked()
    view = view_for(request_for(catalogue()["reclone"], "n1", {"upstream": "n2"}), scene)
    after = relinquished(view, scene["n1"].standing)
    assert after.granted == Candidacy(term=2, node="n2")
    assert after.lineage == scene["n1"].standing.lineage != lineage
    bound = copied(after, "n2", "new")
    assert (bound.lineage, bound.folder, bound.upstream) == (lineage, "new", "n2")


def test_a_log_that_cannot_tell_its_end_is_discarded_only_for_the_newest_primarys() -> None:
    """The node is down, and a majority has promised nobody a term above the source's; else its vote could be lost."""
    down = with_instance(healthy(), "n3", state=State.STOPPED, position=UNKNOWN, receiver=None)
    assert verdict(down, Invariant.VOTE_KEPT, "reclone", "n3", upstream="n1").result is Result.HOLDS
    promised = pledged(down, "n2", Candidacy(term=2, node="n2"))
    assert verdict(promised, Invariant.VOTE_KEPT, "reclone", "n3", upstream="n1").result is Result.VIOLATED
    running = with_instance(healthy(), "n3", position=UNKNOWN)
    assert verdict(running, Invariant.VOTE_KEPT, "reclone", "n3", upstream="n1").result is Result.UNKNOWN


def test_an_unreadable_folder_is_recloned_from_the_newest_primary() -> None:
    """No position at all: as one that cannot be told."""
    broken = with_instance(healthy(), "n3", state=State.UNREADABLE, position=None, lineage=(), receiver=None)
    assert verdict(broken, Invariant.VOTE_KEPT, "reclone", "n3", upstream="n1").result is Result.HOLDS


def test_commits_wait_while_the_only_other_standby_is_copied() -> None:
    """The plan says so, where the node is the last that acknowledges; and not where another does."""
    action = catalogue()["reclone"]
    view = view_for(request_for(action, "n3", {"upstream": "n1"}), healthy())
    assert "acknowledges nothing from the beginning of the copy" in action.notes(view)[0]
    assert not any("meanwhile: waiting" in each for each in action.writes(view))
    n1 = healthy()["n1"].instance
    assert n1 is not None
    alone = with_instance(healthy(), "n1", senders=tuple(each for each in n1.senders if each.node == "n3"))
    view = view_for(request_for(action, "n3", {"upstream": "n1"}), alone)
    assert any("meanwhile: waiting" in each for each in action.writes(view))


# Sources --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["follow", "reclone"])
def test_a_source_is_at_least_of_the_targets_own_term(action: str) -> None:
    """A node that its upstream carried into term 2, untold, takes no WAL from the primary of term 1."""
    carried = with_instance(healthy(), "n3", position=Position(term=2, bound=2, timeline=2, lsn=Lsn(5000)))
    found = verdict(carried, Invariant.UPSTREAM_AUTHORITY, action, "n3", upstream="n1")
    assert found.result is Result.VIOLATED
    assert "its WAL is of term 2" in found.evidence


def test_a_standbys_wal_is_as_good_as_a_pledge() -> None:
    """A standby that was carried into a term, untold, can be followed by who has pledged that term."""
    scene = switched()
    carried = with_instance(scene, "n3", position=Position(term=2, bound=2, timeline=1, lsn=Lsn(5000)))
    assert verdict(scene, Invariant.UPSTREAM_AUTHORITY, "follow", "n1", upstream="n3").result is Result.VIOLATED
    assert verdict(carried, Invariant.UPSTREAM_AUTHORITY, "follow", "n1", upstream="n3").result is Result.HOLDS


def test_an_upstream_behind_a_silent_node_may_end_in_a_ring() -> None:
    """Where the node in the middle does not report, whether there is a ring is not known."""
    chained = with_standing(healthy(), "n2", upstream="n1")
    silent = {name: facts for name, facts in chained.items() if name != "n1"}
    found = verdict(silent, Invariant.NO_CYCLE, "follow", "n3", upstream="n2")
    assert found.result is Result.UNKNOWN
    assert "n1 did not report" in found.evidence
    assert verdict(chained, Invariant.NO_CYCLE, "follow", "n3", upstream="n2").result is Result.HOLDS


def test_a_ring_is_seen_in_the_settings_too() -> None:
    """Whom PostgreSQL's settings name is streamed from, whatever the standing says."""
    attached = with_instance(with_standing(healthy(), "n2", upstream=None), "n2", attached="n3")
    assert verdict(attached, Invariant.NO_CYCLE, "follow", "n3", upstream="n2").result is Result.VIOLATED


# Folders --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("node", ["n1", "n3"])
def test_the_history_of_another_folder_proves_no_ancestry(node: str) -> None:
    """Neither the target's nor the upstream's: a folder that the standing is not bound to has an unknown history."""
    swapped = with_instance(healthy(), node, identity="another")
    assert verdict(swapped, Invariant.WAL_ANCESTRY, "follow", "n3", upstream="n1").result is Result.UNKNOWN


def test_no_primary_starts_on_another_folder_than_its_own() -> None:
    """An older folder, put in use by a hand, would serve an older WAL in the term of the newer one."""
    down = with_instance(healthy(), "n1", state=State.CRASHED, senders=())
    assert verdict(down, Invariant.ROLE_FITS, "start", "n1").result is Result.HOLDS
    for identity in ("another", None):
        swapped = with_instance(down, "n1", identity=identity)
        assert verdict(swapped, Invariant.ROLE_FITS, "start", "n1").result is Result.VIOLATED


def test_a_branch_that_a_log_does_not_have_is_not_told_of_later() -> None:
    """Detached, a node forgets what it was told of branches that its WAL never got: a namesake may come."""
    told = (*FIRST, Branch(timeline=2, begin=Lsn(5000), term=2))
    standing = replace(healthy()["n3"].standing, lineage=told)
    assert trimmed(standing, FIRST).lineage == FIRST
    assert trimmed(standing, told).lineage == told
    assert trimmed(standing, ()) == standing


# Claims ---------------------------------------------------------------------------------------------------------------


def forked() -> tuple[Scene, tuple[Branch, ...]]:
    """Return n2 as the primary of term 2 on timeline 2, and n1, crashed, with 500 bytes beyond; and n2's history."""
    lineage = (*FIRST, Branch(timeline=2, begin=Lsn(4500), term=2))
    scene = with_instance(switched(), "n2", lineage=lineage)
    grant, signed = grant_of(scene, "n2", 2)
    standing = granted(scene["n2"].standing, grant, signed, own=True)
    scene = {**scene, "n2": replace(scene["n2"], standing=standing), "n1": healthy()["n1"]}
    return with_instance(scene, "n1", state=State.CRASHED, quorum=1, senders=()), lineage


def loss_of(scene: Scene) -> Loss:
    """Return the loss statement of recloning n1 from n2."""
    view = view_for(request_for(catalogue()["reclone"], "n1", {"upstream": "n2"}), scene)
    return catalogue()["reclone"].loss(view)


def test_nothing_acknowledged_is_claimed_only_where_it_follows() -> None:
    """An older term, under a known policy, against a signed grant; where one is missing, it cannot be told."""
    scene, lineage = forked()
    assert "None of it was synchronously acknowledged" in loss_of(scene).statement
    wrongly_named = (*FIRST, replace(lineage[1], term=1))
    for changes in (
        {"position": UNKNOWN},
        {"position": Position(term=2, bound=2, timeline=1, lsn=Lsn(5000))},
        {"quorum": None},
        {"drift": ("synchronous_standby_names",)},
        {"lineage": wrongly_named},
    ):
        found = loss_of(with_instance(scene, "n1", **changes))
        assert found.claim == "at most"
        assert "cannot be told" in found.statement


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"commits": None, "commits_since": None}, "not known: the WAL was not read"),
        ({"commits": (), "commits_since": Lsn(4400)}, "no commit is seen beyond it"),
        ({"commits": (), "commits_since": Lsn(4800)}, "what is between 0/1194 and there was not read"),
        (
            {"commits": (Commit(xid=7, lsn=Lsn(4600), time="t"),), "commits_since": Lsn(4500)},
            "1 commit(s) are seen beyond it; the newest: xid 7 of t",
        ),
    ],
)
def test_none_is_said_only_of_what_was_read(changes: dict[str, object], said: str) -> None:
    """Commits that nobody read are not none; what was read from is said."""
    scene = with_instance(forked()[0], "n1", **changes)
    assert any(said in each for each in loss_of(scene).arithmetic)


# Steps ----------------------------------------------------------------------------------------------------------------


def test_a_reclone_ends_acknowledging_before_it_copies_and_binds_after_the_rename() -> None:
    """Detached and owing before the copy; nothing of the new WAL is written before the rename."""
    hands = hands_in(healthy(), "n3")
    catalogue()["reclone"].operate(hands, order_in(healthy(), "reclone", "n3", upstream="n1"))
    assert hands.done == [
        "detach", "write standing", "copy n1", "stop", "cross", "swap", "write standing", "attach n1", "start",
    ]  # fmt: skip
    assert hands.standing().owed == Owed(term=1, lsn=Lsn(5000))


def test_what_an_untold_log_may_have_acknowledged_is_owed_before_it_is_discarded() -> None:
    """The source's term and the end of the copy, durably, before the rename."""
    down = with_instance(healthy(), "n3", state=State.CRASHED, position=UNKNOWN, receiver=None)
    hands = hands_in(down, "n3")
    catalogue()["reclone"].operate(hands, order_in(down, "reclone", "n3", upstream="n1"))
    assert hands.done[:5] == ["detach", "write standing", "copy n1", "write standing", "cross"]
    assert hands.standing().owed == Owed(term=1, lsn=Lsn(9000))


def test_a_promotion_settled_later_writes_the_missing_row_before_the_grant() -> None:
    """The agent died, or the row was refused: the outcome writes it; where it is there, it is not written twice."""
    scene = pledged(healthy(), "n1", Candidacy(term=2, node="n2"))
    scene = with_instance(scene, "n1", state=State.STOPPED, recovery=False, shutdown=Lsn(5000), receiver=None)
    order = order_in(scene, "promote", "n2")
    branch = Branch(timeline=2, begin=Lsn(5000), term=None)
    bare = with_instance(
        scene, "n2", recovery=False, lineage=(*FIRST, branch), position=replace(UNKNOWN, timeline=2), attached=None
    )
    hands = hands_in(bare, "n2")
    standing = catalogue()["promote"].settle(hands, order.plan)
    assert hands.done == ["write term 2"]
    assert standing.lineage[-1] == replace(branch, term=2)
    written = with_instance(bare, "n2", position=Position(term=2, bound=2, timeline=2, lsn=Lsn(5100)))
    hands = hands_in(written, "n2")
    assert catalogue()["promote"].settle(hands, order.plan).role == "primary"
    assert hands.done == []


def test_a_promotion_settled_while_postgresql_is_down_rests_on_the_grant_alone() -> None:
    """Nothing can be written then; the node is the primary that it became, and may be started or pledge."""
    scene = pledged(healthy(), "n1", Candidacy(term=2, node="n2"))
    scene = with_instance(scene, "n1", state=State.STOPPED, recovery=False, shutdown=Lsn(5000), receiver=None)
    order = order_in(scene, "promote", "n2")
    branch = Branch(timeline=2, begin=Lsn(5000), term=None)
    down = with_instance(
        scene, "n2", state=State.CRASHED, recovery=False, lineage=(*FIRST, branch),
        position=replace(UNKNOWN, timeline=2), attached=None,
    )  # fmt: skip
    hands = hands_in(down, "n2")
    standing = catalogue()["promote"].settle(hands, order.plan)
    assert hands.done == []
    assert (standing.role, standing.granted, standing.lineage[-1].term) == ("primary", Candidacy(term=2, node="n2"), 2)
