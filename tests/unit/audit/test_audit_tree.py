"""The log's tree: every proof that it makes verifies, and no altered one does."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodb.audit import tree

SIZES = st.integers(min_value=0, max_value=140)


def leaves_of(size: int) -> list[bytes]:
    """Return the hashes of `size` different leaves."""
    return [tree.leaf_hash(b"record %d" % number) for number in range(size)]


def defined_root(leaves: Sequence[bytes]) -> bytes:
    """Return the root as RFC 6962 section 2.1 defines it, by recursion."""
    if len(leaves) < 2:
        return leaves[0] if leaves else tree.EMPTY_ROOT
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    return tree.node_hash(defined_root(leaves[:split]), defined_root(leaves[split:]))


def defined_consistency(old: int, leaves: Sequence[bytes], *, whole: bool = True) -> list[bytes]:
    """Return the consistency proof as RFC 6962 section 2.1.2 defines it, by recursion."""
    if old == len(leaves):
        return [] if whole else [defined_root(leaves)]
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    if old <= split:
        return [*defined_consistency(old, leaves[:split], whole=whole), defined_root(leaves[split:])]
    return [*defined_consistency(old - split, leaves[split:], whole=False), defined_root(leaves[:split])]


def test_the_root_is_the_one_that_the_rfc_defines() -> None:
    """At every size, appending leaf by leaf leads to the root of the recursive definition."""
    leaves = leaves_of(70)
    assert [tree.root_of(leaves[:size]) for size in range(71)] == [defined_root(leaves[:size]) for size in range(71)]


def test_every_inclusion_proof_verifies_for_its_own_leaf_index_and_size_alone() -> None:
    """For every leaf of every small tree, the proof verifies, and for no other leaf, index, size or root."""
    leaves = leaves_of(34)
    hash_of = tree.hashes_of(leaves)
    for size in range(1, 35):
        root = tree.root_of(leaves[:size])
        for index in range(size):
            path = tree.inclusion_path(hash_of, index, size)
            accepted = [i for i in range(size + 1) if tree.verify_inclusion(leaves[index], i, size, path, root)]
            assert accepted == [index]
            assert not tree.verify_inclusion(tree.leaf_hash(b"other"), index, size, path, root)
            assert not tree.verify_inclusion(leaves[index], index, size, path, tree.EMPTY_ROOT)


def test_every_consistency_proof_is_the_defined_one_and_verifies() -> None:
    """For every pair of small trees, the proof is RFC 6962's, and verifies."""
    leaves = leaves_of(34)
    hash_of = tree.hashes_of(leaves)
    for new in range(1, 35):
        for old in range(1, new + 1):
            path = tree.consistency_path(hash_of, old, new)
            assert list(path) == defined_consistency(old, leaves[:new])
            assert tree.verify_consistency(old, tree.root_of(leaves[:old]), new, tree.root_of(leaves[:new]), path)


@given(SIZES, SIZES, st.data())
def test_no_altered_consistency_proof_verifies(one: int, other: int, data: st.DataObject) -> None:
    """A consistency proof with a bit flipped, a hash missing, added or moved, or for another root, is refused."""
    old, new = min(one, other), max(one, other)
    leaves = leaves_of(new)
    path = tree.consistency_path(tree.hashes_of(leaves), old, new)
    roots = tree.root_of(leaves[:old]), tree.root_of(leaves)
    assert tree.verify_consistency(old, roots[0], new, roots[1], path)
    altered = data.draw(alterations(path))
    assert not tree.verify_consistency(old, roots[0], new, roots[1], altered)
    assert not tree.verify_consistency(old, tree.leaf_hash(b"other"), new, roots[1], path)
    if old > 0:
        assert not tree.verify_consistency(old, roots[0], new, tree.leaf_hash(b"other"), path)


@given(st.integers(1, 140), st.data())
def test_no_altered_inclusion_proof_verifies(size: int, data: st.DataObject) -> None:
    """An inclusion proof with a bit flipped, or a hash missing, added or moved, is refused."""
    leaves = leaves_of(size)
    index = data.draw(st.integers(0, size - 1))
    path = tree.inclusion_path(tree.hashes_of(leaves), index, size)
    root = tree.root_of(leaves)
    assert tree.verify_inclusion(leaves[index], index, size, path, root)
    assert not tree.verify_inclusion(leaves[index], index, size, data.draw(alterations(path)), root)


def alterations(path: tuple[bytes, ...]) -> st.SearchStrategy[tuple[bytes, ...]]:
    """Return what differs from `path` by one change."""
    added = st.builds(lambda at: (*path[:at], bytes(32), *path[at:]), st.integers(0, len(path)))
    if not path:
        return added
    places = st.integers(0, len(path) - 1)
    removed = st.builds(lambda at: (*path[:at], *path[at + 1 :]), places)
    flipped = st.builds(lambda at, bit: (*path[:at], flip(path[at], bit), *path[at + 1 :]), places, st.integers(0, 255))
    return st.one_of(added, removed, flipped, st.just((*path[1:], path[0])).filter(lambda moved: moved != path))


def flip(data: bytes, bit: int) -> bytes:
    """Return `data` with one bit flipped."""
    return (int.from_bytes(data, "big") ^ (1 << bit)).to_bytes(len(data), "big")


def test_a_proof_reads_few_nodes() -> None:
    """A proof of a tree of 5000 leaves reads no more than twice the tree's height."""
    hash_of = tree.hashes_of(leaves_of(5000))
    reads: list[tuple[int, int]] = []

    def counted(level: int, index: int) -> bytes:
        reads.append((level, index))
        return hash_of(level, index)

    tree.inclusion_path(counted, 4321, 5000)
    assert len(reads) <= 26
    reads.clear()
    tree.consistency_path(counted, 3333, 5000)
    assert len(reads) <= 26


def test_a_frontier_is_found_again_from_the_stored_nodes() -> None:
    """The frontier that is read from stored nodes equals the one that was grown."""
    leaves = leaves_of(40)
    hash_of = tree.hashes_of(leaves)
    frontier = tree.Frontier()
    for leaf in leaves:
        frontier = frontier.append(leaf)
        assert tree.frontier_of(hash_of, frontier.size) == frontier


def test_what_cannot_be_proven_is_refused() -> None:
    """A leaf that a tree does not have, and an old tree greater than the new, have no proof."""
    hash_of = tree.hashes_of(leaves_of(3))
    for index in (-1, 3):
        with pytest.raises(ValueError, match="no leaf"):
            tree.inclusion_path(hash_of, index, 3)
    with pytest.raises(ValueError, match="extends none"):
        tree.consistency_path(hash_of, 4, 3)
    assert not tree.verify_consistency(4, tree.EMPTY_ROOT, 3, tree.EMPTY_ROOT, ())
    assert not tree.verify_consistency(0, tree.EMPTY_ROOT, 0, tree.leaf_hash(b""), ())
