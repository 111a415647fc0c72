"""Reads an export like a log: its lines are loaded into a temporary database, which is then verified as any other.

- So the same code verifies folders and exports, and memory use does not grow with the export.
- The database lies in a private folder that is deleted afterwards; it needs about as much disk as the export.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from aerodb.audit.export import BlobLine, CheckpointLine, ExportLine, RecordLine, read_lines
from aerodb.audit.record import read_record
from aerodb.audit.store.database import Database, create_scratch, open_to_read
from aerodb.audit.store.errors import LogUnavailable
from aerodb.audit.store.files import DATABASE
from aerodb.audit.store.folder import verify_content
from aerodb.audit.tree import Frontier, leaf_hash
from aerodb.audit.verify import Progress, Verified, silent
from aerodb.errors import VerificationFailed


@contextmanager
def opened_export(lines: Iterable[bytes], vkey: str) -> Iterator[tuple[Database, Path]]:
    """Hold an export's content open for verification, like that of a log's folder; lines are read one by one.

    Raises:
        VerificationFailed: a line is missing, malformed or out of order, or the checkpoint is not the log's.
        LogUnavailable: the temporary folder has no room for it.
        VerifierKeyInvalid: `vkey` is malformed.
    """
    with TemporaryDirectory(prefix="aerodb-export-") as name:
        folder = Path(name)
        try:
            _carry_in(read_lines(lines, vkey), folder / DATABASE)
        except sqlite3.OperationalError as error:
            raise LogUnavailable(f"the export cannot be held in {folder}: {error}; is there room?") from error
        database = open_to_read(folder / DATABASE)
        try:
            yield database, folder
        finally:
            database.close()


def verify_export(lines: Iterable[bytes], vkey: str, progress: Progress = silent) -> Verified:
    """Verify that `lines` are the export of an intact log: complete, unaltered and signed by the log's key.

    Raises:
        VerificationFailed: anything is missing, added, altered, in another order, or not signed.
        LogUnavailable: the temporary folder has no room for it.
        VerifierKeyInvalid: `vkey` is malformed.
    """
    with opened_export(lines, vkey) as (database, folder):
        return verify_content(database, vkey, folder, progress)


def _carry_in(lines: Iterator[ExportLine], path: Path) -> None:
    database, frontier = create_scratch(path), Frontier()
    try:
        for line in lines:
            frontier = _insert(database, line, frontier)
        database.connection.execute("COMMIT")
    finally:
        database.close()


def _insert(database: Database, line: ExportLine, frontier: Frontier) -> Frontier:
    """Insert a line's content as the log itself would; return the right edge of the tree after it."""
    if isinstance(line, CheckpointLine):
        database.insert_checkpoint(int(line.checkpoint.split("\n")[1]), line.checkpoint)
    elif isinstance(line, BlobLine):
        database.insert_blob(line.blob, line.text.encode())
    else:
        return _insert_record(database, line, frontier)
    return frontier


def _insert_record(database: Database, line: RecordLine, frontier: Frontier) -> Frontier:
    data = line.record.encode()
    try:
        record = read_record(data)
    except msgspec.DecodeError as error:
        raise VerificationFailed(f"record {line.sequence} is malformed: {error}") from error
    nodes, grown = frontier.grown(leaf_hash(data))
    database.insert_record((line.sequence, record.request, record.event, b"".join(nodes), data))
    return grown
