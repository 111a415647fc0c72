"""What holds is said once; what does not, each by its number; a digest is short until it is asked for."""

import pytest

from aerodb.views.proofs import proofs_remarks, short


def test_that_all_hold_is_said_once() -> None:
    """Of one record and of many; of none, nothing is said."""
    assert [text for _, text in proofs_remarks({4: "", 5: "", 6: ""})] == [
        "All 3 proofs hold: each record stands in the log that its key signed."
    ]
    assert proofs_remarks({4: ""})[0][0] == "good"
    assert proofs_remarks({}) == []


@pytest.mark.parametrize("wrong", [{5}, {4, 5, 6}])
def test_each_that_does_not_is_named_and_never_with_a_word_that_all_do(wrong: set[int]) -> None:
    """With its number and why; the others are not."""
    found = proofs_remarks({each: "forged" if each in wrong else "" for each in (4, 5, 6)})
    assert {style for style, _ in found} == {"bad"}
    assert [text for _, text in found[1:]] == [f"record {each}: NOT PROVEN: forged" for each in sorted(wrong)]
    assert not any("All" in text or "proofs hold" in text for _, text in found)


def test_a_digest_is_short() -> None:
    """Its kind is left out, and only its head is left."""
    assert short(f"sha256:{'abcdef0123456789' * 4}") == "abcdef012345"
