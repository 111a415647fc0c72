"""Before a data folder is copied: what the source holds, where each part of the copy goes, and whether there is room.

- The source is asked itself (BASE_BACKUP, given up before its first byte of data), so that nothing is begun that cannot
  end.
- A tablespace goes into the node's home, beside the copy: its place on the source may be the source's own, or that of
  the folder which the copy replaces. A WAL that lies on a volume of its own goes to that volume.

CopySource: PostgreSQL manual 54.4 (BASE_BACKUP), pg_basebackup(1).
"""

import os
import re
import select
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from psycopg import pq
from psycopg.pq import abc

from aerodb.kernel.postgres.errors import CopyUnfit

ASK = b"BASE_BACKUP (LABEL 'aerodb asks', PROGRESS, CHECKPOINT 'fast', WAIT false, MANIFEST 'no')"
ASK_SECONDS_MAX = 600.0
"""The source runs a checkpoint first."""
POLL_SECONDS = 0.2
LOG_BYTES = 128 << 20
"""What is kept free for the WAL that is written while the copy is made."""
_ATTEMPT = re.compile(r"\.data-\d{4,}(\.[0-9a-f]+)?$")


class CopySource(msgspec.Struct, frozen=True, kw_only=True):
    """What a copy would hold: its bytes without the WAL, and the source's tablespaces outside its data folder."""

    size_bytes: int
    tablespaces: tuple[str, ...]


class CopyLayout(msgspec.Struct, frozen=True, kw_only=True):
    """Where the parts of a copy go: each tablespace, and the WAL (None: into the copy itself)."""

    tablespaces: tuple[tuple[str, Path], ...]
    log: Path | None

    @property
    def arguments(self) -> list[str]:
        """Return what pg_basebackup is told."""
        mapped = [f"--tablespace-mapping={_escaped(old)}={_escaped(str(new))}" for old, new in self.tablespaces]
        return [*mapped, *([f"--waldir={self.log}"] if self.log else [])]


def _escaped(path: str) -> str:
    return path.replace("=", "\\=")


def _results(connection: abc.PGconn, given_up: Callable[[], bool]) -> Iterator[abc.PGresult]:
    """Yield results as they come, until there are none, the time is up, or it is given up.

    Raises:
        CopyUnfit: the source did not answer in time.
    """
    end = time.monotonic() + ASK_SECONDS_MAX
    while True:
        while connection.is_busy():
            if given_up():
                raise CopyUnfit("the agent is ending, and the source has not said what there is to copy")
            if time.monotonic() > end:
                raise CopyUnfit(f"the source did not say within {ASK_SECONDS_MAX:.0f} s what there is to copy")
            if select.select([connection.socket], [], [], POLL_SECONDS)[0]:
                connection.consume_input()
        result = connection.get_result()
        if result is None:
            return
        yield result


def ask_source(conninfo: str, password: str, given_up: Callable[[], bool]) -> CopySource:
    """Return what a copy from the source would hold; nothing is waited for any more once it is `given_up`.

    Raises:
        CopyUnfit: the source does not say.
    """
    connection = pq.PGconn.connect(f"{conninfo} dbname=replication replication=true password={password}".encode())
    try:
        if connection.status != pq.ConnStatus.OK:
            raise CopyUnfit(f"the source cannot be asked: {connection.get_error_message()}")
        connection.send_query(ASK)
        for result in _results(connection, given_up):
            if result.status == pq.ExecStatus.FATAL_ERROR:
                raise CopyUnfit(f"the source refused: {result.get_error_message()}")
            if result.status == pq.ExecStatus.TUPLES_OK and result.nfields == 3 and result.fname(0) == b"spcoid":
                return _source(result)
    finally:
        connection.finish()
    raise CopyUnfit("the source did not say what there is to copy")


def _source(result: abc.PGresult) -> CopySource:
    rows = [(result.get_value(row, 1), result.get_value(row, 2)) for row in range(result.ntuples)]
    places = [place.decode() for place, _ in rows if place]
    return CopySource(
        size_bytes=sum(int(size or b"0") for _, size in rows) << 10,
        tablespaces=tuple(place for place in places if place.startswith("/")),
    )


def layout_of(source: CopySource, beside: Path, current: Path | None) -> CopyLayout:
    """Return where the parts of a copy go that is made at `beside`, which names this attempt alone.

    `current` is the data folder in use, if there is one.
    """
    log = None
    if current is not None and (current / "pg_wal").is_symlink():
        real = (current / "pg_wal").resolve()
        log = real.with_name(f"{_ATTEMPT.sub('', real.name)}.{beside.name}")
    return CopyLayout(
        tablespaces=tuple(
            (place, beside.with_name(f"{beside.name}.tablespaces") / str(number))
            for number, place in enumerate(source.tablespaces, 1)
        ),
        log=log,
    )


def refuse_unfit(source: CopySource, home: Path, layout: CopyLayout) -> None:
    """Refuse a copy for which there is no room, or whose WAL's volume cannot be written to.

    Raises:
        CopyUnfit: so it is.
    """
    needed, free = source.size_bytes + LOG_BYTES, _free_bytes(home)
    if free < needed:
        raise CopyUnfit(f"the copy takes {needed} bytes with its WAL; the volume of {home} has {free} left")
    if layout.log is not None:
        above = layout.log.parent
        if not os.access(above, os.W_OK | os.X_OK):
            raise CopyUnfit(f"the WAL's volume is at {above}, where no folder can be made for the copy's")
        if _free_bytes(above) < LOG_BYTES:
            raise CopyUnfit(f"the WAL's volume at {above} has {_free_bytes(above)} bytes left")


def _free_bytes(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
