"""What the story's measures say, without hosts: a measure that cannot fail would prove nothing."""

import pytest

from aerodb.local.writer import Acknowledged
from tests.hosts.application import longest_gap
from tests.hosts.records import Record, differences, without_times

COMMITS = [Acknowledged(number, at) for number, at in enumerate((0.0, 0.1, 2.1, 2.2, 7.2, 7.3))]
FILE = ("0o100640", 107, 115, 1_000, b"on")
BEFORE: Record = {"/etc/postgresql/15/main/postgresql.conf": FILE, "roles": ("postgres",)}


@pytest.mark.parametrize(
    ("hands", "gap"),
    [
        ([], 5.0),
        ([(3.0, 4.0)], 2.0),
        ([(7.2, 7.25)], 2.0),
        ([(1.0, 1.5), (7.0, 9.0)], 0.1),
        ([(0.05, 0.06)], 5.0),
    ],
)
def test_a_gap_counts_unless_a_hand_was_at_work_in_it(hands: list[tuple[float, float]], gap: float) -> None:
    """The longest one that no hand touches, even at its end; a hand elsewhere hides nothing."""
    assert longest_gap(COMMITS, hands) == pytest.approx(gap)


@pytest.mark.parametrize("at", range(len(FILE)))
def test_a_file_differs_by_each_thing_that_is_recorded(at: int) -> None:
    """Mode, owner, group, time or content: one of them is enough; and the time alone can be left out."""
    changed = tuple(b"" if index == at else value for index, value in enumerate(FILE))
    after = {**BEFORE, "/etc/postgresql/15/main/postgresql.conf": changed}
    assert len(differences(BEFORE, after)) == 1
    assert bool(differences(without_times(BEFORE), without_times(after))) == (at != 3)


def test_what_comes_or_goes_is_a_difference() -> None:
    """A file that is new, and a catalogue that says something else."""
    assert differences(BEFORE, BEFORE) == []
    assert len(differences(BEFORE, {**BEFORE, "/etc/postgresql/15/main/conf.d/more.conf": FILE})) == 1
    assert len(differences({**BEFORE, "/etc/postgresql/15/main/conf.d/more.conf": FILE}, BEFORE)) == 1
    assert differences(without_times(BEFORE), without_times({**BEFORE, "roles": ("postgres\naerodb_watch",)})) != []
