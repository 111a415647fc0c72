"""Signed statements: only what the named node signed, for this cluster and this request, is believed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from aerodb.errors import AeroError
from aerodb.protocol.authority import Candidacy
from aerodb.protocol.formats import MadeLater
from aerodb.protocol.signed import Signed, sign
from aerodb.rules.view import highest_term, open_grant, open_pledge, open_report, peer_of, standing_term
from tests.unit.rules.scenes import CLUSTER, KEYS, REQUEST, grant_of, healthy, pledged, reports_of, with_standing

SCENE = pledged(healthy(), "n2", Candidacy(term=2, node="n2"))
REPORT = reports_of(SCENE)["n2"]
PLEDGE = SCENE["n2"].standing.pledge
GRANT = grant_of(SCENE, "n1", 3)[1]
FLIPS = st.tuples(st.integers(0, 10_000), st.integers(1, 255))


def _changed(text: str, flip: tuple[int, int]) -> str:
    """Return `text` with one character changed."""
    at = flip[0] % len(text)
    return text[:at] + chr((ord(text[at]) ^ flip[1]) & 0xFF or 1) + text[at + 1 :]


def _each_change(signed: Signed, flip: tuple[int, int]) -> list[Signed]:
    """Return the signed document with one character changed, in each of its three parts."""
    names = ("document", "signer", "signature")
    changed = [replace(signed, **{name: _changed(getattr(signed, name), flip)}) for name in names]
    return [each for each in changed if each != signed]


@given(FLIPS)
def test_no_byte_of_a_report_can_be_changed(flip: tuple[int, int]) -> None:
    """Of the document, the signer's name or the signature."""
    for forged in _each_change(REPORT, flip):
        with pytest.raises(AeroError) as error:
            open_report(CLUSTER, "n2", forged, REQUEST)
        assert error.value.code == "kernel.report-forged"


@given(FLIPS)
def test_no_byte_of_a_pledge_or_grant_can_be_changed(flip: tuple[int, int]) -> None:
    """Nor of a pledge, nor of a grant."""
    assert PLEDGE is not None
    for forged in _each_change(PLEDGE, flip):
        with pytest.raises(AeroError) as error:
            open_pledge(CLUSTER, "n2", forged)
        assert error.value.code == "kernel.pledge-forged"
    for forged in _each_change(GRANT, flip):
        with pytest.raises(AeroError) as error:
            open_grant(CLUSTER, forged)
        assert error.value.code in {"kernel.report-forged", "input.node-unknown"}


def test_a_statement_speaks_for_its_signer_alone() -> None:
    """Another's report, pledge or grant is not this node's, however genuine."""
    assert PLEDGE is not None
    with pytest.raises(AeroError, match="report of n3"):
        open_report(CLUSTER, "n3", REPORT, REQUEST)
    with pytest.raises(AeroError, match="pledge of n3"):
        open_pledge(CLUSTER, "n3", PLEDGE)


def test_a_pledge_below_what_was_promised_since_counts_no_more() -> None:
    """The signed pledge must be the one that the standing names."""
    facts = SCENE["n2"]
    assert peer_of(CLUSTER, facts).pledge is not None
    further = replace(facts.standing, pledged=Candidacy(term=3, node="n3"))
    assert peer_of(CLUSTER, replace(facts, standing=further)).pledge is None


@given(st.lists(st.tuples(st.sampled_from(["n1", "n2", "n3"]), st.integers(1, 9), st.sampled_from(["n1", "n2"]))))
def test_the_term_that_a_plan_names(promises: list[tuple[str, int, str]]) -> None:
    """The standing election's, where pledges for the same candidate are the highest of all; else one above all.

    Nor is it the standing one's where the candidate or the target has pledged it to another: nobody could win it.
    """
    scene = healthy()
    for node, term, candidate in promises:
        if term > scene[node].standing.pledged.term:
            scene = pledged(scene, node, Candidacy(term=term, node=candidate))
    everyone = {name: peer_of(CLUSTER, facts) for name, facts in scene.items()}
    highest = max(facts.standing.pledged.term for facts in scene.values())
    assert highest_term(everyone) == highest
    standing = any(facts.standing.pledged == Candidacy(term=highest, node="n2") for facts in scene.values())
    for target in ("n1", "n2", "n3"):
        made = [scene[name].standing.pledged for name in ("n2", target)]
        split = any(each == Candidacy(term=highest, node="n1") for each in made)
        expected = highest if standing and not split and highest > 1 else highest + 1
        assert standing_term(everyone, "n2", target) == expected


def test_a_signature_has_one_text() -> None:
    """The bits of base64 that stand for nothing may not be set: nothing signed can be carried under two texts."""
    text = REPORT.signature
    assert text.endswith("==")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    for other in set(alphabet) - {text[-3]}:
        with pytest.raises(AeroError):
            open_report(CLUSTER, "n2", replace(REPORT, signature=f"{text[:-3]}{other}=="), REQUEST)


def _later(signed: Signed) -> Signed:
    """Return a signed document as its own node would have it in a format that no build has yet."""
    return sign(json.loads(signed.document) | {"format": 99}, signed.signer, KEYS[signed.signer])


def test_what_a_later_release_says_is_called_later_and_nobody_a_forger() -> None:
    """A report, a pledge and a grant that their node signed, in a format that this build does not read."""
    pledge = with_standing(SCENE, "n2", pledge=_later(PLEDGE or GRANT))
    told = (
        lambda: open_report(CLUSTER, "n2", _later(REPORT), REQUEST),
        lambda: open_report(CLUSTER, "n2", reports_of(pledge)["n2"], REQUEST),
        lambda: open_grant(CLUSTER, _later(GRANT)),
    )
    for call in told:
        with pytest.raises(MadeLater):
            call()
