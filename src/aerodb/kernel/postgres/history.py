"""Timeline history files: their content, strictly; a timeline's number alone proves nothing.

Source: PostgreSQL manual 26.3.6; access/timeline.c: lines of parent timeline, tab, switch point, tab, reason.
"""

import itertools
import re
from collections.abc import Sequence
from pathlib import Path

from aerodb.kernel.postgres.errors import WalUnreadable
from aerodb.kernel.postgres.lsns import printed_lsn
from aerodb.protocol.lsn import Lsn

History = tuple[tuple[int, Lsn], ...]
_LINE = re.compile(r"(\d+)\t([0-9A-Fa-f]+/[0-9A-Fa-f]+)\t.*")


def parse_history(timeline: int, text: str) -> History:
    """Return (timeline, where it began), oldest first, `timeline` last.

    Raises:
        WalUnreadable: a line that is not of a history, or numbers or positions that do not rise.
    """
    branches: list[tuple[int, Lsn]] = []
    begin = Lsn(0)
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise WalUnreadable(f"the history of timeline {timeline} has the line {line!r}")
        branches.append((int(match[1]), begin))
        switched = printed_lsn(match[2])
        if switched < begin:
            raise WalUnreadable(f"the history of timeline {timeline} goes back from {begin} to {switched}")
        begin = switched
    branches.append((timeline, begin))
    _refuse_unordered(timeline, branches)
    return tuple(branches)


def _refuse_unordered(timeline: int, branches: Sequence[tuple[int, Lsn]]) -> None:
    numbers = [number for number, _ in branches]
    if numbers[0] < 1 or any(later <= earlier for earlier, later in itertools.pairwise(numbers)):
        raise WalUnreadable(f"the history of timeline {timeline} names the timelines {numbers}")


def history_file(data: Path, timeline: int) -> Path:
    """Return the path of a timeline's history file."""
    return data / "pg_wal" / f"{timeline:08X}.history"


def read_history(data: Path, timeline: int) -> History:
    """Return the history of `timeline` as the data folder holds it; timeline 1 has none and needs none.

    Raises:
        WalUnreadable: the file is missing or is not a history.
    """
    if timeline == 1:
        return ((1, Lsn(0)),)
    try:
        text = history_file(data, timeline).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WalUnreadable(f"the history of timeline {timeline} cannot be read: {error}") from error
    branches = parse_history(timeline, text)
    if len(branches) == 1:
        raise WalUnreadable(f"the history of timeline {timeline} is empty")
    return branches
