"""Migrates a log of the first form, which kept the tree's nodes and every checkpoint in tables of their own.

- One transaction does it, before anything else, so the log is always wholly in one form or the other.
- The old tree is not trusted: it is computed again from the records, and must be the one that the newest checkpoint
  signs.
"""

from contextlib import suppress

from aerodb.audit.store.database import Database, create_schema
from aerodb.audit.tree import Frontier, leaf_hash
from aerodb.audit.verify import verified_checkpoint, verify_head

_ROWS_AT_ONCE = 256


def is_first_form(database: Database) -> bool:
    """Tell whether the log has the first form."""
    query = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'node'"
    return database.connection.execute(query).fetchone() is not None


def carry_over(database: Database, vkey: str) -> None:
    """Bring a log of the first form into the present one.

    Raises:
        VerificationFailed: its records are not those that its newest checkpoint signs; the log is unchanged.
        sqlite3.Error: the database refused; the log is unchanged.
    """
    execute = database.connection.execute
    execute("BEGIN IMMEDIATE")
    try:
        size, text = execute("SELECT size, text FROM checkpoint ORDER BY size DESC LIMIT 1").fetchone() or (0, "")
        for statement in ("DROP INDEX record_request", "DROP TABLE node", "DROP TABLE checkpoint",
                          "ALTER TABLE record RENAME TO first"):  # fmt: skip
            execute(statement)
        create_schema(database, but=("blob",))
        verify_head(_records_carried_over(database), verified_checkpoint(text, vkey))
        database.insert_checkpoint(size, text)
        execute("DROP TABLE first")
        execute("COMMIT")
    except BaseException:
        with suppress(Exception):
            execute("ROLLBACK")
        raise


def _records_carried_over(database: Database) -> Frontier:
    """Write each record's new row; return the right edge of the tree of all records."""
    query = "SELECT request, event, body FROM first WHERE sequence >= ? ORDER BY sequence LIMIT ?"
    frontier = Frontier()
    while rows := database.connection.execute(query, (frontier.size, _ROWS_AT_ONCE)).fetchall():
        for request, event, body in rows:
            nodes, grown = frontier.grown(leaf_hash(body))
            database.insert_record((frontier.size, request, event, b"".join(nodes), body))
            frontier = grown
    return frontier
