"""Reading the log: records, blobs and proofs, each checked against the tree as it is read."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager

from aerodb.audit import tree
from aerodb.audit.proof import make_proof
from aerodb.audit.store.database import Database
from aerodb.audit.store.errors import RecordUnknown
from aerodb.audit.verify import VerificationFailed, verify_blob

_ROWS_AT_ONCE = 256


class Readable:
    """The reading half of a log; the other half holds the files, and gives what is used here."""

    _frontier: tree.Frontier
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
            return self._body(sequence)

    def _body(self, sequence: int) -> bytes:
        found = self._reading.leaf_and_body(sequence) if 0 <= sequence < self.size else None
        if found is None:
            raise RecordUnknown(f"the log has {self.size} records, and none with the number {sequence}")
        leaf, body = found
        if tree.leaf_hash(body) != leaf:
            raise VerificationFailed(f"record {sequence} is altered")
        return body

    def records(self, start: int = 0, end: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield number and bytes of the records from `start` up to but without `end` (default: all there are now)."""
        stop = self.size if end is None else min(end, self.size)
        for first in range(max(start, 0), stop, _ROWS_AT_ONCE):
            with self._held():
                rows = self._reading.bodies(first, min(first + _ROWS_AT_ONCE, stop))
            yield from rows

    def sequences_of(self, request: str) -> tuple[int, ...]:
        """Return the numbers of the records about `request`, rising."""
        with self._held():
            return self._reading.sequences(request)

    def root_at(self, size: int) -> bytes:
        """Return the root of the tree of the first `size` records, of which there are at least as many."""
        with self._held():
            return tree.frontier_of(self._reading.node_hash, size).root()

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
        """Yield digest and bytes of every blob, in the digests' order.

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
        """Return the proof that the record `sequence` is in the log, under the newest checkpoint.

        Raises:
            RecordUnknown: there is none.
            VerificationFailed: the stored record or tree was altered, so that no proof would hold.
        """
        return self.proofs((sequence,))[0]

    def proofs(self, sequences: Sequence[int]) -> tuple[str, ...]:
        """Return the proofs of several records, all under one and the same checkpoint; raises as `proof` does."""
        with self._held():
            return tuple(self._proof(sequence) for sequence in sequences)

    def _proof(self, sequence: int) -> str:
        leaf = tree.leaf_hash(self._body(sequence))
        path = tree.inclusion_path(self._reading.node_hash, sequence, self.size)
        if not tree.verify_inclusion(leaf, sequence, self.size, path, self._frontier.root()):
            raise VerificationFailed(f"the stored tree does not lead from record {sequence} to the signed root")
        return make_proof(sequence, path, self._checkpoint)

    def consistency(self, old_size: int, new_size: int | None = None) -> tuple[bytes, ...]:
        """Return the proof that the log at `new_size` records (default: the newest) extends the log at `old_size`.

        Raises:
            RecordUnknown: the log never had that many records.
        """
        with self._held():
            new = self.size if new_size is None else new_size
            if not 0 <= old_size <= new <= self.size:
                raise RecordUnknown(f"the log has {self.size} records; from {old_size} to {new} it never grew")
            return tree.consistency_path(self._reading.node_hash, old_size, new)
