"""Reading the log: records, blobs and proofs, each checked as it is read.

- A record is checked against the root in this process's memory, which it verified at opening or signed itself. Stored
  nodes only supply the path to that root. So no change of the files, however consistent, is ever shown.
- Consecutive records are checked together, by the tree nodes that they complete.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager

from aerodb.audit import tree
from aerodb.audit.note import stated_size
from aerodb.audit.proof import make_proof
from aerodb.audit.record import Record, read_record
from aerodb.audit.store.database import Database
from aerodb.audit.store.errors import RecordUnknown
from aerodb.audit.verify import verify_blob
from aerodb.errors import VerificationFailed

_ROWS_LEVEL = 8
_ROWS_AT_ONCE = 1 << _ROWS_LEVEL
_NODES_MAX = 8_192


class Readable:
    """The reading half of a log; the subclass holds the files and provides `_reading` and `_held`."""

    _frontier: tree.Frontier
    _nodes: dict[tuple[int, int], bytes]
    _checkpoint: str

    @property
    def size(self) -> int:
        """How many records the log has."""
        return self._frontier.size

    @property
    def _reading(self) -> Database:
        raise NotImplementedError

    def _held(self) -> AbstractContextManager[None]:
        raise NotImplementedError

    def record(self, sequence: int) -> bytes:
        """Return the bytes of the record `sequence`, checked against the tree.

        Raises:
            RecordUnknown: there is none.
            VerificationFailed: it was altered.
        """
        with self._held():
            return self._proven(sequence)[0]

    def _proven(self, sequence: int) -> tuple[bytes, tuple[bytes, ...]]:
        """Return a record's bytes, and the verified path from them to the root in memory."""
        body = self._reading.body(sequence) if 0 <= sequence < self.size else None
        if body is None and not 0 <= sequence < self.size:
            raise RecordUnknown(f"the log has {self.size} records, and none with the number {sequence}")
        if body is None:
            raise VerificationFailed(f"record {sequence} is missing")
        leaf, path = tree.leaf_hash(body), tree.inclusion_path(self._node_hash, sequence, self.size)
        if not tree.verify_inclusion(leaf, sequence, self.size, path, self._frontier.root()):
            self._nodes.clear()
            raise VerificationFailed(f"record {sequence}, or the tree that is stored with it, is altered")
        return body, path

    def _node_hash(self, level: int, index: int) -> bytes:
        """Return the hash of a complete node, from a cache if possible: such a node never changes.

        The cache is trusted no more than the files: every path is checked against the root.
        """
        found = self._nodes.get((level, index))
        if found is None:
            found = self._reading.node_hash(level, index)
            if len(self._nodes) >= _NODES_MAX:
                self._nodes.clear()
            self._nodes[level, index] = found
        return found

    def records(self, start: int = 0, end: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield number and bytes of the records from `start` up to, but not including, `end` (default: all so far).

        Raises:
            VerificationFailed: one was altered; only records before it were yielded.
        """
        first, stop = max(start, 0), self.size if end is None else min(end, self.size)
        while first < stop:
            after = min((first // _ROWS_AT_ONCE + 1) * _ROWS_AT_ONCE, stop)  # Ends where a whole node does.
            with self._held():
                rows = self._checked_rows(first, after)
            yield from rows
            first = after

    def _checked_rows(self, first: int, stop: int) -> list[tuple[int, bytes]]:
        """Return the records from `first` up to, but not including, `stop`, checked against the root in memory."""
        rows = self._reading.bodies(first, stop)
        if [sequence for sequence, _ in rows] != list(range(first, stop)):
            raise VerificationFailed(f"a record from {first} to {stop - 1} is missing")
        for level, index in tree.blocks(first, stop, _ROWS_LEVEL):
            begin, end = index << level, (index + 1) << level
            node = tree.block_root([tree.leaf_hash(body) for _, body in rows[begin - first : end - first]])
            path = tree.node_path(self._node_hash, level, index, self.size)
            if tree.root_from_inclusion(node, index, self.size, path, level) != self._frontier.root():
                self._nodes.clear()
                for sequence in range(begin, end):
                    self._proven(sequence)  # Raises for the altered record, if its own path shows which one it is.
                raise VerificationFailed(f"the tree that is stored with the records {begin} to {end - 1} is altered")
        return rows

    def sequences_of(self, request: str) -> tuple[int, ...]:
        """Return the numbers of the records about `request`, in order."""
        with self._held():
            return self._reading.sequences(request)

    def records_of(self, request: str) -> Iterator[tuple[int, Record]]:
        """Yield number and content of the records about `request`, in order, each checked against the tree.

        Raises:
            VerificationFailed: one was altered.
        """
        for sequence in self.sequences_of(request):
            yield sequence, read_record(self.record(sequence))

    def root_at(self, size: int) -> bytes:
        """Return the root of the tree of the first `size` records; the log must have that many.

        Raises:
            VerificationFailed: the stored tree was altered.
        """
        with self._held():
            return self._root(size)

    def blob(self, digest: str) -> bytes | None:
        """Return the blob that `digest` names, or None.

        Raises:
            VerificationFailed: it was altered.
        """
        with self._held():
            data = self._reading.blob(digest)
        if data is not None:
            verify_blob(digest, data)
        return data

    def blobs(self) -> Iterator[tuple[str, bytes]]:
        """Yield digest and bytes of every blob, sorted by digest.

        Raises:
            VerificationFailed: one was altered or removed meanwhile.
        """
        after = ""
        while True:
            with self._held():
                digests = self._reading.blob_digests(after, _ROWS_AT_ONCE)
            for digest in digests:
                data = self.blob(digest)
                if data is None:
                    raise VerificationFailed(f"the blob {digest} vanished")
                yield digest, data
            if not digests:
                return
            after = digests[-1]

    def proof(self, sequence: int) -> str:
        """Return the inclusion proof of the record `sequence` under the newest checkpoint.

        Raises:
            RecordUnknown: there is none.
            VerificationFailed: the stored record or tree was altered, so that no proof would hold.
        """
        return self.proofs((sequence,))[0]

    def proofs(self, sequences: Sequence[int]) -> tuple[str, ...]:
        """Return the inclusion proofs of several records, all under the same checkpoint; raises as `proof` does."""
        with self._held():
            return tuple(self._proof(sequence) for sequence in sequences)

    def _proof(self, sequence: int) -> str:
        return make_proof(sequence, self._proven(sequence)[1], self._checkpoint)

    def proof_under(self, sequence: int, checkpoint: str) -> str:
        """Return the inclusion proof of a record under an earlier `checkpoint`, keeping its signatures.

        Raises:
            RecordUnknown: the log, or the checkpoint, has no such record.
            VerificationFailed: the stored record or tree was altered, so that no proof would hold.
        """
        size = stated_size(checkpoint)
        with self._held():
            if not sequence < size <= self.size:
                raise RecordUnknown(f"a checkpoint of {size} records has no record {sequence} of this log")
            leaf = tree.leaf_hash(self._proven(sequence)[0])
            path = tree.inclusion_path(self._reading.node_hash, sequence, size)
            if not tree.verify_inclusion(leaf, sequence, size, path, self._root(size)):
                raise VerificationFailed(f"the tree that is stored with record {sequence} is altered")
            return make_proof(sequence, path, checkpoint)

    def consistency(self, old_size: int, new_size: int | None = None) -> tuple[bytes, ...]:
        """Return the consistency proof that the log at `new_size` records (default: now) extends that at `old_size`.

        Raises:
            RecordUnknown: the log never had that many records.
            VerificationFailed: the stored tree was altered, so that no proof would hold.
        """
        with self._held():
            new = self.size if new_size is None else new_size
            if not 0 <= old_size <= new <= self.size:
                raise RecordUnknown(f"the log has {self.size} records; from {old_size} to {new} it never grew")
            path = tree.consistency_path(self._reading.node_hash, old_size, new)
            if not tree.verify_consistency(old_size, self._root(old_size), new, self._root(new), path):
                raise VerificationFailed(f"the stored tree does not lead from {old_size} records to {new}")
            return path

    def _root(self, size: int) -> bytes:
        """Return the root at `size` records, after proving that the root in memory extends it."""
        root = tree.frontier_of(self._reading.node_hash, size).root()
        path = tree.consistency_path(self._reading.node_hash, size, self.size)
        if not tree.verify_consistency(size, root, self.size, self._frontier.root(), path):
            raise VerificationFailed(f"the stored tree does not lead from {size} records to the signed root")
        return root
