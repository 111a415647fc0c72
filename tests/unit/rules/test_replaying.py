"""What stands in the way of replay, of promotions and of shutdowns is judged or said, before writes stop."""

import pytest
from msgspec.structs import replace

from aerodb.actions import catalogue
from aerodb.protocol.authority import Position
from aerodb.protocol.facts import Instance
from aerodb.protocol.keeping import Capacity, Keeping, Replay, Slot, Volume, Wal
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.plan import Plan, Result
from aerodb.rules.explain import explain
from aerodb.rules.replaying import HELD_UP_BYTES, hold_ups, sized
from aerodb.rules.writes import writes
from aerodb.views.observed import lags, observe_snapshot
from aerodb.views.unusual import stream_remarks
from tests.unit.rules.scenes import CLUSTER, Scene, demoted, healthy, request_for, snapshot_of, with_instance

AMPLE = Capacity(
    max_connections=100,
    max_worker_processes=8,
    max_wal_senders=16,
    max_prepared_transactions=0,
    max_locks_per_transaction=64,
)
PAUSED = Keeping(replay=Replay(paused=True, unreplayed_bytes=9, conflicts=0))
MANY_BYTES = 2 << 20


def plan(scene: Scene, action: str, target: str, **arguments: str) -> Plan:
    """Return a plan."""
    found = catalogue()[action]
    named = {name.rstrip("_"): value for name, value in arguments.items()}
    return explain(CLUSTER, found, request_for(found, target, named), snapshot_of(scene))


def failing(found: Plan) -> dict[str, str]:
    """Return the invariants that do not hold, with their evidence."""
    return {each.invariant: each.evidence for each in found.verdicts if each.result is not Result.HOLDS}


def primary(scene: Scene) -> Instance:
    """Return the PostgreSQL of n1."""
    instance = scene["n1"].instance
    assert instance is not None
    return instance


def sender(scene: Scene, node: str, **changes: object) -> Scene:
    """Return the scene in which n1 says otherwise of one receiver."""
    senders = tuple(replace(each, **changes) if each.node == node else each for each in primary(scene).senders)
    return with_instance(scene, "n1", senders=senders)


def remarks(scene: Scene) -> list[str]:
    """Return what status says of how nodes send, receive and replay."""
    return [each.text for each in stream_remarks(observe_snapshot(CLUSTER, snapshot_of(scene), {}))]


def test_a_paused_replay_is_neither_fenced_nor_promoted_nor_a_successor() -> None:
    """Each would hang after the receiver was cut, or after the writes were stopped: rejected before, with the cure."""
    paused = with_instance(healthy(), "n2", keeping=PAUSED)
    assert set(failing(plan(paused, "fence", "n2", for_="n2"))) == {"replay-runs"}
    assert "pg_wal_replay_resume" in failing(plan(paused, "fence", "n2", for_="n2"))["replay-runs"]
    assert set(failing(plan(with_instance(demoted(), "n2", keeping=PAUSED), "promote", "n2"))) == {"replay-runs"}
    assert "paused" in failing(plan(paused, "demote", "n1", for_="n2"))["successor-streams"]
    assert "n2: replay is paused; it can be neither fenced nor promoted until it goes on" in remarks(paused)


@pytest.mark.parametrize("name", Capacity.__struct_fields__)
def test_a_successor_with_a_lower_setting_is_rejected(name: str) -> None:
    """Any of the five below the primary's pauses its replay sooner or later; status names it with both values."""
    scene = with_instance(healthy(), "n1", keeping=Keeping(capacity=replace(AMPLE, max_prepared_transactions=5)))
    enough = with_instance(scene, "n2", keeping=Keeping(capacity=replace(AMPLE, max_prepared_transactions=5)))
    assert failing(plan(enough, "demote", "n1", for_="n2")) == {}
    lower = replace(replace(AMPLE, max_prepared_transactions=5), **{name: 1})
    short = with_instance(scene, "n2", keeping=Keeping(capacity=lower))
    assert name in failing(plan(short, "demote", "n1", for_="n2"))["successor-streams"]
    assert any(name in text for text in remarks(short))


