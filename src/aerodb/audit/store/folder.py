"""Verification of a log's folder: everything is computed again from the records, and compared with what is stored."""

import sqlite3
from pathlib import Path

from aerodb.audit.store.database import Database, open_to_read
from aerodb.audit.store.errors import LogUnavailable
from aerodb.audit.store.files import DATABASE
from aerodb.audit.store.seal import is_sealed, verify_seal
from aerodb.audit.tree import Frontier, Node, leaf_hash
from aerodb.audit.verify import (
    VerificationFailed,
    Verified,
    verified_checkpoint,
    verified_record,
    verify_blob,
    verify_blobs,
    verify_head,
)

_ROWS_AT_ONCE = 256


def verify_folder(folder: Path, vkey: str) -> Verified:
    """Return what holds if the log in `folder` is whole, unaltered and signed by the log's key.

    Nothing is written, so this works while a server appends (then one consistent state is verified). A log that was
    closed is held to its seal too, and so to every byte of its files.

    Raises:
        VerificationFailed: something is missing, altered or not signed; the message says what.
        LogUnavailable: the folder has no log that can be opened.
        VerifierKeyInvalid: `vkey` is malformed.
    """
    try:
        sealed = is_sealed(folder)
        if sealed:
            verify_seal(folder, vkey)
        database = open_to_read(folder / DATABASE, sealed=sealed)
    except (OSError, sqlite3.Error) as error:
        raise LogUnavailable(f"the log in {folder} cannot be read: {error}") from error
    try:
        database.connection.execute("BEGIN")
        return verify_content(database, vkey)
    finally:
        database.close()


def verify_content(database: Database, vkey: str) -> Verified:
    """Return what holds if the database's content is whole, unaltered and signed by the log's key.

    Raises:
        VerificationFailed: something is missing, altered or not signed.
    """
    try:
        faults = database.faults()
        if faults:
            raise VerificationFailed(f"the database is damaged: {faults[0]}")
        size, text = database.newest()
        _verify_counts(database, size)
        _verify_tree(database, size, vkey)
        for digest in database.blob_digests():
            verify_blob(digest, database.blob(digest) or b"")
    except (sqlite3.Error, TypeError, ValueError) as error:
        raise VerificationFailed(f"the database is damaged: {error}") from error
    return Verified(size=size, checkpoint=verified_checkpoint(text, vkey), checkpoint_text=text)


def _verify_counts(database: Database, size: int) -> None:
    """Check that nothing is stored beyond what the newest checkpoint covers."""
    nodes = sum(size >> level for level in range(size.bit_length()))
    if database.counts() != (size, nodes, size + 1):
        raise VerificationFailed(f"there are not exactly the rows of {size} records")


def _verify_tree(database: Database, size: int, vkey: str) -> None:
    frontier = Frontier()
    _verify_checkpoint(database, frontier, vkey)
    for start in range(0, size, _ROWS_AT_ONCE):
        for row in database.rows(start, min(start + _ROWS_AT_ONCE, size)):
            frontier = _verify_row(database, row, frontier)
            _verify_checkpoint(database, frontier, vkey)


def _verify_row(database: Database, row: tuple[int, str, str, bytes], frontier: Frontier) -> Frontier:
    """Check one record and the nodes that it completed; return the frontier after it."""
    sequence, request, event, body = row
    record = verified_record(sequence, body)
    if (sequence, request, event) != (frontier.size, record.request, record.event):
        raise VerificationFailed(f"record {frontier.size} is not filed under its number, request and event")
    verify_blobs(sequence, record, database.blob)
    leaf = leaf_hash(body)
    for node in frontier.completed_by(leaf):
        _verify_node(database, node)
    return frontier.append(leaf)


def _verify_node(database: Database, node: Node) -> None:
    if database.node_hash(node.level, node.index) != node.hash:
        raise VerificationFailed(f"the stored hash of node ({node.level}, {node.index}) is not that of its records")


def _verify_checkpoint(database: Database, frontier: Frontier, vkey: str) -> None:
    text = database.checkpoint(frontier.size)
    if text is None:
        raise VerificationFailed(f"the checkpoint at {frontier.size} records is missing")
    if text.count("\u2014 ") != 1:
        raise VerificationFailed(f"the checkpoint at {frontier.size} records has a signature that the log never stored")
    verify_head(frontier, verified_checkpoint(text, vkey))
