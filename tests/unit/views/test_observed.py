"""What people are told of a node beyond its state."""

from aerodb.protocol.facts import UnusedFolder
from aerodb.views.unusual import node_remarks
from tests.unit.rules.scenes import Scene, healthy, with_instance, with_standing


def _said(scene: Scene) -> str:
    return "; ".join(each.text for each in node_remarks(scene["n1"]))


def test_what_could_not_be_read_is_said_with_why() -> None:
    """A part that is unknown is named."""
    assert "log: no record" in _said(with_instance(healthy(), "n1", damage=("log: no record can be read",)))


def test_a_weaker_policy_is_said_as_long_as_it_is_remembered() -> None:
    """Whoever looks learns that commits may be on this node alone."""
    assert "weaker policy" in _said(with_standing(healthy(), "n1", weakened=True))
    assert "weaker policy" not in _said(healthy())


def test_folders_that_are_kept_are_listed_with_their_size() -> None:
    """Each by its name, in megabytes."""
    kept = (UnusedFolder(name="data-0001", bytes=57 << 20), UnusedFolder(name="data-0002.ab.partial", bytes=1 << 33))
    said = _said(with_instance(healthy(), "n1", unused=kept))
    assert "data-0001 (57 MB), data-0002.ab.partial (8,192 MB)" in said
