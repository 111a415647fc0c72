"""Notes with several signatures, and cosignatures: what is unknown is ignored, what is known must hold, once."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from aerodb.audit import note, tree
from aerodb.audit.cosignature import (
    SECONDS_MAX,
    Cosignature,
    bare,
    cosign,
    cosign_body,
    cosigned_by,
    cosigners,
    known_keys,
    node_key,
    only_by,
    with_lines,
)
from aerodb.protocol import canonical
from aerodb.protocol.cluster import Cluster, Cosigning
from aerodb.protocol.vkey import COSIGNATURE, ED25519, VerifierKey, parse_verifier_key, verifier_key
from tests.unit.rules.scenes import CLUSTER

ORIGIN = "aerodb.log/test"
KEY, W1, W2, STRANGER = (Ed25519PrivateKey.from_private_bytes(bytes([each]) * 32) for each in range(4))
VKEY = verifier_key(ORIGIN, KEY.public_key().public_bytes_raw())
LOG = parse_verifier_key(VKEY)
PLAIN = note.sign_checkpoint(ORIGIN, 7, tree.leaf_hash(b"x"), KEY)
NAME_CHARACTERS = st.characters(codec="utf-8", exclude_categories=("Cc", "Zs", "Zl", "Zp"), exclude_characters="+")
NAMES = st.text(NAME_CHARACTERS, min_size=1, max_size=20).filter(lambda name: not any(c.isspace() for c in name))


def vkey_of(name: str, key: Ed25519PrivateKey) -> str:
    """Return the verifier key of a log witness."""
    return verifier_key(name, key.public_key().public_bytes_raw(), COSIGNATURE)


def key_of(name: str, key: Ed25519PrivateKey) -> VerifierKey:
    """Return the same, read."""
    return parse_verifier_key(vkey_of(name, key), COSIGNATURE)


WITNESSES = (key_of("w.example/1", W1), key_of("w.example/2", W2))
LINES = cosign(PLAIN, "w.example/1", W1, 1_700_000_000), cosign(PLAIN, "w.example/2", W2, 5)
BOTH = with_lines(PLAIN, LINES)


def unknown_line(name: str, identity: bytes, data: bytes) -> str:
    """Return a signature line by nobody who is known."""
    return note.signature_line(name, identity, data)


def test_each_witness_is_told_with_its_time() -> None:
    """Several signatures stand under one checkpoint, and each is verified by its own key."""
    assert note.open_checkpoint(BOTH, VKEY) == note.open_checkpoint(PLAIN, VKEY)
    found = (Cosignature(name="w.example/1", seconds=1_700_000_000), Cosignature(name="w.example/2", seconds=5))
    assert cosigned_by(BOTH, WITNESSES) == found
    assert cosigned_by(with_lines(PLAIN, reversed(LINES)), WITNESSES) == found
    assert cosigned_by(BOTH, WITNESSES[1:]) == found[1:]
    assert cosigned_by(PLAIN, WITNESSES) == ()


@given(
    lines=st.lists(
        st.builds(unknown_line, NAMES, st.binary(min_size=4, max_size=4), st.binary(min_size=1, max_size=4_700)),
        max_size=13,
    ),
    own=st.permutations(LINES),
    cut=st.integers(0, 13),
)
def test_unknown_keys_change_nothing(lines: list[str], own: list[str], cut: int) -> None:
    """Whatever other keys sign, of any algorithm, and wherever it stands: the known ones are found, and only they."""
    text = with_lines(PLAIN, (*lines[:cut], *own, *lines[cut:]))
    assert note.open_checkpoint(text, VKEY).size == 7
    assert cosigned_by(text, WITNESSES) == cosigned_by(BOTH, WITNESSES)
    assert only_by(text, (LOG, *WITNESSES)) == BOTH
    assert bare(text, VKEY) == PLAIN


@given(data=st.binary(min_size=1, max_size=80), identity=st.binary(min_size=4, max_size=4))
def test_a_known_name_or_a_known_id_alone_is_unknown(data: bytes, identity: bytes) -> None:
    """A line that shares the name, or the id, with a known key, and not both, is ignored, as C2SP asks."""
    first = WITNESSES[0]
    by_name = unknown_line(first.name, identity if identity != first.id else bytes(4), data)
    by_id = unknown_line("w.example/other", first.id, data)
    assert cosigned_by(with_lines(BOTH, (by_name, by_id)), WITNESSES) == cosigned_by(BOTH, WITNESSES)


def test_no_character_of_a_cosignature_can_change() -> None:
    """Each character of a known witness's line replaced, removed or doubled: it counts for nobody any more."""
    line = LINES[0]
    for at, character in enumerate(line[:-1]):
        for changed in (chr(ord(character) ^ 1), "", character * 2):
            text = with_lines(PLAIN, (line[:at] + changed + line[at + 1 :],))
            try:
                assert cosigned_by(text, WITNESSES) == ()
            except note.CheckpointForged:
                continue


