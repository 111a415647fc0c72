"""Checks before a data folder is copied: what the source holds, where each part of the copy goes, and whether it fits.

- The source itself is asked (a BASE_BACKUP that is cancelled before its first byte of data), so that no copy is begun
  that cannot be finished.
- A tablespace goes into the node's home, beside the copy: its path on the source may be in use here, by the source or
  by the folder that the copy replaces. If the WAL is on a volume of its own, the copy's WAL goes there too.

Source: PostgreSQL manual 54.4 (BASE_BACKUP), pg_basebackup(1).
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

from aerodb.kernel.postgres.errors import CopyUnfit, MajorDiffers
from aerodb.kernel.postgres.installation import Installation
from aerodb.rules.replaying import sized

ASK = b"BASE_BACKUP (LABEL 'aerodb asks', PROGRESS, CHECKPOINT 'fast', WAIT false, MANIFEST 'no')"
ASK_SECONDS_MAX = 600.0
"""Long, because the source runs a pg checkpoint first."""
POLL_SECONDS = 0.2
LOG_BYTES = 128 << 20
"""The space that must be free for the WAL that is written while the copy is made."""
_ATTEMPT = re.compile(r"\.data-\d{4,}(\.[0-9a-f]+)?$")


class CopySource(msgspec.Struct, frozen=True, kw_only=True):
    """What a copy would hold: its size in bytes without WAL, and the source's tablespaces outside its data folder.

    `major` is the major version of the PostgreSQL that it is of.
    """

    size_bytes: int
    tablespaces: tuple[str, ...]
    major: int


class CopyLayout(msgspec.Struct, frozen=True, kw_only=True):
    """Where the parts of a copy go: each tablespace, and the WAL (None: into the copy itself).

    `size_bytes` is what it takes without its WAL.
    """

    tablespaces: tuple[tuple[str, Path], ...]
    log: Path | None
    size_bytes: int

    @property
    def arguments(self) -> list[str]:
        """Return the layout as arguments of pg_basebackup."""
        mapped = [f"--tablespace-mapping={_escaped(old)}={_escaped(str(new))}" for old, new in self.tablespaces]
        return [*mapped, *([f"--waldir={self.log}"] if self.log else [])]


def _escaped(path: str) -> str:
    return path.replace("=", "\\=")


def _results(connection: abc.PGconn, given_up: Callable[[], bool]) -> Iterator[abc.PGresult]:
    """Yield results as they come, until there are no more.

    Raises:
        CopyUnfit: the source did not answer in time, or `given_up` says that the agent is ending.
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
    """Return what a copy from the source would hold; stop waiting for the answer once `given_up` returns true.

    Raises:
        CopyUnfit: the source cannot be asked, or does not say.
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
                return _source(result, connection.server_version // 10_000)
    finally:
        connection.finish()
    raise CopyUnfit("the source did not say what there is to copy")


def _source(result: abc.PGresult, major: int) -> CopySource:
    rows = [(result.get_value(row, 1), result.get_value(row, 2)) for row in range(result.ntuples)]
    places = [place.decode() for place, _ in rows if place]
    return CopySource(
        size_bytes=sum(int(size or b"0") for _, size in rows) << 10,
        tablespaces=tuple(place for place in places if place.startswith("/")),
        major=major,
    )


def layout_of(source: CopySource, beside: Path, current: Path | None) -> CopyLayout:
    """Return where the parts of a copy at `beside` go; each attempt has its own `beside`.

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
        size_bytes=source.size_bytes,
    )


def refuse_unfit(source: CopySource, home: Path, layout: CopyLayout) -> None:
    """Refuse a copy that does not fit, or whose WAL has a volume of its own that cannot be written to.

    Raises:
        CopyUnfit: the copy cannot be made.
    """
    needed, free = source.size_bytes + LOG_BYTES, _free_bytes(home)
    if free < needed:
        raise CopyUnfit(f"the copy takes {needed} bytes with its WAL; the volume of {home} has {free} left")
    if layout.log is not None:
        above = layout.log.parent
        if not os.access(above, os.W_OK | os.X_OK):
            raise CopyUnfit(f"no folder for the copy's WAL can be made in {above}, on the volume of the WAL")
        if _free_bytes(above) < LOG_BYTES:
            raise CopyUnfit(f"the WAL's volume at {above} has {_free_bytes(above)} bytes left")


def refuse_other_major(source: CopySource, installation: Installation) -> None:
    """Refuse a source whose data these programs cannot run; pg_basebackup copies an older server's all the same.

    Raises:
        MajorDiffers: it is of another major version.
    """
    if source.major != installation.major:
        raise MajorDiffers(
            f"the source is PostgreSQL {source.major}, and the programs in {installation.bin}, which are "
            f"{installation.major}, could not run a copy of its data"
        )


def _free_bytes(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


class GrowingCopy:
    """A copy while it is made: how much of it is there, without its WAL, of about how much."""

    def __init__(self, parts: tuple[Path, ...], size_bytes: int) -> None:
        """Keep what grows; nothing is measured yet."""
        self._parts, self._size_bytes = parts, size_bytes
        self._copied_bytes, self._again = 0, 0.0

    def said(self) -> str:
        """Return how far it is, in words.

        A copy of many files takes long to measure: at most a tenth of the time is spent on it, and what is said may be
        that old.
        """
        begin = time.monotonic()
        if begin >= self._again:
            self._copied_bytes = sum(_grown_bytes(part) for part in self._parts)
            now = time.monotonic()
            self._again = now + 9 * (now - begin)
        return f"{sized(self._copied_bytes)} of about {sized(self._size_bytes)}, without WAL"


def _grown_bytes(part: Path) -> int:
    """Return the length of all files in a folder but for its WAL; what vanishes meanwhile is skipped."""
    grown = 0
    for above, folders, files in os.walk(part):
        if above == str(part) and "pg_wal" in folders:
            folders.remove("pg_wal")
        for name in files:
            try:
                grown += os.lstat(os.path.join(above, name)).st_size  # noqa: PTH118 - there are many.
            except OSError:
                continue
    return grown
