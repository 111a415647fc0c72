"""The audit log on disk: append, read back, prove.

- One SQLite transaction holds a record, the tree nodes that it completes, its blobs, and the new signed checkpoint,
  which replaces the one before. Either all of it is durable when COMMIT returns (SQLite's WAL mode, synchronous=FULL),
  or none of it is there.
- *Durable* is not *published*: `append` returns only after the record and its checkpoint were read back, by another
  connection, from files that are still the ones at their path.
- No other process may write these files: the folder is locked, and if a file changed since this process last wrote it,
  nothing more is appended.
- Disk space for the record of an outcome is reserved before the action is dispatched (`ensure_reserve`).
- The newest checkpoint is copied into the head, beside the folder, so a log that lost its end notices (`lost`).
"""

import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aerodb.audit import tree
from aerodb.audit.note import Signer
from aerodb.audit.record import Record, encode_record
from aerodb.audit.store.blobs import check_blobs, insert_blobs
from aerodb.audit.store.carrying import carry_over, is_first_form
from aerodb.audit.store.database import Database, DatabaseRow, open_to_read, open_to_write
from aerodb.audit.store.errors import LogReplaced, LogUnavailable
from aerodb.audit.store.files import DATABASE, RESERVE, RESERVE_BYTES, FileMark, Marker, Reserve
from aerodb.audit.store.folder import verify_content
from aerodb.audit.store.head import Head
from aerodb.audit.store.index import Index
from aerodb.audit.store.making import create_database, disk, lock_folder
from aerodb.audit.store.reading import Readable
from aerodb.audit.store.seal import file_digests, is_sealed, remove_seal, verify_seal, write_seal
from aerodb.audit.verify import Progress, silent, verified_checkpoint, verify_head
from aerodb.errors import VerificationFailed

LOCK_TIMEOUT_SECONDS = 10.0

_OF_THE_DONE = ("triggered", "outcome", "established")
_NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE)


