"""A stopped folder's control file and the end of its WAL: what we read of the bytes is what PostgreSQL's programs say.

After every kind of end that a PostgreSQL can come to, of each version that is on this machine; and of altered bytes
nothing is ever read but what was there, or nothing.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from aerodb.kernel.postgres.control_file import SHUT_DOWN, SHUT_DOWN_IN_RECOVERY, ControlFile
from aerodb.kernel.postgres.installation import Installation
from aerodb.kernel.postgres.layout import control_in, shutdown_end_in
from aerodb.kernel.postgres.lsns import PAGE_BYTES
from aerodb.kernel.postgres.reading import (
    control_by_bytes,
    control_by_program,
    pages_of,
    read_control_file,
    segment_name,
)
from aerodb.kernel.postgres.waldump import shutdown_end, shutdown_end_by_program
from tests.faults.alone import Database, folder_for_postgres, installations

RECORD_BYTES = 114
"""A shutdown checkpoint's record, from 15 to 18."""


def same(database: Database, state: str) -> ControlFile:
    """Compare what we read with what the programs say; return it."""
    ours = control_by_bytes(database.major, database.data)
    assert ours is not None, "the control file is not understood"
    assert ours == control_by_program(database.installation, database.data)
    assert ours.state == state
    assert read_control_file(database.installation, database.data) == ours
    end = shutdown_end_in(pages_of(database.data, ours), database.major, ours)
    if state == SHUT_DOWN:
        assert end is not None, "the shutdown checkpoint is not understood"
        assert end == shutdown_end_by_program(database.installation, database.data, ours)
        assert end == shutdown_end(database.installation, database.data, ours)
    else:
        assert shutdown_end(database.installation, database.data, ours) is None
    return ours


@pytest.fixture(scope="module", params=installations(), ids=lambda each: each.version)
def installed(request: pytest.FixtureRequest) -> Installation:
    """Return each PostgreSQL that is on this machine."""
    found: Installation = request.param
    return found


@pytest.fixture
def folder() -> Iterator[Path]:
    """Yield an empty folder that PostgreSQL's account can reach."""
    with folder_for_postgres() as found:
        yield found


@pytest.fixture
def database(installed: Installation, folder: Path) -> Iterator[Database]:
    """Yield a new PostgreSQL, which is ended."""
    made = Database(installed, folder)
    yield made
    made.end()


@pytest.fixture(scope="module")
def small(installed: Installation) -> Iterator[Database]:
    """Yield a PostgreSQL with small segments, for all tests of its version."""
    with folder_for_postgres() as folder:
        made = Database(installed, folder, "--wal-segsize=1")
        yield made
        made.end()


def test_after_every_end_it_says_what_the_programs_say(database: Database) -> None:
    """Never started; shut down fast and smart; killed; recovered; with a segment's switch first; as a standby."""
    same(database, SHUT_DOWN)
    database.start()
    same(database, "in production")
    database.execute("create table t as select generate_series(1, 20000) as n")
    database.stop("smart")
    same(database, SHUT_DOWN)
    database.start("max_connections=17", "max_prepared_transactions=3", "wal_log_hints=on")
    database.execute("insert into t values (1)")
    database.stop("immediate")
    assert same(database, "in production").least["max_connections"] == 17
    database.start("archive_mode=on", "archive_command=true")
    database.execute("insert into t values (1)")
    database.stop()
    same(database, SHUT_DOWN)
    database.standby()
    database.start()
    database.stop()
    same(database, SHUT_DOWN_IN_RECOVERY)
    database.start()
    database.promote()
    database.stop()
    assert same(database, SHUT_DOWN).timeline == 2


@pytest.mark.parametrize("megabytes", [1, 64])
def test_whatever_the_size_of_its_segments(installed: Installation, folder: Path, megabytes: int) -> None:
    """The names of the segments, and where their long headers stand, follow from their size."""
    database = Database(installed, folder, f"--wal-segsize={megabytes}")
    database.start()
    database.execute("create table t as select generate_series(1, 20000) as n")
    database.stop()
    assert same(database, SHUT_DOWN).segment_bytes == megabytes << 20


