"""What is equal on all nodes is folded; what deviates, or is not known, never is."""

from aerodb.protocol.facts import State
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
    assert "as usual on the one that reports" in alone.said