@given(at=st.integers(0, 71), bit=st.integers(0, 7))
def test_no_bit_of_a_known_signature_can_change(at: int, bit: int) -> None:
    """The time is signed, and so is the checkpoint: a known key's line that does not verify refuses the whole note."""
    data = bytearray(note.read_note(BOTH).signatures[1].data)
    data[at] ^= 1 << bit
    forged = note.signature_line(WITNESSES[0].name, WITNESSES[0].id, bytes(data))
    with pytest.raises(note.CheckpointForged):
        cosigned_by(with_lines(PLAIN, (forged,)), WITNESSES)


@pytest.mark.parametrize("data", [b"", bytes(8), bytes(71), bytes(73)])
def test_a_known_key_with_a_signature_of_another_length(data: bytes) -> None:
    """It is no cosignature, and the note is refused, not read past its end."""
    line = note.signature_line(WITNESSES[0].name, WITNESSES[0].id, data or b"\0")
    with pytest.raises(note.CheckpointForged):
        cosigned_by(with_lines(PLAIN, (line,)), WITNESSES)


def test_a_time_beyond_what_a_time_may_be() -> None:
    """C2SP: at most 2**63 - 1, however well it is signed."""
    assert cosigned_by(with_lines(PLAIN, (cosign(PLAIN, "w.example/1", W1, SECONDS_MAX),)), WITNESSES)
    with pytest.raises(note.CheckpointForged):
        cosigned_by(with_lines(PLAIN, (cosign(PLAIN, "w.example/1", W1, SECONDS_MAX + 1),)), WITNESSES)


def test_one_witness_never_counts_twice() -> None:
    """Twice the same line, or two of one witness at two times: refused, not counted."""
    for again in (LINES[0], cosign(PLAIN, "w.example/1", W1, 9)):
        with pytest.raises(note.CheckpointForged):
            cosigned_by(with_lines(BOTH, (again,)), WITNESSES)


def test_a_cosignature_of_another_checkpoint_or_log_counts_for_nobody() -> None:
    """An old one put under a newer checkpoint does not verify; nor does a plain signature by the same key."""
    other = note.sign_checkpoint(ORIGIN, 8, tree.leaf_hash(b"y"), KEY)
    with pytest.raises(note.CheckpointForged):
        cosigned_by(with_lines(other, (LINES[0],)), WITNESSES)
    body = note.read_note(PLAIN).unverified_body
    plain = note.signature_line(WITNESSES[0].name, WITNESSES[0].id, bytes(8) + W1.sign(body.encode()))
    with pytest.raises(note.CheckpointForged):
        cosigned_by(with_lines(PLAIN, (plain,)), WITNESSES)


