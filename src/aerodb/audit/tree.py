"""The log's Merkle tree: roots, inclusion proofs and consistency proofs.

- A node is named (level, index): it covers the leaves from index * 2**level up to (index + 1) * 2**level. Only nodes
  whose leaves all exist are stored, and such a node never changes again.
- Proofs are made from stored nodes in O(log n) reads, and verified iteratively, without any knowledge of the tree.

Pure: no I/O, no clock. Sources: RFC 6962 section 2.1 (hashes and proofs), RFC 9162 sections 2.1.3.2 and 2.1.4.2
(verification).
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

EMPTY_ROOT = hashlib.sha256(b"").digest()
HASH_BYTES = 32

HashOf = Callable[[int, int], bytes]
"""Returns the hash of the complete node (level, index)."""


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf that holds `data`."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of the node above `left` and `right`."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier(msgspec.Struct, frozen=True, kw_only=True):
    """The right edge of a tree: all that is needed to append to it, in O(log n) space.

    `peaks` are the hashes of the complete nodes that `complete_nodes(size)` names, in that order.
    """

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def grown(self, leaf: bytes) -> tuple[tuple[bytes, ...], "Frontier"]:
        """Return what appending the leaf hash `leaf` makes: the nodes that it completes, and the frontier after it.

        The nodes are those that `completed_by` finds again, by their levels: the leaf itself first, then upwards.
        """
        hashes, kept, index = [leaf], len(self.peaks), self.size
        while index & 1:
            kept -= 1
            hashes.append(node_hash(self.peaks[kept], hashes[-1]))
            index >>= 1
        return tuple(hashes), Frontier(size=self.size + 1, peaks=(*self.peaks[:kept], hashes[-1]))

    def append(self, leaf: bytes) -> "Frontier":
        """Return the frontier of the tree with the leaf hash `leaf` at its end."""
        return self.grown(leaf)[1]

    def root(self) -> bytes:
        """Return the root of the tree."""
        return _bagged(self.peaks) if self.peaks else EMPTY_ROOT


def completed_by(level: int, index: int) -> int:
    """Return the number of the leaf that makes the node (level, index) complete."""
    return ((index + 1) << level) - 1


def _bagged(peaks: Sequence[bytes]) -> bytes:
    """Join the hashes of adjacent nodes of falling size into one, from the right."""
    root = peaks[-1]
    for peak in reversed(peaks[:-1]):
        root = node_hash(peak, root)
    return root


def complete_nodes(size: int, start: int = 0) -> Iterator[tuple[int, int]]:
    """Name the fewest complete nodes that cover the leaves from `start` up to `size`, from left to right.

    `start` must be a multiple of the greatest power of two that is at most `size - start`.
    """
    while start < size:
        level = (size - start).bit_length() - 1
        yield level, start >> level
        start += 1 << level


def blocks(start: int, stop: int, level_max: int) -> Iterator[tuple[int, int]]:
    """Name the fewest complete nodes, none above `level_max`, that cover the leaves from `start` up to `stop`."""
    while start < stop:
        aligned = (start & -start).bit_length() - 1 if start else level_max
        level = min(aligned, (stop - start).bit_length() - 1, level_max)
        yield level, start >> level
        start += 1 << level


def frontier_of(hash_of: HashOf, size: int) -> Frontier:
    """Return the frontier of the tree of `size` leaves whose complete nodes `hash_of` returns."""
    return Frontier(size=size, peaks=tuple(hash_of(*node) for node in complete_nodes(size)))


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Return the root over these leaf hashes."""
    frontier = Frontier()
    for leaf in leaves:
        frontier = frontier.append(leaf)
    return frontier.root()


def block_root(leaves: Sequence[bytes]) -> bytes:
    """Return the hash of the complete node over these leaf hashes, of which there is a power of two."""
    row = list(leaves)
    while len(row) > 1:
        row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]


def hashes_of(leaves: Iterable[bytes]) -> HashOf:
    """Return a reader of the complete nodes over these leaf hashes, held in memory."""
    nodes: dict[tuple[int, int], bytes] = {}
    frontier = Frontier()
    for leaf in leaves:
        hashes, grown = frontier.grown(leaf)
        nodes.update({(level, frontier.size >> level): each for level, each in enumerate(hashes)})
        frontier = grown
    return lambda level, index: nodes[level, index]


