"""A plan by weight, where one request comes after another: what is foreseen, what follows at once, and what is lost."""

from msgspec.structs import replace

from aerodb.actions import catalogue
from aerodb.protocol import canonical
from aerodb.protocol.ahead import THEN
from aerodb.protocol.authority import Candidacy
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.plan import Plan
from aerodb.rules.explain import LOOK_ID, explain
from aerodb.views.render import as_text, plan_lines
from aerodb.views.sheet import sheet
from tests.unit.rules.scenes import (
    CLUSTER,
    LATER,
    Scene,
    healthy,
    held_for,
    holding,
    pledged,
    request_for,
    snapshot_of,
    with_instance,
)
from tests.unit.rules.test_ahead import DEMOTE, ahead, first

HOLDING = holding(healthy(), "n2", held_for("n1"))


def text_of(plan: Plan) -> str:
    """Return a plan as the terminal shows it."""
    return as_text(plan_lines(plan, canonical.encode(plan).decode()))


def demotion(scene: Scene = HOLDING) -> Plan:
    """Return the plan of a demotion that the held promotion follows."""
    return explain(CLUSTER, DEMOTE, first(**{THEN: str(LATER)}), snapshot_of(scene))


def test_what_is_foreseen_is_no_reason_against_a_plan() -> None:
    """It stands behind what weighs, with a mark of its own, and asks for nothing to be different."""
    made = sheet(ahead(healthy()), "sha256:" + "0" * 64)
    assert (made.accepted, made.failing, len(made.foreseen)) == (True, (), 4)
    assert {each.style for each in made.foreseen} == {"plain"}
    assert made.foreseen_said == "4 invariants are foreseen to hold once demote n1 is executed"
    text = text_of(ahead(healthy()))
    places = [
        text.index(each) for each in ("OUTAGE", "LOSS", "CANNOT BE UNDONE", "WHAT WILL HAPPEN", "election-quorum")
    ]
    assert places == sorted(places)
    assert "\N{WHITE DIAMOND} 4 invariants are foreseen" in text


def test_what_fails_beside_what_is_foreseen_stands_alone_and_first() -> None:
    """A rejection names what fails; what is foreseen is none of it."""
    scene = with_instance(healthy(), "n2", drift=("restore_command",))
    made = sheet(ahead(scene), "sha256:" + "0" * 64)
    assert [each.invariant for each in made.failing] == ["receiver-known"]
    assert len(made.foreseen) == 4


def test_a_demotion_that_a_promotion_follows_says_so_where_it_weighs() -> None:
    """How long writes stop, what follows, and what to do where no outcome of that comes."""
    outage = sheet(demotion(), "sha256:" + "0" * 64).weights[0]
    assert (outage.style, outage.headlines) == ("bad", ("WRITES STOP until n2 is promoted, which follows at once.",))
    said = " ".join(outage.facts)
    assert "none until n2 is promoted, at once, by the order that it holds; then " in said
    assert f"aerodb outcome {LATER.request} says what n2 did" in said
    assert "fence n2, which drops the order" in said
    bare = explain(CLUSTER, DEMOTE, first(), snapshot_of(healthy()))
    assert sheet(bare, "sha256:" + "0" * 64).weights[0].headlines == ("WRITES STOP.",)
    assert not [each for plan in (demotion(), bare) for each in plan.effects if "request of its own" in each]


def loss_of(scene: Scene) -> str:
    """Return what a promotion of n2 says of the loss."""
    promote = catalogue()["promote"]
    return explain(CLUSTER, promote, request_for(promote, "n2", {}), snapshot_of(scene)).loss.statement


def test_the_reason_of_a_loss_is_what_is_not_proven() -> None:
    """Where only the candidate's WAL is behind, no missing pledge is blamed; where a quorum lacks, those who are."""
    for_n2 = Candidacy(term=2, node="n2")
    alone = {name: facts for name, facts in pledged(healthy(), "n2", for_n2).items() if name != "n1"}
    assert loss_of(alone).endswith("lost: no pledge from n1, n3.")
    instance = alone["n3"].instance
    assert instance is not None
    assert instance.position is not None
    further = replace(instance.position, lsn=Lsn(instance.position.lsn.value + 88))
    behind = pledged(with_instance(alone, "n3", position=further), "n3", for_n2)
    said = loss_of(behind)
    assert "no pledge from" not in said
    assert "n3" in said


def test_a_look_says_nothing_of_what_was_asked_for_or_executed() -> None:
    """Nobody has asked for anything: a plan that is looked at is no request, whether or not it would be accepted."""
    told = ("is executed before", "was executed", "been executed", "HAD IT", "ASKED FOR", "REJECTED: ")
    text = ""
    for scene in (healthy(), with_instance(healthy(), "n1", senders=())):
        for request, looks in ((first(), False), (replace(first(), id=LOOK_ID), True)):
            plan = explain(CLUSTER, DEMOTE, request, snapshot_of(scene))
            text = text_of(plan)
            asked = text.replace("WOULD BE REJECTED: ", "")
            assert any(each in asked for each in told) is not looks, text
    assert "WOULD BE REJECTED: Successor streams" in text
    assert "WERE IT EXECUTED" in text
