"""The log on disk: what it acknowledges is there, what was tampered with is found out."""

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from aerodb.audit import note, proof, tree
from aerodb.audit.cosignature import cosign
from aerodb.audit.export import export
from aerodb.audit.record import (
    RECORD_BYTES_MAX,
    Record,
    RecordEventOne,
    RecordOne,
    RecordTooLarge,
    decode_record,
    encode_record,
)
from aerodb.audit.store import (
    BlobMismatched,
    Log,
    LogReplaced,
    LogUnavailable,
    RecordUnknown,
    verify_export,
    verify_folder,
)
from aerodb.audit.store.database import Database
from aerodb.audit.store.files import RESERVE_BYTES, Reserve
from aerodb.errors import VerificationFailed
from aerodb.protocol import canonical

ORIGIN = "aerodb.log/test"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
VKEY = note.verifier_key(ORIGIN, KEY.public_key().public_bytes_raw())
PLAN = b'{"plan":1}'
SNAPSHOT = b'{"snapshot":1}'
BLOBS = {canonical.digest(PLAN): PLAN, canonical.digest(SNAPSHOT): SNAPSHOT}


def a_record(number: int, event: RecordEventOne = "requested") -> Record:
    """Return one record; a confirmation names the plan and the snapshot."""
    request = f"r{number // 2}"
    record = RecordOne(event=event, at="2026-01-01T00:00:00Z", clock="test", request=request, operator="ada")
    plan, snapshot = canonical.digest(PLAN), canonical.digest(SNAPSHOT)
    return replace(record, plan=plan, snapshot=snapshot) if event == "confirmed" else record


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    """Return a new log with four records; the test may have closed it, or taken its files away."""
    made = Log.create(tmp_path / "log", ORIGIN, KEY)
    for number in range(3):
        made.append(a_record(number))
    made.append(a_record(3, "confirmed"), BLOBS)
    yield made
    if not made._fault:
        try:
            made.close()
        except (LogReplaced, LogUnavailable, VerificationFailed):
            return


def altered(folder: Path, statement: str) -> None:
    """Run one statement on the database in `folder`, as an intruder would."""
    connection = sqlite3.connect(folder / "log.db")
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute(statement)
    connection.commit()
    connection.close()


def unsealed_copy(log: Log, to: Path) -> Path:
    """Return a copy of the open log's files, as a crash would leave them."""
    return Path(shutil.copytree(log._folder, to))


# What it keeps ---------------------------------------------------------------------------------------------------


def test_what_was_appended_is_read_and_proven(log: Log) -> None:
    """Every record comes back byte for byte, in order, with a proof that opens under the verifier key."""
    assert [sequence for sequence, _ in log.records()] == [0, 1, 2, 3]
    for sequence, data in log.records():
        assert data == log.record(sequence)
        assert proof.open_proof(log.proof(sequence), VKEY, data).checkpoint_text == log.checkpoint
    assert decode_record(log.record(3)) == a_record(3, "confirmed")
    assert log.sequences_of("r1") == (2, 3)
    assert log.sequences_of("none") == ()
    assert log.verifier_key == VKEY


def test_each_checkpoint_extends_each_earlier_one(tmp_path: Path) -> None:
    """From every size that the log ever had, it proves that the newest checkpoint extends it."""
    with Log.create(tmp_path / "log", ORIGIN, KEY) as log:
        seen = [log.checkpoint]
        for number in range(9):
            log.append(a_record(number))
            seen.append(log.checkpoint)
            new = note.open_checkpoint(log.checkpoint, VKEY)
            assert all(proof.extends(old, new, log.consistency(size), VKEY) for size, old in enumerate(seen))


def test_a_past_checkpoint_is_extended_up_to_any_later_one(log: Log) -> None:
    """Where the log has gone on meanwhile, the path still leads to the checkpoint that was asked for."""
    old, new = log.checkpoint, log.append(a_record(4)) + 1
    newer = note.open_checkpoint(log.checkpoint, VKEY)
    log.append(a_record(5))
    assert proof.extends(old, newer, log.consistency(4, new), VKEY)
    for sizes in ((5, 4), (0, 7), (-1, 3)):
        with pytest.raises(RecordUnknown):
            log.consistency(*sizes)


