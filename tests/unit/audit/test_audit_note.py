"""Checkpoints and proofs: one reading for each text, and only for what the log's key signed."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aerodb.audit import note, proof, tree

ORIGIN = "aerodb.log/test"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
VKEY = note.verifier_key(ORIGIN, KEY.public_key().public_bytes_raw())
RECORDS = [b'{"n":%d}' % number for number in range(5)]
LEAVES = [tree.leaf_hash(record) for record in RECORDS]
HASHES = tree.hashes_of(LEAVES)


def signed(size: int, key: Ed25519PrivateKey = KEY) -> str:
    """Return the checkpoint at `size`."""
    return note.sign_checkpoint(ORIGIN, size, tree.root_of(LEAVES[:size]), key)


def proof_of(index: int) -> str:
    """Return the proof of one record under the checkpoint at 5."""
    return proof.make_proof(index, tree.inclusion_path(HASHES, index, 5), signed(5))


def test_a_checkpoint_says_what_was_signed() -> None:
    """What was signed is what is opened."""
    assert note.open_checkpoint(signed(5), VKEY) == note.Checkpoint(origin=ORIGIN, size=5, root=tree.root_of(LEAVES))


def test_no_character_of_a_checkpoint_can_change() -> None:
    """Each character replaced by a neighbour, removed or doubled: the checkpoint is refused."""
    text = signed(5)
    for at, character in enumerate(text):
        for changed in (chr(ord(character) ^ 1), "", character * 2, "\r" + character):
            with pytest.raises(note.CheckpointForged):
                note.open_checkpoint(text[:at] + changed + text[at + 1 :], VKEY)


def test_a_witness_beside_the_log_is_ignored_and_alone_is_not_enough() -> None:
    """Signatures by unknown keys change nothing; without the log's own there is no checkpoint."""
    witness = "\u2014 witness.example " + base64.b64encode(bytes(68)).decode() + "\n"
    assert note.open_checkpoint(signed(5) + witness, VKEY).size == 5
    body = signed(5).partition("\n\n")[0] + "\n\n"
    with pytest.raises(note.CheckpointForged):
        note.open_checkpoint(body + witness, VKEY)
    with pytest.raises(note.CheckpointForged):
        note.open_checkpoint(signed(5) + signed(5).rpartition("\n\n")[2], VKEY)


def test_another_key_or_another_log_is_refused() -> None:
    """A checkpoint by another key, or of another origin under the right key, is refused."""
    with pytest.raises(note.CheckpointForged):
        note.open_checkpoint(signed(5, OTHER), VKEY)
    with pytest.raises(note.CheckpointForged):
        note.open_checkpoint(note.sign_checkpoint("aerodb.log/other", 5, tree.root_of(LEAVES), KEY), VKEY)


@pytest.mark.parametrize("name", ["", "two words", "a+b", "a\nb", "a\u00a0b"])
def test_a_name_that_would_be_ambiguous_is_refused(name: str) -> None:
    """A name with white space or a plus, or none, names no log."""
    with pytest.raises(note.VerifierKeyInvalid):
        note.sign_checkpoint(name, 0, tree.EMPTY_ROOT, KEY)


@pytest.mark.parametrize("vkey", ["", "x", VKEY[:-1], VKEY + "=", VKEY.replace("+", "+0", 1), VKEY.upper(), "x" + VKEY])
def test_a_verifier_key_has_one_spelling(vkey: str) -> None:
    """Anything but the exact verifier key is refused."""
    with pytest.raises(note.VerifierKeyInvalid):
        note.parse_verifier_key(vkey)


def test_a_proof_proves_its_own_record_alone() -> None:
    """Each record's proof opens with that record's bytes, and with no other's."""
    for index, record in enumerate(RECORDS):
        assert proof.open_proof(proof_of(index), VKEY, record).index == index
        with pytest.raises(proof.ProofInvalid):
            proof.open_proof(proof_of(index), VKEY, RECORDS[index - 1])


def test_no_character_of_a_proof_can_change() -> None:
    """Each character replaced or removed: the proof is refused."""
    text = proof_of(2)
    for at, character in enumerate(text):
        for changed in (chr(ord(character) ^ 1), "", character * 2):
            with pytest.raises(proof.ProofInvalid):
                proof.open_proof(text[:at] + changed + text[at + 1 :], VKEY, RECORDS[2])


def test_extra_data_is_carried_but_must_be_base64() -> None:
    """C2SP's optional extra line is accepted where it is well formed."""
    text = proof_of(2).replace("\nindex", "\nextra QUJD\nindex", 1)
    assert proof.open_proof(text, VKEY, RECORDS[2]).index == 2
    with pytest.raises(proof.ProofInvalid):
        proof.open_proof(text.replace("QUJD", "QUJ"), VKEY, RECORDS[2])


@pytest.mark.parametrize("text", ["", "\n\n", proof.HEADER, f"{proof.HEADER}\n\n", "x" * 200_000])
def test_what_is_no_proof_is_refused(text: str) -> None:
    """Empty, cut and overlong texts are refused with the same reason."""
    with pytest.raises(proof.ProofInvalid):
        proof.open_proof(text, VKEY, b"")


def test_a_log_extends_its_own_past_and_no_other() -> None:
    """The path between two checkpoints proves the extension; a rewritten log has none."""
    new = note.open_checkpoint(signed(5), VKEY)
    path = tree.consistency_path(HASHES, 3, 5)
    assert proof.extends(signed(3), new, path, VKEY)
    rewritten = note.sign_checkpoint(ORIGIN, 3, tree.root_of([LEAVES[0], LEAVES[2], LEAVES[1]]), KEY)
    assert not proof.extends(rewritten, new, path, VKEY)
    with pytest.raises(note.CheckpointForged):
        proof.extends(signed(3, OTHER), new, path, VKEY)
