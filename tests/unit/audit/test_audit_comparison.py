"""What others have seen of the log: a beginning of it, or proof that it went back or was forked."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aerodb.audit.comparison import (
    LogBehind,
    LogForked,
    check_comparisons,
    compared,
    comparison_sentences,
    path_in_texts,
    path_texts,
    silent_comparison,
)
from aerodb.audit.note import open_checkpoint, sign_checkpoint, stated_size, verifier_key
from aerodb.audit.tree import consistency_path, hashes_of, leaf_hash, root_of
from aerodb.protocol.api import Agreement, Comparison

ORIGIN, KEY = "aerodb.log/a-test", Ed25519PrivateKey.generate()
VKEY = verifier_key(ORIGIN, KEY.public_key().public_bytes_raw())
SIZE = 20
OURS = [leaf_hash(bytes([at])) for at in range(SIZE)]
THEIRS = [*OURS[:7], *(leaf_hash(bytes([at, 1])) for at in range(7, SIZE + 9))]


def note(leaves: list[bytes]) -> str:
    """Return the signed checkpoint of a log with these leaves."""
    return sign_checkpoint(ORIGIN, len(leaves), root_of(leaves), KEY)


def view(seen: str, size: int, path: tuple[bytes, ...] | None = None) -> Comparison:
    """Return how what n1 has seen stands to our log at `size`, by the honest path unless another is given."""
    old = stated_size(seen)
    honest = consistency_path(hashes_of(OURS), old, size) if old <= size else ()
    return compared("n1", seen, open_checkpoint(note(OURS[:size]), VKEY), honest if path is None else path, VKEY)


@pytest.mark.parametrize("size", range(1, SIZE + 1))
def test_every_beginning_of_the_log_is_consistent_and_everything_longer_is_not(size: int) -> None:
    """Whatever part of this very log somebody has seen: it agrees as far as the log is as long."""
    for seen in range(1, SIZE + 1):
        expected = Agreement.CONSISTENT if seen <= size else Agreement.BEHIND
        assert view(note(OURS[:seen]), size) == Comparison(who="n1", records=seen, agreement=expected)


@pytest.mark.parametrize("size", range(8, SIZE + 1))
def test_another_log_is_never_consistent(size: int) -> None:
    """A fork agrees as far as both are one, and with no record more, whatever path is shown for it."""
    for seen in range(1, len(THEIRS) + 1):
        found = view(note(THEIRS[:seen]), size).agreement
        same = Agreement.CONSISTENT if seen <= 7 else Agreement.FORKED
        assert found is (same if seen <= size else Agreement.BEHIND)
    theirs = consistency_path(hashes_of(THEIRS), 8, size)
    assert view(note(THEIRS[:8]), size, theirs).agreement is Agreement.FORKED


@pytest.mark.parametrize("path", [(), (b"",), (b"\0" * 32,) * 3])
def test_what_is_not_proven_is_not_believed(path: tuple[bytes, ...]) -> None:
    """A log that does extend what was seen, without a proof of it, counts as another."""
    assert view(note(OURS[:5]), SIZE, path).agreement is Agreement.FORKED


def test_what_the_log_never_signed_proves_nothing_against_it() -> None:
    """Nobody stops a cluster by a made-up checkpoint; it is said to be none."""
    other = sign_checkpoint(ORIGIN, 3, root_of(THEIRS[:3]), Ed25519PrivateKey.generate())
    for text in ("nonsense", other, note(OURS[:3]).replace("3", "4", 1)):
        found = view(text, SIZE, ())
        assert (found.agreement, found.records) == (Agreement.FORGED, None)
        check_comparisons((found,), SIZE)
        assert comparison_sentences((found,), SIZE)


def test_silence_and_nothing_seen_refuse_nothing_and_silence_is_said() -> None:
    """Who is silent is unknown, which is said; who has seen nothing agrees."""
    views = (silent_comparison("n2"), view("", SIZE))
    check_comparisons(views, SIZE)
    assert [text for _, text in comparison_sentences(views, SIZE)] == ["What n2 has seen of the audit log is unknown."]


def test_everyone_who_has_seen_more_is_named() -> None:
    """The refusal says who has seen how many records; a fork goes before a log that is behind."""
    behind = (
        Comparison(who="n2", records=62, agreement=Agreement.BEHIND),
        Comparison(who="n3", records=61, agreement=Agreement.BEHIND),
    )
    with pytest.raises(LogBehind, match="has 17 records, and n2 has seen 62 and n3 has seen 61"):
        check_comparisons(behind, 17)
    with pytest.raises(LogForked, match="was shown to n1"):
        check_comparisons((*behind, Comparison(who="n1", records=9, agreement=Agreement.FORKED)), 17)


def test_a_path_travels_as_it_is_and_nonsense_proves_nothing() -> None:
    """The hashes that arrive are those that were sent; what is no base64 becomes a path that leads nowhere."""
    path = consistency_path(hashes_of(OURS), 5, SIZE)
    assert path_in_texts(path_texts(path)) == path
    assert view(note(OURS[:5]), SIZE, path_in_texts(("no base64!",))).agreement is Agreement.FORKED
