"""What is equal on all nodes is folded; what deviates, or is not known, never is."""

from msgspec.structs import replace

from aerodb.protocol.carrying import Carrying, LogicalSlot
from aerodb.protocol.facts import Load, State
from aerodb.protocol.keeping import Keeping, Slot
from aerodb.views.facts import ALWAYS, FactTable, fact_table
from aerodb.views.observed import observe_snapshot
from tests.unit.rules.scenes import CLUSTER, NAMES, Scene, healthy, snapshot_of, with_instance


def _table(scene: Scene) -> FactTable:
    return fact_table(NAMES, observe_snapshot(CLUSTER, snapshot_of(scene), {}))


def _shown(table: FactTable) -> dict[str, tuple[str, ...]]:
    return {row.fact: tuple(text for _, text in row.values) for row in table.rows}


def test_what_is_equal_is_folded_into_one_sentence() -> None:
    """A healthy cluster shows what its nodes are and how far behind; the rest is counted, and named."""
    table = _table(healthy())
    named = "PostgreSQL running, 18.6, term of its WAL 1, timeline 1"
    assert table.said == f"{len(table.equal)} facts are equal on all 3 that report: {named}"
    assert set(_shown(table)) >= ALWAYS
    assert not set(_shown(table)) & {row.fact for row in table.equal}
    assert "Settings" in {row.fact for row in table.equal}


def test_what_deviates_is_never_folded() -> None:
    """One node that is down brings the row of all; and so does a deviation that all of them share."""
    assert _shown(_table(with_instance(healthy(), "n3", state=State.STOPPED)))["PostgreSQL"][2] == "stopped, 18.6"
    scene = healthy()
    for name in NAMES:
        scene = with_instance(scene, name, drift=("port",))
    assert _shown(_table(scene))["Settings"] == ("port",) * 3


def test_what_is_not_known_is_never_folded() -> None:
    """Unknown on all of them is not equal: it is unknown."""
    scene = healthy()
    for name in NAMES:
        scene = with_instance(scene, name, quorum=None)
    assert _shown(_table(scene))["Quorum in force (k)"] == ("unknown",) * 3


def test_who_gives_no_report_is_not_counted_among_the_equal() -> None:
    """A silent node's column says unknown, and the sentence counts those that report."""
    table = _table({name: facts for name, facts in healthy().items() if name != "n2"})
    assert "equal on all 2 that report" in table.said
    assert _shown(table)["Role"] == ("primary", "not observed", "standby of n1")
    assert all(row.values[1][1] == "unknown" for row in table.equal)
    alone = _table({"n3": healthy()["n3"]})
    assert "facts are no deviation: PostgreSQL running" in alone.said


def test_what_is_unknown_because_a_node_is_down_is_said_once() -> None:
    """That it is down deviates, and stands out; what it cannot tell, being down, does not, and folds nothing open."""
    scene = with_instance(healthy(), "n3", state=State.STOPPED, quorum=None, load=None)
    table = _table(scene)
    assert "equal on all 2 that report and run" in table.said
    assert table.rows[1].values[2] == ("bad", "stopped, 18.6")
    assert next(row for row in table.equal if row.fact == "Quorum in force (k)").values[2] == ("dim", "unknown")


def test_a_commit_that_waits_for_a_moment_is_no_deviation() -> None:
    """Under load some commit always waits; what has waited for long is marked, with for how long."""
    load = Load(
        sessions=1, longest_transaction_seconds=0, waiting_commits=3, prepared_transactions=0, backups=0,
        logical_slots=0, longest_wait_seconds=1,
    )  # fmt: skip
    assert _waits(with_instance(healthy(), "n1", load=load)) == ("plain", "3")
    assert _waits(with_instance(healthy(), "n1", load=replace(load, longest_wait_seconds=7))) == ("warn", "3, 7 s")


def _waits(scene: Scene) -> tuple[str, str]:
    return next(row for row in _table(scene).rows if row.fact == "Commits waiting").values[0]


def test_logical_slots_are_named_with_what_each_copy_is_worth() -> None:
    """The primary's by name, a standby's as copies; and up to how much WAL slots may keep."""
    slot = LogicalSlot(
        name="cdc", database="shop", plugin="pgoutput", failover=True, synced=False, temporary=False, invalid="",
        confirmed=None,
    )  # fmt: skip
    here = Carrying(copies=True, logical=(slot,), slots_keep_bytes_max=20 << 30, archive_mode="off", archives_by="")
    waits = Slot(name="n2", kind="physical", active=True, lost=False, held_bytes=0)
    scene = with_instance(healthy(), "n1", carrying=here, keeping=Keeping(slots=(waits,)))
    scene = with_instance(scene, "n2", carrying=replace(here, logical=(replace(slot, synced=True),)))
    scene = with_instance(scene, "n3", carrying=replace(here, logical=(replace(slot, synced=True, temporary=True),)))
    rows = _shown(_table(scene))
    assert rows["Logical slots"] == ("cdc", "cdc (a ready copy)", "cdc (a copy, not ready yet)")
    assert rows["Slots"][0] == "1, which keep 0 B, 20 GB each at most"
    lost = replace(here, logical=(replace(slot, invalid="wal_removed"),), slots_keep_bytes_max=None)
    rows = _shown(_table(with_instance(scene, "n1", carrying=lost)))
    assert rows["Logical slots"][0] == "cdc (invalid: wal_removed)"
    assert rows["Slots"][0] == "1, which keep 0 B, without a bound"