class Log(Readable):
    """The log in one folder, under the name `origin`, signed with `key`. Safe to use from several threads.

    Raises, from each method that touches the disk:
        LogUnavailable: the disk or the database refused; or the log is closed, or in use by another process.
        LogReplaced: the files at the path are not those that this process opened and wrote.
    """

    def __init__(self, folder: Path, origin: str, key: Ed25519PrivateKey, progress: Progress = silent) -> None:
        """Open the log in `folder`. If it was not closed, it is wholly verified first, and `progress` is told.

        Raises:
            LogUnavailable: there is none, it cannot be opened, or another process has it open.
            LogReplaced: it was closed, and its files do not match the seal.
            VerificationFailed: its content does not match its newest checkpoint.
        """
        self._folder = folder
        self._origin = origin
        self._key = key
        self._signer = Signer(origin, key)
        self._vkey = self._signer.verifier_key
        self._marker = Marker(folder)
        self._reserve = Reserve(folder / RESERVE)
        self._head = Head(folder, self._vkey)
        self._lost, self._head_noted = "", False
        self._lock = threading.Lock()
        self._fault: str | None = None
        self._nodes = {}
        self._progress = progress
        self.index = Index(folder, self)
        with disk():
            self._folder_descriptor: int | None = lock_folder(folder)
        try:
            with disk():
                self._open()
        except BaseException:
            self._release_folder()
            raise

    @classmethod
    def create(cls, folder: Path, origin: str, key: Ed25519PrivateKey) -> Self:
        """Make a new, empty log in `folder`, which is made too (mode 700), and open it.

        Raises:
            LogUnavailable: there is one already, or the disk refused.
            VerifierKeyInvalid: `origin` cannot be a log's name.
        """
        checkpoint = Signer(origin, key).checkpoint(0, tree.EMPTY_ROOT)
        with disk():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
            descriptor = lock_folder(folder)
            try:
                create_database(folder, checkpoint)
                Head(folder, Signer(origin, key).verifier_key).forget()
            finally:
                os.close(descriptor)
        return cls(folder, origin, key)

    def _open(self) -> None:
        path = self._folder / DATABASE
        sealed = self._break_seal()
        self._writer = open_to_write(path)
        self._reader: Database | None = None
        try:
            if is_first_form(self._writer):
                carry_over(self._writer, self._vkey)
            if not sealed:
                verify_content(self._writer, self._vkey, self._folder, self._progress)
            size, self._checkpoint = self._writer.newest()
            self._frontier = tree.frontier_of(self._writer.node_hash, size)
            verify_head(self._frontier, verified_checkpoint(self._checkpoint, self._vkey))
            self._reader = open_to_read(path)
            self._reader.newest()
            self._marks = self._marker.marks()
            self._compare_with_head()
        except BaseException:
            self._disconnect()
            raise
        # A full disk must not keep anybody from reading the log; before a dispatch `ensure_reserve` complains.
        with suppress(OSError):
            self._reserve.ensure(RESERVE_BYTES)

    def _compare_with_head(self) -> None:
        """Compare the log with its head; if the log does not extend it, keep the head as evidence of the loss."""
        noted = self._head.read()
        head = verified_checkpoint(noted, self._vkey) if noted else None
        kept = head is None or (
            head.size <= self.size and tree.frontier_of(self._writer.node_hash, head.size).root() == head.root
        )
        self._lost = "" if kept else noted
        self._note_head()

    def _note_head(self) -> None:
        """Write the newest checkpoint to the head, unless that shows a loss; note whether the head is up to date."""
        if self._lost:
            return
        try:
            self._head.write(self.size, self._checkpoint)
            self._head_noted = True
        except OSError:  # The record is durable; an older head is not wrong, and the next append writes it again.
            self._head_noted = False

    def _break_seal(self) -> bool:
        """Verify and remove the seal; return whether there was one."""
        if not is_sealed(self._folder):
            return False
        try:
            verify_seal(self._folder, self._vkey)
        except VerificationFailed as error:
            raise LogReplaced(f"the log in {self._folder} is not as it was closed: {error.message}") from error
        remove_seal(self._folder)
        return True

    # What the log is ---------------------------------------------------------------------------------------------

    @property
    def checkpoint(self) -> str:
        """The newest signed checkpoint."""
        return self._checkpoint

    @property
    def lost(self) -> str:
        """The checkpoint in the head that this log does not extend; empty if no loss is known."""
        return self._lost

    @property
    def verifier_key(self) -> str:
        """The verifier key of this log's checkpoints."""
        return self._vkey

    # Appending ---------------------------------------------------------------------------------------------------

    def append(self, record: Record, blobs: Mapping[str, bytes] | None = None) -> int:
        """Append `record`, with the `blobs` (by digest) that it names; return its number, from 0.

        When this returns, all of it is durable, signed, and was read back.

        Raises:
            RecordTooLarge: the record has too many bytes.
            NotCanonical: a text in it is not NFC.
            BlobMismatched: a blob does not match its digest, is not text, or is missing.
            LogUnavailable, LogReplaced: see the class.
        """
        body = encode_record(record)
        check_blobs(blobs or {})
        with self._held():
            try:
                return self._append(record, body, blobs or {})
            except sqlite3.Error as error:
                if record.event not in _OF_THE_DONE or getattr(error, "sqlite_errorcode", None) not in _NO_ROOM:
                    raise
                self._reserve.release()
                return self._append(record, body, blobs or {})

    def _append(self, record: Record, body: bytes, blobs: Mapping[str, bytes]) -> int:
        self._require_ours()
        sequence, (nodes, frontier) = self.size, self._frontier.grown(tree.leaf_hash(body))
        checkpoint = self._signer.checkpoint(frontier.size, frontier.root())
        row = sequence, record.request, record.event, b"".join(nodes), body
        self._commit(record, blobs, row, checkpoint)
        self._read_back(row, checkpoint)
        self._frontier, self._checkpoint = frontier, checkpoint
        self._note_head()
        return sequence

    def _commit(self, record: Record, blobs: Mapping[str, bytes], row: DatabaseRow, checkpoint: str) -> None:
        """Write everything in one transaction: it is durable when this returns, or nothing was written."""
        database, size = self._writer, row[0]
        database.connection.execute("BEGIN IMMEDIATE")
        try:
            self._replace_checkpoint(size + 1, checkpoint)
            insert_blobs(database, record, blobs)
            database.insert_record(row)
            database.connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                database.connection.execute("ROLLBACK")
            with suppress(LogReplaced):  # The next append will raise it.
                self._remark()
            raise

    def _replace_checkpoint(self, size: int, checkpoint: str) -> None:
        if not self._writer.replace_checkpoint((self.size, self._checkpoint), (size, checkpoint)):
            raise LogReplaced("someone else appended to the log")

    def _remark(self) -> None:
        """Take new marks after this process wrote the files; refuse other files in their place."""
        marks = self._marks_now()
        if not all(mark.is_file_of(ours) for mark, ours in zip(marks, self._marks, strict=True)):
            raise LogReplaced(f"the files in {self._folder} are not those that this process opened")
        self._marks = marks

    def _read_back(self, row: DatabaseRow, checkpoint: str) -> None:
        """Check that another connection reads what was committed; if not, this process never appends again."""
        self._fault = "what was read back differs from what was written"
        self._remark()
        if self._reading.row_and_checkpoint(row[0]) != (*row, row[0] + 1, checkpoint):
            raise LogUnavailable(self._fault)
        self._fault = None

    # Readiness ---------------------------------------------------------------------------------------------------

    def reserve(self, size_bytes: int) -> None:
        """Reserve `size_bytes` of disk space for the record of an outcome, and check that the files are ours.

        Raises:
            LogUnavailable: the disk has no room.
            LogReplaced: see the class.
        """
        with self._held():
            self._require_ours()
            self._reserve.ensure(size_bytes)

    def ensure_reserve(self) -> None:
        """Make the usual reserve; the server calls this before each dispatch. Raises as `reserve` does."""
        self.reserve(RESERVE_BYTES)

    def writable(self) -> bool:
        """Tell whether an append would likely work: the files are ours, and the reserve and the head are up to date."""
        try:
            with self._held():
                self._require_ours()
                return self._reserve.held_bytes() >= RESERVE_BYTES and (self._head_noted or bool(self._lost))
        except (LogUnavailable, LogReplaced):
            return False

    @property
    def _reading(self) -> Database:
        if self._reader is None:
            raise LogUnavailable("the log is closed")
        return self._reader

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Lock the log for one thread, waiting LOCK_TIMEOUT_SECONDS at most."""
        if not self._lock.acquire(timeout=LOCK_TIMEOUT_SECONDS):
            raise LogUnavailable(f"the log was busy for {LOCK_TIMEOUT_SECONDS} seconds")
        try:
            with disk():
                _ = self._reading
                yield
        finally:
            self._lock.release()

    def _require_ours(self) -> None:
        """Refuse to go on if someone else replaced or wrote the files, or if reading back failed."""
        self._require_files()
        if self._fault is not None:
            raise LogUnavailable(self._fault)

    def _require_files(self) -> None:
        if self._marks_now() != self._marks:
            raise LogReplaced(f"the files in {self._folder} are not as this process left them")

    def _marks_now(self) -> tuple[FileMark, FileMark]:
        try:
            return self._marker.marks()
        except OSError as error:
            raise LogReplaced(f"a file of the log is gone: {error}") from error

    # Closing -----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Verify the whole log, close it and seal its files. Closing twice does nothing.

        Raises:
            LogUnavailable, LogReplaced: it was closed without a seal, so the next opening verifies it wholly.
            VerificationFailed: the files were changed: they are not what was signed. It was closed without a seal.
        """
        try:
            with self._lock, disk():
                self._close()
        finally:
            self.index.close()

    def _close(self) -> None:
        if self._reader is None:
            return
        try:
            self._require_ours()
            self._checkpoint_wal()
            files = file_digests(self._folder)
            self._verify_what_is_sealed()
            self._head.close()
            self._disconnect()
            write_seal(self._folder, files, self._origin, self._key)
        finally:
            self._disconnect()
            self._release_folder()

    def _verify_what_is_sealed(self) -> None:
        """Verify the whole files: unchanged marks do not prove unchanged bytes."""
        database = open_to_read(self._folder / DATABASE)  # The open connections would read pages cached in memory.
        try:
            verified = verify_content(database, self._vkey, self._folder, self._progress)
        finally:
            database.close()
        if verified.checkpoint_text != self._checkpoint:
            raise VerificationFailed(f"the files hold a log of {verified.size} records that was not written here")

    def _checkpoint_wal(self) -> None:
        busy, _, _ = self._writer.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise LogUnavailable("a reader kept the log from being sealed")

    def _disconnect(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        self._writer.close()

    def _release_folder(self) -> None:
        with suppress(OSError):
            self._head.close()
        if self._folder_descriptor is not None:
            os.close(self._folder_descriptor)
            self._folder_descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