def test_the_signed_message_is_that_of_the_specification() -> None:
    """cosignature/v1: a header line, a time line, the body with its newline; the time is carried in eight bytes."""
    body = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    line = cosign_body(body, "witness.example.com/w1", W1, 1679315147)
    data = base64.b64decode(line.split()[2])
    key = key_of("witness.example.com/w1", W1)
    assert (data[:4], int.from_bytes(data[4:12])) == (key.id, 1679315147)
    message = (
        "cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\n"
        "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    )
    W1.public_key().verify(data[12:], message.encode())


@given(count=st.integers(1, note.SIGNATURES_MAX + 2))
def test_how_many_signatures_are_taken(count: int) -> None:
    """At least the sixteen that C2SP asks for, each as long as any; and never more than the bound."""
    lines = [unknown_line(f"w{each}", bytes(4), bytes(4_900 if count <= 15 else 64)) for each in range(count)]
    text = with_lines(PLAIN, lines)
    if count + 1 <= note.SIGNATURES_MAX:
        assert note.open_checkpoint(text, VKEY).size == 7
    else:
        with pytest.raises(note.CheckpointForged):
            note.open_checkpoint(text, VKEY)


def test_how_long_a_note_may_be_is_counted_in_bytes() -> None:
    """A text of few characters and many bytes is too long."""
    name = "\U0001f512" * (note.CHECKPOINT_BYTES_MAX // 4)
    with pytest.raises(note.CheckpointForged):
        note.read_note(with_lines(PLAIN, (unknown_line(name, bytes(4), b"x"),)))


@given(
    text=st.one_of(
        st.just(BOTH).flatmap(
            lambda text: st.tuples(
                st.integers(0, len(text)), st.integers(0, 9), st.text(alphabet="\n +=\u2014\x00\x7fA1\u00a0")
            ).map(lambda cut: text[: cut[0]] + cut[2] + text[cut[0] + cut[1] :])
        ),
        st.text(max_size=80),
    )
)
def test_what_is_read_is_read_in_one_way(text: str) -> None:
    """Any mutated text is refused, or made of the parts that were read, to the byte."""
    try:
        found = note.read_note(text)
    except note.CheckpointForged:
        return
    assert found.unverified_body + "\n" + "".join(note.signature_line(*each) for each in found.signatures) == text


# Who counts ---------------------------------------------------------------------------------------------------------

OURS = replace(
    CLUSTER,
    log_key=verifier_key(CLUSTER.origin, KEY.public_key().public_bytes_raw()),
    cosigning=Cosigning(witnesses=(vkey_of("w.example/1", W1), vkey_of("w.example/2", W2)), demanded=1),
)


def test_a_configuration_without_witnesses_keeps_its_bytes() -> None:
    """What was written before there were any has the same bytes, and so the same digest, for ever."""
    text = canonical.encode(CLUSTER)
    assert b"cosign" not in text
    assert canonical.decode(text, Cluster) == CLUSTER
    assert (CLUSTER.log_witnesses, CLUSTER.cosignatures_demanded) == ((), 0)
    assert canonical.decode(canonical.encode(OURS), Cluster) == OURS
    assert OURS.digest != CLUSTER.digest


@pytest.mark.parametrize(
    ("witnesses", "demanded"),
    [
        ((), 0),
        ((vkey_of("w", W1), vkey_of("w", W2)), 1),  # One name.
        ((vkey_of("w", W1), vkey_of("v", W1)), 1),  # One key: the form does not sign the name, so it would count twice.
        ((vkey_of("w", W1),), 2),
        ((vkey_of("w", W1),), -1),
        ((verifier_key("w", W1.public_key().public_bytes_raw(), ED25519),), 1),  # A log's key, not a witness's.
        (("w",), 1),
    ],
)
def test_a_configuration_that_would_count_one_witness_twice_is_none(witnesses: tuple[str, ...], demanded: int) -> None:
    """Nor is one that asks for more witnesses than it names, or names none in a second form."""
    document = {**canonical.plain(OURS), "cosigning": {"witnesses": witnesses, "demanded": demanded}}
    with pytest.raises(canonical.NotCanonical):
        canonical.decode(canonical.encode(document), Cluster)


def test_a_witness_is_nobody_else() -> None:
    """The log cannot vouch for itself under another name, nor can a node be counted as a log witness."""
    document = {**canonical.plain(OURS), "cosigning": {"witnesses": (vkey_of("w", KEY),), "demanded": 1}}
    with pytest.raises(canonical.NotCanonical):
        canonical.decode(canonical.encode(document), Cluster)
    named = base64.b64decode(CLUSTER.members[0].public_key)
    document["cosigning"] = {"witnesses": (verifier_key("w", named, COSIGNATURE),), "demanded": 1}
    with pytest.raises(canonical.NotCanonical):
        canonical.decode(canonical.encode(document), Cluster)


def test_nodes_cosign_by_the_key_that_they_sign_everything_with() -> None:
    """Whoever holds the configuration can tell; a name that cannot stand in a note cosigns nothing."""
    assert [key.name for key in cosigners(OURS)[2:]] == [
        f"aerodb.node/{OURS.id}/{member.name}" for member in OURS.members
    ]
    assert known_keys(OURS)[0].name == OURS.origin
    assert node_key(OURS, replace(OURS.members[0], name="a b")) is None
    assert node_key(OURS, replace(OURS.members[0], public_key="?")) is None