def test_a_record_is_proven_under_an_earlier_checkpoint(log: Log) -> None:
    """One that others have cosigned meanwhile: the proof is of that size, and carries their signatures."""
    cosigned = log.checkpoint + cosign(log.checkpoint, "w", KEY, 5)
    log.append(a_record(4))
    for sequence in range(4):
        found = proof.open_proof(log.proof_under(sequence, cosigned), VKEY, log.record(sequence))
        assert (found.index, found.checkpoint.size, found.checkpoint_text) == (sequence, 4, cosigned)
    for sequence, checkpoint in ((4, cosigned), (0, ""), (-1, cosigned), (0, cosigned.replace("\n4\n", "\n9\n"))):
        with pytest.raises(RecordUnknown):
            log.proof_under(sequence, checkpoint)


def test_a_log_goes_on_after_it_was_closed_and_after_it_was_not(tmp_path: Path) -> None:
    """A closed log, and the files of one that was never closed, open with the same content and take more."""
    log = Log.create(tmp_path / "log", ORIGIN, KEY)
    log.append(a_record(0))
    crashed = unsealed_copy(log, tmp_path / "crashed")
    log.close()
    for folder in (tmp_path / "log", crashed):
        with Log(folder, ORIGIN, KEY) as again:
            assert again.size == 1
            assert not (folder / "seal.json").exists()
            assert again.append(a_record(1)) == 1
        assert verify_folder(folder, VKEY).size == 2


APPEND_FOREVER = """
import sys
from pathlib import Path
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from aerodb.audit.record import RecordOne
from aerodb.audit.store import Log
log = Log.create(Path(sys.argv[1]), "aerodb.log/test", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
while True:
    record = RecordOne(event="requested", at="2026-01-01T00:00:00Z", clock="test", request="r", operator="ada")
    print(log.append(record), flush=True)
"""


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    """A process that is killed while it appends leaves a log that verifies, with all that it acknowledged."""
    folder = tmp_path / "log"
    with subprocess.Popen([sys.executable, "-c", APPEND_FOREVER, folder], stdout=subprocess.PIPE) as process:
        if process.stdout is None:
            pytest.fail("no output")
        acknowledged = [int(process.stdout.readline()) for _ in range(20)]
        process.kill()
    assert acknowledged == list(range(20))
    with Log(folder, ORIGIN, KEY) as log:
        assert log.size >= 20
        assert log.append(a_record(0)) == log.size - 1
    assert verify_folder(folder, VKEY).size > 20


def test_only_the_owner_can_read_the_files(log: Log) -> None:
    """The folder has mode 700, and every file in it 600."""
    assert stat.S_IMODE(log._folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in log._folder.iterdir()} == {0o600}


def test_what_is_not_there_is_unknown(log: Log) -> None:
    """No record, proof or past is made up."""
    for sequence in (-1, 4):
        with pytest.raises(RecordUnknown):
            log.record(sequence)
        with pytest.raises(RecordUnknown):
            log.proof(sequence)
    with pytest.raises(RecordUnknown):
        log.consistency(5)
    assert log.blob(canonical.digest(b"nothing")) is None
    assert list(log.records(2, 99)) == [(2, log.record(2)), (3, log.record(3))]


def test_a_record_that_is_too_large_is_refused_and_the_largest_is_kept(log: Log) -> None:
    """The limit is on the canonical bytes; a refused record leaves nothing."""
    spare = RECORD_BYTES_MAX - len(encode_record(a_record(0)))
    largest = replace(a_record(0), reason="x" * spare)
    log.append(largest)
    with pytest.raises(RecordTooLarge):
        log.append(replace(a_record(0), reason="x" * (spare + 1)))
    assert log.size == 5


def test_a_blob_is_what_its_digest_names_or_nothing_is_appended(log: Log) -> None:
    """A wrong digest, bytes that are not text, and a confirmation without its plan leave the log as it was."""
    bad = [{canonical.digest(b"x"): b"y"}, {canonical.digest(b"\xff"): b"\xff"}]
    before = log.checkpoint
    for blobs in bad:
        with pytest.raises(BlobMismatched):
            log.append(a_record(4), blobs)
    lost = replace(a_record(4, "confirmed"), plan=canonical.digest(b"lost"))
    with pytest.raises(BlobMismatched):
        log.append(lost, {canonical.digest(b"other"): b"other"})
    assert log.checkpoint == before
    assert log.blob(canonical.digest(b"other")) is None
    assert verify_folder(log._folder, VKEY).size == 4