@pytest.mark.parametrize(
    "change", [{"silent_seconds": 30}, {"silent_seconds": 2, "flushed": Lsn(4999)}, {"ahead": True}]
)
def test_a_successor_that_is_stuck_or_another_log_is_rejected(change: dict[str, object]) -> None:
    """It is shown as streaming, and would not receive the last of the WAL."""
    assert set(failing(plan(sender(healthy(), "n2", **change), "demote", "n1", for_="n2"))) == {"successor-streams"}
    assert failing(plan(sender(healthy(), "n2", silent_seconds=29), "demote", "n1", for_="n2")) == {}


def test_a_demotion_warns_of_whoever_holds_it_up() -> None:
    """A third receiver that is silent, or far behind, or no node: the shutdown waits for each, and the plan says it."""
    scene = sender(healthy(), "n3", silent_seconds=45)
    said = "\n".join(plan(scene, "demote", "n1", for_="n2").notes)
    assert "n3 has said nothing for 45 s" in said
    assert "wal_sender_timeout" in said
    assert "n1: n3 is connected, and has said nothing for 45 s" in remarks(scene)
    far = with_instance(healthy(), "n1", position=replace(_position(healthy()), lsn=Lsn(5000 + HELD_UP_BYTES)))
    assert hold_ups(primary(far)) == ("n2 has 64 MB still to receive", "n3 has 64 MB still to receive")
    load = primary(healthy()).load
    assert load is not None
    others = with_instance(healthy(), "n1", load=replace(load, other_senders=2))
    assert hold_ups(primary(others)) == ("2 receiver(s) are no node of the cluster",)
    assert hold_ups(primary(healthy())) == ()


@pytest.mark.parametrize(("action", "arguments"), [("stop", {}), ("demote", {"for_": "n2"})])
def test_a_receiver_with_a_longer_log_is_named_before_a_shutdown_waits_for_it(
    action: str, arguments: dict[str, str]
) -> None:
    """Such a sender never ends by itself: the plan names whom to cut off first."""
    longer = sender(healthy(), "n3", sent=Lsn(4000), flushed=Lsn(5000))
    said = "\n".join(plan(longer, action, "n1", **arguments).notes)
    assert "n3 streams from n1, and its WAL is longer" in said
    level = sender(healthy(), "n3", sent=Lsn(5000), flushed=Lsn(5000))
    assert "is longer" not in "\n".join(plan(level, action, "n1", **arguments).notes)


def test_a_standby_that_is_recloned_names_a_receiver_with_a_longer_log() -> None:
    """A standby's senders wait alike, and a reclone stops it."""
    below = replace(primary(healthy()).senders[0], node="n2", sent=Lsn(4000), flushed=Lsn(5000))
    scene = with_instance(healthy(), "n3", senders=(below,))
    for action, arguments in (("reclone", {"upstream": "n1"}), ("stop", {})):
        assert any("n2 streams from n3" in note for note in plan(scene, action, "n3", **arguments).notes)


def _position(scene: Scene) -> Position:
    position = primary(scene).position
    assert position is not None
    return position


def test_a_promotion_says_what_it_does_not_cover() -> None:
    """Unlogged relations, a role's own synchronous_commit, slots that stay behind: counted, and said in the plan."""
    slots = (
        Slot(name="sub", kind="logical", active=True, lost=False, held_bytes=10),
        Slot(name="b", kind="physical", active=False, lost=False, held_bytes=MANY_BYTES),
    )
    scene = with_instance(demoted(), "n1", keeping=Keeping(slots=slots, unlogged=4))
    scene = with_instance(scene, "n2", keeping=Keeping(unlogged=3), drift=("synchronous_commit of a role or database",))
    said = "\n".join(plan(scene, "promote", "n2").notes)
    assert "4 relation(s) are UNLOGGED" in said
    assert "Replication slots stay on n1 (1 physical, 1 logical): they keep 2048 kB of WAL now" in said
    assert "synchronous_commit of its own" in said
    assert "remote_write" in plan(demoted(), "promote", "n2").loss.statement
    assert "unlogged" in plan(demoted(), "promote", "n2").loss.statement


