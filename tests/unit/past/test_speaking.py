"""Two releases side by side: which rules both speak, and that what is said in earlier words is wholly in them."""

import pytest

from aerodb.actions import catalogue
from aerodb.errors import AeroError
from aerodb.past import held
from aerodb.past.held import number_of
from aerodb.past.rules_1 import actions as actions_one
from aerodb.past.rules_1.protocol import canonical as canonical_one
from aerodb.past.rules_1.protocol import facts as facts_one
from aerodb.past.speaking import (
    FIRST,
    SPOKEN,
    RulesApart,
    RulesMalformed,
    both_speak,
    late_in,
    read_stated,
    report_in,
    rules_told,
    spoken,
    stated,
    telling,
    view_in,
)
from aerodb.protocol import canonical
from aerodb.protocol.facts import Report, facts_in_one, lifted_facts
from aerodb.protocol.plan import Plan, Snapshot
from aerodb.protocol.signed import Signed, sign
from aerodb.rules.explain import opened_view, peers_of
from aerodb.rules.invariants import RULES
from tests.unit.protocol.test_chain import FOUNDING, SECOND
from tests.unit.rules.scenes import CLUSTER, KEYS, REQUEST, Scene, possible, scenes, with_files

TWO, THREE = "aerodb-rules/2", "aerodb-rules/3"
WHO = ("the control plane", "who asks")


def told_by(scene: Scene, rules: str) -> Snapshot:
    """Return a snapshot in which every node speaks by some rules."""
    reports = {
        name: sign(report_in(rules, CLUSTER.id, REQUEST, facts), name, KEYS[name]) for name, facts in scene.items()
    }
    return Snapshot(cluster=CLUSTER.id, nonce=REQUEST, reports=reports, missing={})


# Which rules ----------------------------------------------------------------------------------------------------------


def test_a_build_speaks_its_own_rules_and_those_right_before() -> None:
    """It holds more of them for verification; by those nobody acts, nor by some that it does not hold."""
    assert spoken(THREE, (THREE, TWO, FIRST)) == (THREE, TWO)
    assert spoken(THREE, (THREE, FIRST)) == (THREE,)
    assert spoken(FIRST, (FIRST,)) == (FIRST,)
    assert SPOKEN[0] == RULES


@pytest.mark.parametrize(
    ("ours", "theirs", "both"),
    [
        ((TWO, FIRST), (TWO, FIRST), (TWO, FIRST)),
        ((TWO, FIRST), (FIRST,), (FIRST,)),
        ((TWO, FIRST), (THREE, TWO), (TWO,)),
        ((FIRST,), (TWO, FIRST), (FIRST,)),
    ],
)
def test_neighbours_share_rules(ours: tuple[str, ...], theirs: tuple[str, ...], both: tuple[str, ...]) -> None:
    """The newest first, whichever of the two is the newer one."""
    assert both_speak(ours, theirs, WHO) == both
    assert set(both_speak(theirs, ours, WHO)) == set(both)


def test_a_distance_of_more_than_one_is_a_refusal_that_names_both() -> None:
    """In both directions, with its code, and what to do."""
    for ours, theirs in (((THREE, TWO), (FIRST,)), ((FIRST,), (THREE, TWO))):
        with pytest.raises(RulesApart) as caught:
            both_speak(ours, theirs, WHO)
        assert (caught.value.code, caught.value.executed) == ("control.rules-apart", "not executed")
        for said in (THREE, TWO, f"{FIRST} (AeroDB 0.1.0)", *WHO, "one release at a time"):
            assert said in caught.value.message


def test_who_names_nothing_speaks_the_first_rules() -> None:
    """As release 0.1.0 does; whatever is named comes back as it was, and another form is refused."""
    assert read_stated(None) == (FIRST,)
    assert read_stated(stated((THREE, TWO))) == (THREE, TWO)
    for text in ("", "0", "2,", ",2", "2, 1", "aerodb-rules/2", "-1", "٢", "1" * 9, ",".join("123456789")):
        with pytest.raises(RulesMalformed):
            read_stated(text)


def test_an_action_says_with_which_rules_it_came() -> None:
    """Those of the first rules are theirs, and no others: each frozen catalogue has what `since` says."""
    assert {name for name, action in catalogue().items() if action.since <= 1} == set(actions_one.catalogue())
    assert all(1 <= action.since <= (number_of(RULES) or 0) for action in catalogue().values())


# Words ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", scenes())
def test_what_is_said_in_version_1_is_read_by_version_1(name: str) -> None:
    """By the strict reader that was released, frozen: no field that it does not know, and the rules that it knows."""
    for facts in with_files(scenes()[name]).values():
        text = canonical.encode(report_in(FIRST, CLUSTER.id, REQUEST, facts))
        read = canonical_one.decode(text, facts_one.Report)
        assert canonical_one.encode(read) == text
        assert read.facts.rules == FIRST
        assert canonical.decode(text, Report).facts == lifted_facts(facts_in_one(facts, FIRST))


def test_a_report_tells_by_which_rules_it_speaks() -> None:
    """By its facts and its form together; one that mixes the two, or is none, tells nothing, and is read by nobody."""
    facts = with_files(scenes()["healthy"])["n1"]
    for rules in SPOKEN:
        assert rules_told(sign(report_in(rules, CLUSTER.id, REQUEST, facts), "n1", KEYS["n1"])) == rules
    mixed = report_in(RULES, CLUSTER.id, REQUEST, facts)
    text = canonical.encode(mixed).replace(RULES.encode(), FIRST.encode()).decode()
    for document in (text, "", "[]", "{}", '{"facts":{}}', '{"facts":{"rules":3}}', "\ud800"):
        assert rules_told(Signed(document=document, signer="n1", signature="")) == ""


@pytest.mark.parametrize("name", scenes())
def test_earlier_rules_judge_a_view_as_they_explained_it(name: str) -> None:
    """What a node asks them, in texts, is what their plan was made from: the same verdicts, of every request."""
    snapshot = told_by(scenes()[name], FIRST)
    everyone = peers_of(CLUSTER, snapshot.reports, REQUEST)
    configuration, seen = canonical.encode(CLUSTER).decode(), canonical.encode(snapshot).decode()
    for action in actions_one.catalogue():
        for request in possible(catalogue()[action]):
            try:
                text = held.explained(FIRST, configuration, canonical.encode(request).decode(), seen)
            except AeroError:
                continue
            plan = canonical.decode(text.encode(), Plan)
            view = opened_view(CLUSTER, catalogue()[action], request, everyone, snapshot)
            late = late_in(FIRST, {each: peer for each, peer in everyone.items() if each != request.target})
            judged = held.judged(FIRST, view_in(FIRST, view), late)
            assert judged == canonical.encode({"verdicts": plan.verdicts}).decode()


def test_the_first_rules_have_no_words_for_a_later_configuration() -> None:
    """By them whoever has taken it could only be said to run another one: nobody is asked in them any more."""
    assert telling(SPOKEN, FOUNDING) == SPOKEN
    assert telling(SPOKEN, SECOND) == tuple(each for each in SPOKEN if each != FIRST)
    assert telling((FIRST,), SECOND) == ()