def test_many_threads_append_one_after_another(log: Log) -> None:
    """Appends from several threads each get their own number, and the log verifies."""
    numbers: list[int] = []
    threads = [
        threading.Thread(target=lambda: numbers.extend(log.append(a_record(n)) for n in range(10))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(4, 44))
    assert verify_folder(log._folder, VKEY).size == 44


# What it refuses ------------------------------------------------------------------------------------------------


def test_one_process_at_a_time(log: Log) -> None:
    """While a log is open it cannot be opened again, nor made anew."""
    with pytest.raises(LogUnavailable, match="open"):
        Log(log._folder, ORIGIN, KEY)
    with pytest.raises(LogUnavailable):
        Log.create(log._folder, ORIGIN, KEY)


def test_a_log_is_never_made_over_another(log: Log) -> None:
    """Making a log where one is closed is refused, and leaves it whole."""
    log.close()
    with pytest.raises(LogUnavailable, match="already"):
        Log.create(log._folder, ORIGIN, KEY)
    assert verify_folder(log._folder, VKEY).size == 4


def test_an_absent_log_is_unavailable(tmp_path: Path) -> None:
    """Opening or verifying what is not there makes nothing."""
    with pytest.raises(LogUnavailable):
        Log(tmp_path, ORIGIN, KEY)
    with pytest.raises((LogUnavailable, VerificationFailed)):
        verify_folder(tmp_path, VKEY)
    assert list(tmp_path.iterdir()) == []


def test_a_closed_log_does_nothing(log: Log) -> None:
    """After closing, each use is refused; closing again does nothing."""
    log.close()
    log.close()
    assert not log.writable()
    with pytest.raises(LogUnavailable):
        log.append(a_record(4))
    with pytest.raises(LogUnavailable):
        log.record(0)


def test_another_key_opens_nothing(log: Log) -> None:
    """A log opens only under the name and the key that signed it, sealed or not."""
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    crashed = unsealed_copy(log, log._folder.with_name("crashed"))
    log.close()
    for origin, key in ((ORIGIN, other), ("aerodb.log/other", KEY)):
        with pytest.raises(LogReplaced):
            Log(log._folder, origin, key)
        with pytest.raises(VerificationFailed):
            Log(crashed, origin, key)


@pytest.mark.parametrize("name", ["log.db", "log.db-wal"])
@pytest.mark.parametrize("how", ["deleted", "replaced", "emptied", "written"])
def test_files_that_someone_touched_stop_everything(log: Log, name: str, how: str) -> None:
    """A file deleted, replaced by an equal one, emptied or written is noticed before the next append."""
    path = log._folder / name
    data = path.read_bytes()
    if how in ("deleted", "replaced"):
        path.unlink()
    if how == "replaced":
        path.write_bytes(data)
    elif how == "emptied":
        os.truncate(path, 0)
    elif how == "written":
        os.utime(path, ns=(0, 0))
    assert not log.writable()
    with pytest.raises(LogReplaced):
        log.ensure_reserve()
    with pytest.raises(LogReplaced):
        log.append(a_record(4))


def test_an_older_copy_under_a_running_log_is_noticed(log: Log) -> None:
    """Putting back an older folder under the same path is noticed."""
    older = unsealed_copy(log, log._folder.with_name("older"))
    log.append(a_record(4))
    log._folder.rename(log._folder.with_name("away"))
    older.rename(log._folder)
    with pytest.raises(LogReplaced):
        log.append(a_record(5))


def test_somebody_else_s_record_is_noticed(log: Log) -> None:
    """A row that another process writes stops the log."""
    altered(log._folder, "INSERT INTO blob VALUES ('x', x'00')")
    with pytest.raises(LogReplaced):
        log.append(a_record(4))


class Forgetful(Database):
    """A reader to whom the record that was written last is not there."""

    def row_and_checkpoint(self, sequence: int) -> tuple[object, ...] | None:
        """Return what was there before."""
        return super().row_and_checkpoint(sequence - 1)


def test_what_is_not_read_back_is_not_acknowledged(log: Log) -> None:
    """A record that others would not read is refused, and nothing is ever appended after it."""
    reader = log._reader
    assert reader is not None
    log._reader = Forgetful(reader.connection)
    with pytest.raises(LogUnavailable, match="read back"):
        log.append(a_record(4))
    log._reader = reader
    assert log.size == 4
    assert not log.writable()
    with pytest.raises(LogUnavailable, match="read back"):
        log.append(a_record(4))


def test_a_checkpoint_that_is_not_the_one_before_is_never_replaced(log: Log) -> None:
    """Even where the files look untouched, a record is appended only to what this process signed."""
    altered(log._folder, "UPDATE checkpoint SET text = text || 'x'")
    log._marks = log._marker.marks()
    with pytest.raises(LogReplaced, match="someone else appended"):
        log.append(a_record(4))
    assert log._reading.body(4) is None


# A full disk ----------------------------------------------------------------------------------------------------


class FullUntilReleased(Reserve):
    """A reserve whose release gives the database room: as on a disk that is full but for the reserve."""

    def __init__(self, log: Log) -> None:
        super().__init__(log._folder / "reserve")
        self.connection = log._writer.connection
        self.limit()

    def limit(self) -> None:
        """Let the database grow no further."""
        (pages,) = self.connection.execute("PRAGMA page_count").fetchone()
        self.connection.execute(f"PRAGMA max_page_count = {pages}").fetchone()

    def release(self) -> None:
        """Let the space go, and let the database have it."""
        super().release()
        self.connection.execute("PRAGMA max_page_count = 100000").fetchone()


def fill(log: Log) -> None:
    """Append until the disk is full; each refusal must leave the log as it was."""
    large = replace(a_record(4), reason="x" * 60_000)
    before = log.checkpoint
    with pytest.raises(LogUnavailable, match="full"):
        log.append(large)
    assert log.checkpoint == before


def test_the_record_of_what_was_done_fits_on_a_full_disk(log: Log) -> None:
    """On a full disk a request is refused, whole; an outcome is recorded from the reserve, which is then missing."""
    log._reserve = FullUntilReleased(log)
    fill(log)
    assert log.writable()
    done = replace(a_record(5, "outcome"), reason="x" * 60_000)
    assert log.append(done) == 4
    assert not log.writable()
    log.ensure_reserve()
    assert log.writable()
    assert verify_folder(log._folder, VKEY).size == 5


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mount") is None, reason="only root can make a small disk")
def test_a_real_full_disk(tmp_path: Path) -> None:
    """On a small file system that fills up, requests stop, the outcome is recorded, and the log verifies."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        log = Log.create(disk / "log", ORIGIN, KEY)
        large = replace(a_record(0), reason="x" * 60_000)
        with pytest.raises(LogUnavailable):
            _append_often(log, large)
        size = log.size
        assert log.append(replace(a_record(0, "outcome"), reason="x" * 60_000)) == size
        with pytest.raises(LogUnavailable):
            log.ensure_reserve()
        assert verify_folder(disk / "log", VKEY).size == size + 1
        _fill_up(disk)
        with pytest.raises(LogUnavailable):
            log.close()
    finally:
        subprocess.run(["umount", disk], check=True)


def _fill_up(disk: Path) -> None:
    with (disk / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


def _append_often(log: Log, record: Record) -> None:
    for _ in range(100):
        log.append(record)


def test_a_reserve_with_holes_is_no_reserve(tmp_path: Path) -> None:
    """A file of the right size whose blocks do not exist holds nothing."""
    (tmp_path / "reserve").touch()
    os.truncate(tmp_path / "reserve", RESERVE_BYTES)
    reserve = Reserve(tmp_path / "reserve")
    assert reserve.held_bytes() == 0
    reserve.ensure(RESERVE_BYTES)
    assert reserve.held_bytes() == RESERVE_BYTES


# Verification ---------------------------------------------------------------------------------------------------


def test_any_flipped_byte_of_a_closed_log_is_found(tmp_path: Path) -> None:
    """Every byte of the seal, and a dense sample of all other files: one flip, and the log does not verify."""
    with Log.create(tmp_path / "log", ORIGIN, KEY) as log:
        log.append(a_record(3, "confirmed"), BLOBS)
    verify_folder(tmp_path / "log", VKEY)
    names = {path.name for path in (tmp_path / "log").iterdir()}
    assert names == {"log.db", "reserve", "seal.json"}  # The index is no truth, and lies elsewhere.
    for name, step in (("seal.json", 1), ("log.db", 61), ("reserve", 20_011)):
        path = tmp_path / "log" / name
        data = path.read_bytes()
        for at in range(0, len(data), step):
            path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
            with pytest.raises(VerificationFailed):
                verify_folder(tmp_path / "log", VKEY)
        path.write_bytes(data)
    verify_folder(tmp_path / "log", VKEY)


TAMPERINGS = [
    "UPDATE record SET body = replace(CAST(body AS TEXT), 'ada', 'eve') WHERE sequence = 1",
    "UPDATE record SET body = CAST(replace(CAST(body AS TEXT), 'ada', 'eve') AS BLOB) WHERE sequence = 1",
    "UPDATE record SET request = 'other' WHERE sequence = 1",
    "UPDATE record SET event = 'refused' WHERE sequence = 1",
    "DELETE FROM record WHERE sequence = 3",
    "DELETE FROM record WHERE sequence = 0",
    "INSERT INTO record VALUES (9, 'r', 'requested', zeroblob(32), x'00')",
    "INSERT INTO record VALUES (-1, 'r', 'requested', zeroblob(32), x'00')",
    "UPDATE record SET nodes = CAST(zeroblob(32) || substr(nodes, 33) AS BLOB) WHERE sequence = 1",
    "UPDATE record SET nodes = CAST(substr(nodes, 1, 32) || zeroblob(32) AS BLOB) WHERE sequence = 1",
    "UPDATE record SET nodes = zeroblob(32) WHERE sequence = 2",
    "UPDATE record SET nodes = substr(nodes, 1, 64) WHERE sequence = 3",
    "UPDATE record SET nodes = CAST(nodes || x'00' AS BLOB) WHERE sequence = 3",
    "UPDATE record SET nodes = CAST(nodes || zeroblob(32) AS BLOB) WHERE sequence = 0",
    "DELETE FROM checkpoint",
    "INSERT INTO checkpoint SELECT size, text FROM checkpoint",
    "INSERT INTO checkpoint VALUES (0, 'another')",
    "UPDATE checkpoint SET size = 3",
    "UPDATE checkpoint SET size = 5",
    "UPDATE checkpoint SET text = replace(text, 'A', 'B')",
    "UPDATE checkpoint SET text = text || '\u2014 eve AAAAAAAA' || char(10)",
    "UPDATE blob SET data = x'7b7d'",
    "DELETE FROM blob",
    "INSERT INTO blob VALUES ('sha256:00', x'00')",
    "CREATE TRIGGER quiet AFTER INSERT ON record BEGIN DELETE FROM record; END",
    "DROP INDEX record_request",
]


@pytest.mark.parametrize("statement", TAMPERINGS)
def test_what_is_altered_in_the_database_is_found(log: Log, statement: str) -> None:
    """Each alteration by SQL is found, by the verifier and when the log is opened."""
    folder = unsealed_copy(log, log._folder.with_name("copy"))
    verify_folder(folder, VKEY)
    if statement == TAMPERINGS[0]:  # The database itself refuses a value of the wrong type.
        with pytest.raises(sqlite3.IntegrityError):
            altered(folder, statement)
        return
    altered(folder, statement)
    with pytest.raises(VerificationFailed):
        verify_folder(folder, VKEY)
    with pytest.raises(VerificationFailed):
        Log(folder, ORIGIN, KEY)


def test_records_rewritten_with_all_their_nodes_are_found(log: Log) -> None:
    """Who rewrites a record and every node above it still lacks the log's key, whichever record it is."""
    for at in range(4):
        folder = unsealed_copy(log, log._folder.with_name(f"copy-{at}"))
        bodies = [data for _, data in log.records()]
        bodies[at] = bodies[at].replace(b"ada", b"eve")
        connection, frontier = sqlite3.connect(folder / "log.db"), tree.Frontier()
        for sequence, body in enumerate(bodies):
            nodes, frontier = frontier.grown(tree.leaf_hash(body))
            values = body, b"".join(nodes), sequence
            connection.execute("UPDATE record SET body = ?, nodes = ? WHERE sequence = ?", values)
        connection.commit()
        connection.close()
        with pytest.raises(VerificationFailed, match="not the one that was signed"):
            verify_folder(folder, VKEY)
        with pytest.raises(VerificationFailed, match="not the one that was signed"):
            Log(folder, ORIGIN, KEY)


def test_a_closed_log_that_was_altered_does_not_open(log: Log) -> None:
    """The seal is held against the files before the log is used again."""
    log.close()
    altered(log._folder, TAMPERINGS[1])
    with pytest.raises(LogReplaced):
        Log(log._folder, ORIGIN, KEY)


def test_a_running_log_can_be_verified(log: Log) -> None:
    """Verification reads a consistent state while the log is open, and leaves it able to append and to close."""
    for number in range(4, 8):
        assert verify_folder(log._folder, VKEY).size == number
        log.append(a_record(number))
    log.close()
    assert verify_folder(log._folder, VKEY).size == 8


# The first form -------------------------------------------------------------------------------------------------

FIRST_FORM = """
CREATE TABLE record (
    sequence INTEGER PRIMARY KEY, request TEXT NOT NULL, event TEXT NOT NULL, body BLOB NOT NULL
) STRICT;
CREATE INDEX record_request ON record (request, sequence);
CREATE TABLE node (
    level INTEGER NOT NULL, position INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (level, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE checkpoint (size INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;
CREATE TABLE blob (digest TEXT PRIMARY KEY, data BLOB NOT NULL) STRICT, WITHOUT ROWID;
"""


def in_first_form(log: Log, folder: Path) -> Path:
    """Make a folder with the same log as it was kept at first, not closed."""
    folder.mkdir(mode=0o700)
    connection = sqlite3.connect(folder / "log.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(FIRST_FORM)
    leaves = [tree.leaf_hash(data) for _, data in log.records()]
    for size in range(log.size + 1):
        text = note.sign_checkpoint(ORIGIN, size, tree.root_of(leaves[:size]), KEY)
        connection.execute("INSERT INTO checkpoint VALUES (?, ?)", (size, text))
    for sequence, data in log.records():
        record = decode_record(data)
        connection.execute("INSERT INTO record VALUES (?, ?, ?, ?)", (sequence, record.request, record.event, data))
        connection.execute("INSERT INTO node VALUES (0, ?, ?)", (sequence, leaves[sequence]))
    connection.executemany("INSERT INTO blob VALUES (?, ?)", log.blobs())
    connection.close()
    return folder


def test_a_log_of_the_first_form_is_carried_over(log: Log, tmp_path: Path) -> None:
    """Opening it keeps records, blobs and checkpoint; it verifies and takes more. Until then it is said to be old."""
    folder = in_first_form(log, tmp_path / "first")
    with pytest.raises(LogUnavailable, match="earlier form"):
        verify_folder(folder, VKEY)
    with Log(folder, ORIGIN, KEY) as again:
        assert list(again.records()) == list(log.records())
        assert list(again.blobs()) == list(log.blobs())
        assert again.checkpoint == log.checkpoint
        assert again.append(a_record(4)) == 4
    assert verify_folder(folder, VKEY).size == 5
    with Log(folder, ORIGIN, KEY) as again:
        assert again.size == 5


@pytest.mark.parametrize("statement", [*TAMPERINGS[1:2], "DELETE FROM record WHERE sequence = 3", "DELETE FROM blob",
                                       "DELETE FROM checkpoint WHERE size = 4", "DELETE FROM checkpoint"])  # fmt: skip
def test_an_altered_log_of_the_first_form_does_not_open(log: Log, tmp_path: Path, statement: str) -> None:
    """What is not what was signed is refused; where the records are not, they stay in the form that they had."""
    folder = in_first_form(log, tmp_path / "first")
    altered(folder, statement)
    with pytest.raises(VerificationFailed):
        Log(folder, ORIGIN, KEY)
    connection = sqlite3.connect(folder / "log.db")
    forms = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    connection.close()
    assert ("node" in forms) == ("blob" not in statement)


# The export -----------------------------------------------------------------------------------------------------


def test_an_export_verifies_and_nothing_altered_does(log: Log) -> None:
    """The export verifies; a line missing, moved or doubled, or any byte flipped, does not."""
    lines = list(export(log))
    assert verify_export(lines, VKEY).checkpoint_text == log.checkpoint
    for at in range(len(lines)):
        for wrong in ([*lines[:at], *lines[at + 1 :]], [*lines[: at + 1], *lines[at:]]):
            with pytest.raises(VerificationFailed):
                verify_export(wrong, VKEY)
    for at, line in enumerate(lines):
        for place in range(0, len(line), 3):
            flipped = line[:place] + bytes([line[place] ^ 1]) + line[place + 1 :]
            with pytest.raises(VerificationFailed):
                verify_export([*lines[:at], flipped, *lines[at + 1 :]], VKEY)


def test_an_export_of_an_empty_log_is_its_checkpoint(tmp_path: Path) -> None:
    """An empty log exports one line, which verifies; no lines do not."""
    with Log.create(tmp_path / "log", ORIGIN, KEY) as log:
        lines = list(export(log))
    assert len(lines) == 1
    assert verify_export(lines, VKEY).size == 0
    with pytest.raises(VerificationFailed):
        verify_export([], VKEY)
