"""The log agrees with others' implementations of the same specifications."""

import pytest
from pymerkle import InmemoryTree
from sigstore._internal import merkle

from aerodb.audit import note, tree
from aerodb.protocol.vkey import COSIGNATURE, ED25519

SUMDB_KEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
SUMDB_CHECKPOINT = (
    "go.sum database tree\n30055305\nmXfgRcJ0bG0j3CPdKwgGWtUzBUbX67saZGRmFuJGGsM=\n\n"
    "\u2014 sum.golang.org "
    "Az3grpgEild5qw7+5dtV13Kf1C2Xurm8q4fhdxvcsDHnqNTaxL2AFjBY+2TyGKevucFcAAlWFJJYle3EJlDCrQ+y3A8=\n"
)
WITNESS_KEY = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"
ENTRIES = [b"record %d" % number for number in range(67)]
LEAVES = [tree.leaf_hash(entry) for entry in ENTRIES]


def test_pymerkle_has_the_same_roots_and_the_same_siblings() -> None:
    """At every size, pymerkle's root is ours; for every leaf, its proof holds the same hashes as ours."""
    theirs = InmemoryTree(algorithm="sha256")
    for size, entry in enumerate(ENTRIES, start=1):
        theirs.append_entry(entry)
        assert theirs.get_root(size) == tree.root_of(LEAVES[:size])
    for index in range(len(ENTRIES)):
        ours = tree.inclusion_path(tree.hashes_of(LEAVES), index, len(ENTRIES))
        assert sorted(theirs.prove_inclusion(index + 1).path) == sorted([LEAVES[index], *ours])


def test_sigstore_accepts_our_inclusion_proofs() -> None:
    """The verifier of sigstore leads from each leaf by our path to our root, at every size."""
    hash_of = tree.hashes_of(LEAVES)
    for size in range(1, len(LEAVES) + 1):
        for index in range(size):
            path = list(tree.inclusion_path(hash_of, index, size))
            inner, border = merkle._decomp_inclusion_proof(index, size)
            assert len(path) == inner + border
            seed = merkle._chain_inner(merkle._hash_leaf(ENTRIES[index]), path[:inner], index)
            assert merkle._chain_border_right(seed, path[inner:]) == tree.root_of(LEAVES[:size])


def test_a_checkpoint_of_the_go_checksum_database_verifies() -> None:
    """A published checkpoint's key parses, its signature verifies, and its size and root are read."""
    key = note.parse_verifier_key(SUMDB_KEY)
    read = note.read_note(SUMDB_CHECKPOINT)
    note.check_ed25519(key, read.signature_of(key) or b"", read.unverified_body.encode())
    assert note.checkpoint_of(read).size == 30055305
    assert note.verifier_key("sum.golang.org", key.public_raw) == SUMDB_KEY


def test_a_changed_checkpoint_of_the_go_checksum_database_does_not_verify() -> None:
    """The same checkpoint with another size is refused."""
    key, read = note.parse_verifier_key(SUMDB_KEY), note.read_note(SUMDB_CHECKPOINT.replace("30055305", "30055306"))
    with pytest.raises(note.CheckpointForged):
        note.check_ed25519(key, read.signature_of(key) or b"", read.unverified_body.encode())


def test_a_published_key_of_a_log_witness_parses_as_that_and_as_nothing_else() -> None:
    """A witness of the public network: its key's id is computed as its operators' tools did, type included."""
    key = note.parse_verifier_key(WITNESS_KEY, COSIGNATURE)
    assert note.verifier_key("remora.n621.de", key.public_raw, COSIGNATURE) == WITNESS_KEY
    for vkey, kind in ((WITNESS_KEY, ED25519), (SUMDB_KEY, COSIGNATURE)):
        with pytest.raises(note.VerifierKeyInvalid):
            note.parse_verifier_key(vkey, kind)


def test_the_empty_tree_and_the_first_leaf_are_the_rfc_s() -> None:
    """The roots of the empty tree and of the tree with one empty leaf are the known SHA-256 values."""
    assert tree.EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert tree.root_of([tree.leaf_hash(b"")]).hex() == (
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    )
