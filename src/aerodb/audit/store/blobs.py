"""Blobs: plans, snapshots and other documents, each stored once under the digest of its bytes."""

from collections.abc import Mapping

from aerodb.audit.record import Record
from aerodb.audit.store.database import Database
from aerodb.audit.store.errors import BlobMismatched
from aerodb.protocol import canonical


def check_blobs(blobs: Mapping[str, bytes]) -> None:
    """Check that each blob is UTF-8 text and matches its digest.

    Raises:
        BlobMismatched: one does not.
    """
    for digest, data in blobs.items():
        if canonical.digest(data) != digest:
            raise BlobMismatched(f"a blob is not what {digest} names")
        try:
            data.decode()
        except UnicodeDecodeError as error:
            raise BlobMismatched(f"the blob {digest} is not UTF-8 text") from error


def insert_blobs(database: Database, record: Record, blobs: Mapping[str, bytes]) -> None:
    """Insert the blobs, and check that all blobs that `record` needs are then in the log.

    Raises:
        BlobMismatched: one is missing, or the log holds other bytes under a digest.
        sqlite3.Error: the database refused.
    """
    for digest, data in blobs.items():
        database.insert_blob(digest, data)
        if database.blob(digest) != data:
            raise BlobMismatched(f"the log holds something else under {digest}")
    for digest in record.needs:
        if not database.has_blob(digest):
            raise BlobMismatched(f"the confirmation names {digest}, which is not in the log")
