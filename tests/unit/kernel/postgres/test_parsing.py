"""What PostgreSQL's programs print and its files hold, read strictly."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodb.kernel.postgres.control_file import parse_control_file
from aerodb.kernel.postgres.errors import WalUnreadable
from aerodb.kernel.postgres.filed import too_low
from aerodb.kernel.postgres.history import parse_history
from aerodb.kernel.postgres.lsns import PAGE_BYTES, printed_lsn, record_end
from aerodb.protocol.lsn import Lsn

SEGMENT_BYTES = 16 << 20
LSNS = st.integers(0, (1 << 64) - 1).map(Lsn)
CONTROL = """pg_control version number:            1800
Database system identifier:           7500000000000000001
Database cluster state:               shut down
Latest checkpoint location:           0/3000028
Latest checkpoint's REDO location:    0/3000028
Latest checkpoint's TimeLineID:       2
Latest checkpoint's PrevTimeLineID:   1
Minimum recovery ending location:     0/0
Min recovery ending loc's timeline:   0
wal_log_hints setting:                on
max_connections setting:              100
max_worker_processes setting:         8
max_wal_senders setting:              10
max_prepared_xacts setting:           0
max_locks_per_xact setting:           64
Bytes per WAL segment:                16777216
Data page checksum version:           1
"""


@given(LSNS)
def test_printed_positions(lsn: Lsn) -> None:
    """As PostgreSQL writes them, padded, or in small letters: one position."""
    high, low = lsn.value >> 32, lsn.value & 0xFFFFFFFF
    for text in (str(lsn), f"{high:X}/{low:08X}", f"{high:x}/{low:x}", f" {high:08X}/{low:08X} "):
        assert printed_lsn(text) == lsn


@given(st.text(string.printable, max_size=12))
def test_anything_else_is_no_position(text: str) -> None:
    """Either it is a position, or it is refused in our words."""
    try:
        found = printed_lsn(text)
    except WalUnreadable:
        return
    assert Lsn.parse(str(found)) == found


def _end_by_bytes(start: int, length_bytes: int) -> int:
    """Return where a record ends by laying it out byte by byte, page headers left out."""
    position = start
    for _ in range(length_bytes):
        if position % PAGE_BYTES == 0:
            position += 40 if position % SEGMENT_BYTES == 0 else 24
        position += 1
    return (position + 7) // 8 * 8


PAGES = st.integers(3, 6).map(lambda each: each * (SEGMENT_BYTES - PAGE_BYTES))


@given(PAGES, st.integers(0, 1000), st.integers(24, 40_000))
def test_where_a_record_ends(page: int, word: int, length_bytes: int) -> None:
    """A record that crosses pages and segments ends where its bytes do."""
    page -= page % PAGE_BYTES
    start = page + 40 + word * 8
    assert record_end(Lsn(start), length_bytes, SEGMENT_BYTES) == Lsn(_end_by_bytes(start, length_bytes))


@given(st.integers(0, 1 << 40), st.integers(24, 100))
def test_a_switch_fills_its_segment(start: int, length_bytes: int) -> None:
    """A segment switch ends where the next segment begins."""
    end = record_end(Lsn(start), length_bytes, SEGMENT_BYTES, switches=True)
    assert end.value % SEGMENT_BYTES == 0
    assert end.value >= start + length_bytes


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 1 << 40)), min_size=1, max_size=6))
def test_histories_are_read_as_written(steps: list[tuple[int, int]]) -> None:
    """Every timeline begins where its parent was left."""
    timeline, begin, lines, expected = 0, 0, list[str](), list[tuple[int, Lsn]]()
    for rise, bytes_more in steps:
        timeline += rise
        expected.append((timeline, Lsn(begin)))
        begin += bytes_more
        lines.append(f"{timeline}\t{Lsn(begin)}\tno recovery target specified\n")
    text = "# a comment\n\n" + "\n".join(lines)
    assert parse_history(timeline + 1, text) == (*expected, (timeline + 1, Lsn(begin)))


@pytest.mark.parametrize(
    "text",
    ["1 0/3000000 spaces\n", "x\t0/3000000\tr\n", "1\t3000000\tr\n", "1\t0/30\tr\n1\t0/40\tr\n",
     "2\t0/40\tr\n1\t0/50\tr\n",
     "1\t0/50\tr\n2\t0/40\tr\n", "3\t0/50\tr\n", "0\t0/50\tr\n", "1\t0/50\n"],
)  # fmt: skip
def test_what_is_no_history_is_refused(text: str) -> None:
    """Wrong columns, numbers that do not rise, positions that go back, a timeline that is its own parent."""
    with pytest.raises(WalUnreadable):
        parse_history(3, text)


def test_the_control_file() -> None:
    """Every field that matters, as pg_controldata prints it."""
    found = parse_control_file(CONTROL)
    assert (found.system, found.clean, found.timeline, found.previous_timeline) == ("7500000000000000001", True, 2, 1)
    assert (found.pg_checkpoint, found.segment_bytes, found.log_hints) == (Lsn.parse("0/3000028"), SEGMENT_BYTES, True)
    assert not parse_control_file(CONTROL.replace("shut down", "in production")).clean


@pytest.mark.parametrize("line", [line for line in CONTROL.splitlines()[1:] if line])
def test_a_control_file_without_a_field_is_refused(line: str) -> None:
    """A field that is missing, or that is not what it should be, is an error and no default."""
    with pytest.raises(WalUnreadable):
        parse_control_file(CONTROL.replace(line, ""))


@pytest.mark.parametrize(
    ("value", "low"),
    [
        ("99", True),
        ("100", False),
        ("101", False),
        ("0x64", True),
        ("", True),
        ("many", True),
        ("-1", True),
        ("0144", True),
        ("0101", True),
        ("100\n", True),
        ("100.0", True),
    ],
)
def test_what_a_standby_would_start_with_too_little_of(value: str, *, low: bool) -> None:
    """It is held against what the WAL asks for; what is no plain number is not known to be enough."""
    assert bool(too_low({"max_connections": value}, parse_control_file(CONTROL).least)) is low
