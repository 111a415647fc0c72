"""The journal of transitions on disk: bounded, rising, and never in anybody's way."""

import shutil
from pathlib import Path

import pytest

from aerodb.kernel.events.journal import EventJournal
from aerodb.protocol.events import Kind, Lost, Transition

ONE = Transition(kind=Kind.ROLE, before="standby", after="primary")


def filled(folder: Path, count: int, bytes_max: int = 1 << 20) -> EventJournal:
    """Return a journal with `count` events."""
    journal = EventJournal(folder, "n1", bytes_max)
    for _ in range(count):
        assert journal.append(ONE, None)
    return journal


def sequences(journal: EventJournal, since: int = 0, count: int = 1_000) -> list[int]:
    """Return the sequences of a page."""
    return [event.sequence for event in journal.page(since, count).events]


def test_pages_are_bounded_and_rise(tmp_path: Path) -> None:
    """A page begins after `since`, has at most what was asked for, and the next continues where it ended."""
    journal = filled(tmp_path / "e", 25)
    assert sequences(journal, 0, 10) == list(range(1, 11))
    assert sequences(journal, 10, 10) == list(range(11, 21))
    assert sequences(journal, 20, 10) == list(range(21, 26))
    assert journal.page(0, 10).lost == ()
    assert journal.page(25).events == ()


def test_it_is_bounded_and_says_what_was_rotated_away(tmp_path: Path) -> None:
    """The folder never holds more than its bound, and what went is named by its sequences."""
    journal = filled(tmp_path / "e", 300, 8_000)
    assert sum(path.stat().st_size for path in (tmp_path / "e").iterdir()) <= 9_000
    page = journal.page(0)
    first = page.events[0].sequence
    assert page.lost == (Lost(first=1, last=first - 1),)
    assert [event.sequence for event in page.events] == list(range(first, 301))


def test_sequences_rise_over_restarts(tmp_path: Path) -> None:
    """Another agent goes on where the last one ended, in the same file."""
    filled(tmp_path / "e", 3)
    journal = filled(tmp_path / "e", 2)
    assert sequences(journal) == [1, 2, 3, 4, 5]
    assert len(list((tmp_path / "e").iterdir())) == 1


@pytest.mark.parametrize("damage", [b"\x00\xff", b'{"sequence": 4, "kind'])
def test_a_torn_line_is_a_gap(tmp_path: Path, damage: bytes) -> None:
    """A damaged end is a lost sequence; the journal goes on after it, in a new segment."""
    filled(tmp_path / "e", 3)
    with next((tmp_path / "e").iterdir()).open("ab") as file:
        file.write(damage)
    journal = filled(tmp_path / "e", 2)
    page = journal.page(0)
    assert [event.sequence for event in page.events] == [1, 2, 3, 5, 6]
    assert page.lost == (Lost(first=4, last=4),)


def test_a_disk_that_refuses_is_a_gap(tmp_path: Path) -> None:
    """What cannot be written is lost with its sequence; the first event that can be is preceded by a gap."""
    folder = tmp_path / "e"
    journal = filled(folder, 2)
    shutil.move(folder, tmp_path / "aside")
    folder.write_text("in the way")
    assert [journal.append(ONE, None) for _ in range(3)] == [False, False, False]
    assert journal.last == 5
    folder.unlink()
    shutil.move(tmp_path / "aside", folder)
    assert journal.append(ONE, None)
    page = journal.page(0)
    gap = page.events[2]
    assert [event.sequence for event in page.events] == [1, 2, 6, 7]
    assert (gap.kind, gap.before, gap.after) == (Kind.GAP, "3", "5")
    assert page.lost == (Lost(first=3, last=5),)


def test_strange_text_is_kept_readable(tmp_path: Path) -> None:
    """Text that no canonical document may hold is made fit, not refused."""
    journal = EventJournal(tmp_path / "e", "n1")
    assert journal.append(Transition(kind=Kind.SETTING, subject="e\u0301", after="\ud800" + "x" * 9_999), None)
    event = journal.page(0).events[0]
    assert (event.subject, event.after[:8]) == ("\u00e9", "\\ud800xx")
