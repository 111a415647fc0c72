"""What somebody changes in the files of a log that is open: it is never shown, never proven, and never sealed.

The files' marks are taken anew after each change, as if their times had been put back: only the content tells.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from aerodb.audit import tree
from aerodb.audit.export import export
from aerodb.audit.record import Record, encode_record
from aerodb.audit.search import Query
from aerodb.audit.store import Log, search, verify_folder
from aerodb.audit.store.files import SEAL
from aerodb.audit.tree import HASH_BYTES, leaf_hash
from aerodb.errors import AeroError, VerificationFailed

ORIGIN, KEY = "aerodb.log/a-test", Ed25519PrivateKey.generate()
SIZE = 21
TARGET = 9


def record(number: int, reason: str = "a test") -> Record:
    """Return a record that is like no other."""
    return Record(event="read", at="2030-01-01T00:00:00.000Z", clock="a test's", request="", operator=f"o{number}",
                  reason=reason)  # fmt: skip


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    """Return a log of some records, whose files a test changes."""
    made = Log.create(tmp_path / "log", ORIGIN, KEY)
    for number in range(SIZE):
        made.append(record(number))
    yield made
    try:
        made.close()
    except AeroError:
        return


def change(log: Log, *statements: tuple[str, tuple[object, ...]]) -> None:
    """Change the database as its owner could, unseen by whoever looks at the files' marks alone."""
    with closing(sqlite3.connect(log._folder / "log.db")) as connection, connection:
        for statement, values in statements:
            connection.execute(statement, values)
    log._marks = log._marker.marks()


LIE = encode_record(record(TARGET, "a lie!"))


def _body(log: Log) -> None:
    change(log, ("UPDATE record SET body = ? WHERE sequence = ?", (LIE, TARGET)))


def _body_and_leaf(log: Log) -> None:
    """The record with its own hash beside it, as whoever knows how the log is made would."""
    with closing(sqlite3.connect(log._folder / "log.db")) as connection:
        (nodes,) = connection.execute("SELECT nodes FROM record WHERE sequence = ?", (TARGET,)).fetchone()
    _body(log)
    changed = leaf_hash(LIE) + nodes[HASH_BYTES:]
    change(log, ("UPDATE record SET nodes = ? WHERE sequence = ?", (changed, TARGET)))


def _body_and_all_nodes(log: Log) -> None:
    """The record with every node above it, computed anew: all but the signature."""
    bodies = [data for _, data in log.records()]
    frontier, statements = tree.Frontier(), []
    for sequence, data in enumerate(bodies):
        nodes, frontier = frontier.grown(leaf_hash(LIE if sequence == TARGET else data))
        statements.append(("UPDATE record SET nodes = ? WHERE sequence = ?", (b"".join(nodes), sequence)))
    _body(log)
    change(log, *statements)


def _swapped(log: Log) -> None:
    """Two records in each other's place, with their hashes."""
    change(log, ("UPDATE record SET sequence = -1 WHERE sequence = ?", (TARGET,)),
           ("UPDATE record SET sequence = ? WHERE sequence = ?", (TARGET, TARGET - 1)),
           ("UPDATE record SET sequence = ? WHERE sequence = -1", (TARGET - 1,)))  # fmt: skip


def _removed(log: Log) -> None:
    change(log, ("DELETE FROM record WHERE sequence = ?", (TARGET,)))


CHANGES = (_body, _body_and_leaf, _body_and_all_nodes, _swapped, _removed)


@pytest.mark.parametrize("altered", CHANGES)
def test_a_record_that_was_changed_is_never_shown(log: Log, altered: Callable[[Log], None]) -> None:
    """One by one, in a range that holds it, in an export, by its proof, in a search: refused, whoever asks how."""
    altered(log)
    for ask in (
        lambda: log.record(TARGET),
        lambda: log.proof(TARGET),
        lambda: list(log.records()),
        lambda: list(log.records(TARGET, TARGET + 1)),
        lambda: list(log.records(TARGET - 3, TARGET + 2)),
        lambda: list(export(log)),
        lambda: search(log, Query(operator=f"o{TARGET}")),
    ):
        with pytest.raises(AeroError) as error:
            ask()
        assert error.value.code in {"control.log-verification-failed", "control.log-unavailable"}


