"""Plans as bytes: canonical, sealed, and readable."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from aerodb.actions import catalogue
from aerodb.protocol import canonical
from aerodb.protocol.canonical import NotCanonical
from aerodb.protocol.cluster import NodeUnknown
from aerodb.protocol.plan import plan_in
from aerodb.rules.arguments import RequestMalformed
from aerodb.rules.explain import check_request, explain
from aerodb.rules.invariants import Invariant
from aerodb.views.invariants import DIFFERENT
from aerodb.views.render import as_text, plan_lines, shown
from tests.unit.rules.scenes import CLUSTER, healthy, possible, request_for, scenes, sequenced, snapshot_of
from tests.unit.rules.texts import texts_of


@pytest.mark.parametrize("name", catalogue())
def test_a_plan_is_sealed_and_canonical(name: str) -> None:
    """A plan's bytes read back as the same plan, and any other content breaks its seal."""
    action = catalogue()[name]
    for request in (*possible(action), *sequenced(action)):
        plan = explain(CLUSTER, action, request, snapshot_of(healthy()))
        assert plan_in(canonical.encode(plan).decode()) == plan
        assert plan.intact()
        assert not replace(plan, accepted=not plan.accepted).intact()
        assert not replace(plan, term=plan.term + 1).intact()


@pytest.mark.parametrize("name", catalogue())
def test_a_plan_tells_a_person_everything(name: str) -> None:
    """What will happen, to which node, what could be lost, and whatever does not hold stand in the text of every plan.

    Unfolded, every text of the plan that is signed stands in it, whatever field it is of, and every name of a field's.
    """
    action = catalogue()[name]
    for scene in scenes().values():
        for request in (*possible(action), *sequenced(action)):
            plan = explain(CLUSTER, action, request, snapshot_of(scene))
            bytes_ = canonical.encode(plan).decode()
            text = as_text(plan_lines(plan, bytes_))
            words = " ".join(text.split())
            assert plan.title in words
            assert ("ACCEPTABLE" in words) is plan.accepted
            for sentence in (*plan.effects, *plan.irreversible, *plan.notes, plan.loss.statement, request.reason):
                assert " ".join(sentence.split()) in words
            failing = [verdict for verdict in plan.verdicts if verdict.result != "holds"]
            for each in failing:
                assert each.invariant in words
                assert " ".join(each.evidence.split()) in words
            assert f"{len(plan.verdicts) - len(failing)} invariant" in words
            whole = " ".join(as_text(plan_lines(plan, bytes_, full=True)).split())
            missing = [each for each in texts_of(plan) if each not in whole]
            assert missing == []
            assert max(map(len, text.splitlines())) <= 110
            assert "{" not in words


def test_what_weighs_comes_first() -> None:
    """Outage, loss, what cannot be undone; what will happen; what holds. Of a rejection, why not comes first."""
    order = ["ACCEPTABLE", "OUTAGE", "LOSS", "CANNOT BE UNDONE", "WHAT WILL HAPPEN", "invariants hold:", "words"]
    assert _order("demote", "n1", {"for": "n2"}, order) == order
    order = [
        "REJECTED", "VIOLATED election-quorum", "different", "HAD IT BEEN EXECUTED", "OUTAGE", "LOSS",
        "CANNOT BE UNDONE", "WHAT WAS ASKED FOR", "invariants hold:", "words",
    ]  # fmt: skip
    assert _order("promote", "n2", {}, order) == order


def _order(name: str, node: str, arguments: dict[str, str], parts: list[str]) -> list[str]:
    action = catalogue()[name]
    plan = explain(CLUSTER, action, request_for(action, node, arguments), snapshot_of(healthy()))
    text = as_text(plan_lines(plan, canonical.encode(plan).decode()))
    return sorted(parts, key=text.index)


def test_colour_and_word_agree() -> None:
    """What stops writes, or may lose commits, is of the style of what is bad, in each line that says so."""
    action = catalogue()["demote"]
    plan = explain(CLUSTER, action, request_for(action, "n1", {"for": "n2"}), snapshot_of(healthy()))
    styles = {line.text.split()[1]: line.style for line in plan_lines(plan, "") if line.text[:1] in "●▲■" and line.text}
    assert styles == {"ACCEPTABLE:": "good", "OUTAGE": "bad", "LOSS": "good", "CANNOT": "warn", "11": "good"}


def test_every_invariant_says_what_would_have_to_be_different() -> None:
    """A rejection teaches, whichever invariant it is by."""
    assert set(DIFFERENT) == set(Invariant)


@given(st.text())
def test_nothing_shown_can_move_the_cursor_or_turn_the_text(text: str) -> None:
    """No control, format or bidirectional character survives being shown."""
    import unicodedata

    assert not any(unicodedata.category(char)[0] == "C" or char in "\u2028\u2029" for char in shown(text))


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":2}',
        b'{"term":1,"node":"n1"}',
        b'{"node": "n1","term":1}',
        b'{"node":"n1","term":1.0}',
        b'{"node":"n1","term":1,"x":0}',
        b'{"node":"e\xcc\x81","term":1}',
        b'{"node":"\\u006e1","term":1}',
        b"\xff",
        b"[" * 100_000,
        b"",
    ],
)
def test_only_the_canonical_form_is_read(data: bytes) -> None:
    """Duplicate keys, other orders, spaces, floats, unknown fields, text that is not NFC, needless escapes: refused."""
    from aerodb.protocol.authority import Candidacy

    with pytest.raises(NotCanonical):
        canonical.decode(data, Candidacy)


def test_bad_input_names_its_field() -> None:
    """Unknown nodes and arguments, missing ones, empty and endless reasons: each names the field at fault."""
    fence, stop = catalogue()["fence"], catalogue()["stop"]
    good = request_for(fence, "n2", {"for": "n2"})
    check_request(CLUSTER, fence, good)
    cases = [
        (fence, replace(good, arguments={}), "arguments.for"),
        (fence, replace(good, arguments={"for": "n2", "x": "y"}), "arguments.x"),
        (stop, replace(good, action="stop"), "arguments.for"),
        (fence, replace(good, reason="  "), "reason"),
        (fence, replace(good, reason="x" * 501), "reason"),
        (fence, replace(good, reason="e\u0301"), "reason"),
        (fence, replace(good, id="1"), "id"),
        (catalogue()["demote"], replace(good, action="demote", arguments={"for": "n2"}), "arguments.for"),
    ]
    for action, request, field in cases:
        with pytest.raises(RequestMalformed) as caught:
            check_request(CLUSTER, action, request)
        assert caught.value.field == field
    nobody = [(replace(good, target="n9"), "node"), (replace(good, arguments={"for": "n9"}), "arguments.for")]
    for request, field in nobody:
        with pytest.raises(NodeUnknown) as unknown:
            check_request(CLUSTER, fence, request)
        assert unknown.value.field == field
