"""Which part of a WAL can be read: its segments, as far back as they are there without a gap."""

from pathlib import Path

import pytest

from aerodb.kernel.postgres.waldump import readable_from
from aerodb.protocol.lsn import Lsn

SEGMENT = 16 << 20


@pytest.mark.parametrize(
    ("there", "wanted", "since"),
    [
        ([2, 3, 4], 0, 2 * SEGMENT),
        ([2, 3, 4], 3 * SEGMENT + 5, 3 * SEGMENT + 5),
        ([1, 3, 4], 0, 3 * SEGMENT),
        ([4], 4 * SEGMENT, 4 * SEGMENT),
        ([1, 2, 3, 4], SEGMENT - 7, SEGMENT),
    ],
)
def test_a_log_is_readable_as_far_back_as_no_segment_is_missing(
    tmp_path: Path, there: list[int], wanted: int, since: int
) -> None:
    """Where an older segment was recycled, nothing before the gap is said to have been read."""
    (tmp_path / "pg_wal").mkdir()
    for number in there:
        (tmp_path / "pg_wal" / f"{1:08X}{0:08X}{number:08X}").touch()
    assert readable_from(tmp_path, 1, Lsn(wanted), Lsn(4 * SEGMENT + 100), SEGMENT) == Lsn(since)