def _sibling(hash_of: HashOf, level: int, index: int, size: int) -> bytes:
    """Return the hash over the leaves of the node (level, index) that exist in a tree of `size` leaves."""
    start = index << level
    if start + (1 << level) <= size:
        return hash_of(level, index)
    return _bagged([hash_of(*node) for node in complete_nodes(size, start)])


def _path(hash_of: HashOf, level: int, index: int, size: int) -> Iterator[bytes]:
    """Yield the siblings from the complete node (level, index) up to the root of the tree of `size` leaves."""
    last = (size - 1) >> level
    while last > 0:
        if index % 2 == 1:
            yield hash_of(level, index - 1)
        elif index < last:
            yield _sibling(hash_of, level, index + 1, size)
        level, index, last = level + 1, index >> 1, last >> 1


def inclusion_path(hash_of: HashOf, index: int, size: int) -> tuple[bytes, ...]:
    """Return the proof that the leaf `index` is in the tree of `size` leaves (RFC 6962 section 2.1.1).

    Raises:
        ValueError: the tree has no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    return node_path(hash_of, 0, index, size)


def node_path(hash_of: HashOf, level: int, index: int, size: int) -> tuple[bytes, ...]:
    """Return the proof that the complete node (level, index) is in the tree of `size` leaves.

    Raises:
        ValueError: the tree has no such complete node.
    """
    if not 0 <= index < size >> level:
        raise ValueError(f"a tree of {size} leaves has no complete node ({level}, {index})")
    return tuple(_path(hash_of, level, index, size))


def consistency_path(hash_of: HashOf, old: int, new: int) -> tuple[bytes, ...]:
    """Return the proof that the tree of `new` leaves extends that of `old` leaves (RFC 6962 section 2.1.2).

    Raises:
        ValueError: `old` is more than `new`, or negative.
    """
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {new} leaves extends none of {old}")
    if old in (0, new):
        return ()
    level = (old & -old).bit_length() - 1
    index = (old - 1) >> level
    # Where the old tree is one complete node, its root is what the verifier holds already.
    known = () if index == 0 else (hash_of(level, index),)
    return (*known, *_path(hash_of, level, index, new))


def root_from_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], level: int = 0) -> bytes | None:
    """Return the root that `path` leads to from `leaf`, or None where the path cannot be one (RFC 9162 2.1.3.2).

    A complete node above the leaves is proven in the same way, by its `level`: the nodes of a level are the leaves of
    the tree above it.
    """
    if not 0 <= index < size >> level:
        return None
    node, last, root = index, (size - 1) >> level, leaf
    for sibling in path:
        if last == 0:
            return None
        if node % 2 == 1 or node == last:
            root = node_hash(sibling, root)
            while node % 2 == 0 and node != 0:
                node, last = node >> 1, last >> 1
        else:
            root = node_hash(root, sibling)
        node, last = node >> 1, last >> 1
    return root if last == 0 else None


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Tell whether `path` proves that the leaf hash `leaf` is number `index` of the tree with `size` and `root`."""
    return root_from_inclusion(leaf, index, size, path) == root


def verify_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Tell whether `path` proves that the new tree extends the old one (RFC 9162 section 2.1.4.2)."""
    if not 0 <= old_size <= new_size:
        return False
    if old_size == new_size:
        return not path and old_root == new_root and (new_size > 0 or new_root == EMPTY_ROOT)
    if old_size == 0:
        return not path and old_root == EMPTY_ROOT
    return _roots_from_consistency(old_size, old_root, new_size, path) == (old_root, new_root)


def _roots_from_consistency(old_size: int, old_root: bytes, new_size: int, path: Sequence[bytes]) -> object:
    """Return the pair of roots that `path` leads to, or None; the sizes are positive and differ."""
    whole = (old_root, *path) if old_size & (old_size - 1) == 0 else tuple(path)
    if not path:
        return None
    node, last = old_size - 1, new_size - 1
    while node % 2 == 1:
        node, last = node >> 1, last >> 1
    old = new = whole[0]
    for sibling in whole[1:]:
        if last == 0:
            return None
        if node % 2 == 1 or node == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while node % 2 == 0 and node != 0:
                node, last = node >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        node, last = node >> 1, last >> 1
    return (old, new) if last == 0 else None