@pytest.mark.parametrize("altered", [_body, _body_and_leaf])
def test_the_records_beside_it_are_shown(log: Log, altered: Callable[[Log], None]) -> None:
    """What the change leaves provable goes on being read: one bad record hides no others."""
    altered(log)
    shown = 0
    for number in range(SIZE):
        try:
            assert log.record(number) == encode_record(record(number))
            shown += 1
        except VerificationFailed:
            assert number in (TARGET, TARGET - 1)  # Its neighbour's proof goes over its changed hash.
    assert shown >= SIZE - 2


def test_a_changed_tree_is_said_to_be_changed_and_is_no_fork(log: Log) -> None:
    """A stored hash that is not the tree's: the log says so by itself, and gives nobody a path that would accuse it."""
    change(log, ("UPDATE record SET nodes = zeroblob(length(nodes)) WHERE sequence = 7", ()))
    with pytest.raises(VerificationFailed):
        log.consistency(7)
    with pytest.raises(VerificationFailed):
        log.record(8)
    assert [data for _, data in log.records()] == [encode_record(record(number)) for number in range(SIZE)]


@given(st.data())
def test_any_range_is_covered_by_whole_nodes_that_lead_to_the_root(data: st.DataObject) -> None:
    """The blocks of a range are its leaves, in order, and each has a path to the root, which no other node has."""
    size = data.draw(st.integers(1, 70))
    start = data.draw(st.integers(0, size - 1))
    stop, level_max = data.draw(st.integers(start, size)), data.draw(st.integers(0, 6))
    leaves = [leaf_hash(bytes([each])) for each in range(size)]
    hash_of, root = tree.hashes_of(leaves), tree.root_of(leaves)
    covered = list[int]()
    for level, index in tree.blocks(start, stop, level_max):
        assert level <= level_max
        covered += range(index << level, (index + 1) << level)
        path = tree.node_path(hash_of, level, index, size)
        assert tree.root_from_inclusion(hash_of(level, index), index, size, path, level) == root
        assert tree.root_from_inclusion(leaf_hash(b"x" * 9), index, size, path, level) != root
    assert covered == list(range(start, stop))


def _in_place(log: Log, old: bytes, new: bytes) -> None:
    """Change bytes of the database's file as they lie there, and put its times back."""
    path = log._folder / "log.db"
    status, data = path.stat(), path.read_bytes()
    assert len(old) == len(new)
    assert old in data
    with path.open("r+b") as file:
        file.write(data.replace(old, new))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_what_was_changed_in_place_is_not_sealed_and_not_trusted(log: Log) -> None:
    """The marks are those of before, the bytes are not: closing says so and seals nothing, and opening refuses."""
    log.close()
    again = Log(log._folder, ORIGIN, KEY)
    _in_place(again, b"a test", b"a lie!")
    again._require_ours()  # Nothing can be seen of it from outside.
    with pytest.raises(VerificationFailed):
        again.close()
    assert not (log._folder / SEAL).exists()
    with pytest.raises(VerificationFailed):
        Log(log._folder, ORIGIN, KEY)


def test_an_older_log_in_the_files_is_not_sealed(log: Log) -> None:
    """Whole in itself, and signed; but not what this process wrote: no seal says that it is."""
    log.close()
    older = {path.name: path.read_bytes() for path in (log._folder / "log.db",)}
    again = Log(log._folder, ORIGIN, KEY)
    again.append(record(99))
    again._checkpoint_wal()
    (log._folder / "log.db").write_bytes(older["log.db"])
    again._marks = again._marker.marks()
    with pytest.raises(AeroError):
        again.close()
    assert not (log._folder / SEAL).exists()


def test_what_is_untouched_is_sealed_and_verifies(log: Log) -> None:
    """An honest log is closed with a seal, by which it verifies whole."""
    log.close()
    assert (log._folder / SEAL).exists()
    assert verify_folder(log._folder, log.verifier_key).size == SIZE