def test_unlogged_relations_that_nobody_counted_are_not_said_to_be_none() -> None:
    """Not looked is unknown."""
    assert any("not known" in note for note in plan(demoted(), "promote", "n2").notes)
    counted = healthy()
    for name in CLUSTER.data_nodes:
        counted = with_instance(counted, name, keeping=Keeping(unlogged=0))
    assert not any("nlogged" in note for note in plan(counted, "demote", "n1", for_="n2").notes)


def test_status_names_what_replay_and_disks_lack() -> None:
    """WAL gone on the upstream, a slot that pins, a lost one, conflicts, a full disk: each with its cause."""
    slots = (
        Slot(name="old", kind="physical", active=False, lost=False, held_bytes=MANY_BYTES),
        Slot(name="gone", kind="logical", active=False, lost=True, held_bytes=None),
    )
    kept = Keeping(slots=slots, wal=Wal(size_bytes=1, begin=Lsn(6000)), volume=Volume(size_bytes=1 << 40, free_bytes=5))
    scene = with_instance(healthy(), "n1", keeping=kept)
    scene = with_instance(scene, "n2", receiver=None)
    scene = with_instance(scene, "n3", keeping=Keeping(replay=Replay(paused=False, unreplayed_bytes=0, conflicts=7)))
    assert remarks(scene) == [
        "n1: its disk is nearly full: 5 B of 1024 GB are free",
        "n1: slot old is used by nobody, and keeps 2048 kB of WAL",
        "n1: slot gone has lost the WAL that it needs",
        "n2: n1 no longer has the WAL that it needs next; reclone it",
        "n3: replay has cancelled 7 queries since its statistics were reset",
    ]
    assert remarks(healthy()) == []


def test_a_ring_of_standbys_is_named_once() -> None:
    """Two follows at one moment: each was judged before the other ran. That they do not stream is said beside it."""
    scene = with_instance(with_instance(healthy(), "n2", attached="n3"), "n3", attached="n2")
    ring = "n2, n3: attached to one another, and to no primary; a follow of one of them ends that"
    assert remarks(scene) == ["n2: not streaming, as n3 sees it", "n3: not streaming, as n2 sees it", ring]
    (link,) = [each for each in primary(healthy()).senders if each.node == "n2"]
    for name, other in (("n2", "n3"), ("n3", "n2")):
        scene = with_instance(scene, name, senders=(replace(link, node=other),))
    assert remarks(scene) == [ring]
    assert remarks(with_instance(scene, "n3", attached="n1")) == []


def test_lag_is_received_and_replayed_in_bytes_and_in_seconds() -> None:
    """Of a paused replay the received lag stays small, and the replayed one tells; what nobody measured is unknown."""
    scene = sender(healthy(), "n2", flush_lag_milliseconds=180, replay_lag_milliseconds=12_345)
    scene = with_instance(scene, "n2", position=replace(_position(scene), lsn=Lsn(4000)), keeping=PAUSED)
    observed = observe_snapshot(CLUSTER, snapshot_of(scene), {})
    assert lags("n2", observed.facts["n2"], observed) == ("1000 B, 0.1 s", "1009 B, 12.3 s")
    assert lags("n3", observed.facts["n3"], observed) == ("0 B, 0.0 s", "unknown")


def test_commits_that_wait_though_standbys_stream_are_not_acknowledged() -> None:
    """A frozen receiver is shown as streaming; the oldest commit's wait says otherwise."""
    load = primary(healthy()).load
    assert load is not None
    stuck = with_instance(healthy(), "n1", load=replace(load, waiting_commits=3, longest_wait_seconds=12))
    assert writes(CLUSTER, stuck).acknowledged == "unknown"
    assert "the oldest for 12 s" in writes(CLUSTER, stuck).headline


def test_sizes_are_whole() -> None:
    """No rounding up, and no more digits than a person reads."""
    sizes = [sized(each) for each in (0, 10239, 10240, 64 << 20, 100 << 30)]
    assert sizes == ["0 B", "10239 B", "10 kB", "64 MB", "100 GB"]