@pytest.mark.parametrize("room_bytes", [0, 8, 16, 24, 32, 64, 104, 112, 120])
@pytest.mark.parametrize("segment_bytes", [0, 1 << 20], ids=["page", "segment"])
def test_wherever_the_record_begins(small: Database, room_bytes: int, segment_bytes: int) -> None:
    """At a page's begin, before its end, over it, over a segment's; with its header cut anywhere."""
    for _ in range(5):  # PostgreSQL may write something of its own after us.
        small.start()
        small.fill(room_bytes, segment_bytes=segment_bytes)
        small.stop()
        start = same(small, SHUT_DOWN).pg_checkpoint.value
        wanted = (24 if not segment_bytes else 40) if not room_bytes else PAGE_BYTES - room_bytes
        whole_segment = not segment_bytes or (start + room_bytes) % segment_bytes in {0, wanted}
        if start % PAGE_BYTES == wanted and whole_segment:
            return
    pytest.fail(f"no shutdown checkpoint began {room_bytes} bytes before an end")


def _flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :]


def test_altered_bytes_are_not_read(small: Database) -> None:
    """Whichever byte of the control file, of the record or of its pages' headers is another: nothing is read."""
    small.start()
    small.fill(64, segment_bytes=1 << 20)
    small.stop()
    told = same(small, SHUT_DOWN)
    content = (small.data / "global" / "pg_control").read_bytes()
    used = len(content.rstrip(b"\0"))
    for at in range(used):
        assert control_in(_flipped(content, at), small.major) is None, f"byte {at} of the control file"
    assert control_in(content[:-1], small.major) is None
    page_at, start = pages_of(small.data, told), told.pg_checkpoint.value
    for altered in _positions(start):
        page, offset = altered - altered % PAGE_BYTES, altered % PAGE_BYTES

        def lying(at: int, page: int = page, offset: int = offset) -> bytes | None:
            found = page_at(at)
            return _flipped(found, offset) if found is not None and at == page else found

        found = shutdown_end_in(lying, small.major, told)
        assert found is None or altered in _unread(start), f"byte {altered - start} of the record"


def _positions(start: int) -> list[int]:
    """Return the bytes of a record that spans two segments: of the first page's header, of what it has, of the rest."""
    page = start - start % PAGE_BYTES
    following = page + PAGE_BYTES
    return [*range(page, page + 24), *range(start, following), *range(following, following + 40 + RECORD_BYTES - 64)]


def _unread(start: int) -> set[int]:
    """Return the bytes that mean nothing, or another thing that is allowed as well.

    Padding; whether a page could be removed (a flag) and how much of an earlier record the first one goes on with.
    """
    page = start - start % PAGE_BYTES
    following = page + PAGE_BYTES
    return {*range(page + 16, page + 24), *range(following + 20, following + 24)}


def test_another_version_is_not_understood(small: Database) -> None:
    """The layout of one version is never read as that of another, nor is WAL."""
    told = same(small, SHUT_DOWN)
    content = (small.data / "global" / "pg_control").read_bytes()
    for major in {14, 15, 16, 17, 18, 19} - {small.major}:
        alike = small.major < 18 and major in {15, 16, 17}
        assert (control_in(content, major) is None) or alike
        assert shutdown_end_in(pages_of(small.data, told), major, told) is None


def test_what_is_no_file_is_not_waited_for(small: Database) -> None:
    """A pipe in the place of the control file or of a segment, a file cut short, none: not read, not waited for."""
    told = same(small, SHUT_DOWN)
    segment = segment_name(told.timeline, told.pg_checkpoint.value // told.segment_bytes, told.segment_bytes)
    for path in (small.data / "global" / "pg_control", small.data / "pg_wal" / segment):
        kept, cut = path.with_name(path.name + ".kept"), path.read_bytes()[:-1]
        path.rename(kept)
        for put in (lambda path=path: os.mkfifo(path), lambda path=path, cut=cut: path.write_bytes(cut), path.mkdir):
            assert _read(small, told) is None
            put()
            assert _read(small, told) is None
            path.rmdir() if path.is_dir() else path.unlink()
        kept.rename(path)
    assert _read(small, told) is not None


def _read(database: Database, told: ControlFile) -> object:
    found = control_by_bytes(database.major, database.data)
    return found and shutdown_end_in(pages_of(database.data, told), database.major, told)
