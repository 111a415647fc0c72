"""Pages as functions: a node's page tells of that node; a plan's page holds all that is signed, and nothing scrolls."""

import html
import re

import msgspec
import pytest

from aerodb.actions import catalogue
from aerodb.protocol import canonical
from aerodb.protocol.api import Cell, RequestLine, Status
from aerodb.protocol.chain import founded
from aerodb.protocol.facts import State
from aerodb.protocol.plan import Loss, Plan, Result, Verdict, plan_digest
from aerodb.rules.explain import explain
from aerodb.rules.invariants import STATEMENTS
from aerodb.rules.writes import writes
from aerodb.views.matrix import matrix, misfits
from aerodb.views.requests import concerns
from aerodb.views.sheet import sheet
from aerodb.web.pages.nodes import node_values
from aerodb.web.pages.requests import Turn, form_values
from aerodb.web.rendering import render
from tests.unit.rules.scenes import (
    CLUSTER,
    NAMES,
    Scene,
    healthy,
    possible,
    request_for,
    scenes,
    snapshot_of,
    switched,
    with_instance,
)
from tests.unit.rules.texts import texts_of

NOBODYS = Turn(waits=False, two=False, first=False, mine=False, signs=False, could=())
TAG = re.compile(r"<[^>]+>")
PERSON = {"name": "ada", "role": "operator"}
COMMON = {"cluster_name": "c", "navigation": (), "here": "/", "token": "", "person": PERSON}


def _status(scene: Scene) -> Status:
    snapshot = snapshot_of(scene)
    return Status(
        cluster=CLUSTER.id, cluster_name=CLUSTER.name, configuration=CLUSTER.digest, consistent=True,
        writes=writes(CLUSTER, scene), snapshot_digest=canonical.digest(canonical.encode(snapshot)), snapshot=snapshot,
        matrix=tuple(matrix(founded(CLUSTER), snapshot, "ada")), log_size=1, log_writable=True,
    )  # fmt: skip


def _text(page: str) -> str:
    """Return what a page says, without its markup; texts in attributes are not among it."""
    return " ".join(html.unescape(TAG.sub(" ", page)).split())


# One node -------------------------------------------------------------------------------------------------------------


def _node(name: str, scene: Scene) -> str:
    values = node_values(CLUSTER, name, _status(scene))
    more = {"lines": (), "unread": "", "entries": (), "unseen": "the node is silent"}
    return _text(render("node.html", {**COMMON, **values, **more}).decode())


def test_a_node_tells_what_it_is_and_what_deviates_of_it_alone() -> None:
    """The page begins with the answer for the cluster; another node's deviation is not among its own."""
    scene = with_instance(healthy(), "n3", state=State.STOPPED, receiver=None)
    page = _node("n3", scene)
    assert page.index("Writes: acknowledged by n1") < page.index("n3: standby of n1")
    assert "n3 is down: it was shut down cleanly" in page
    other = _node("n2", scene)
    assert "Deviations: none seen." in other
    assert "no PostgreSQL that runs" not in other


def test_a_primary_that_another_one_has_replaced_is_said_to_be_none() -> None:
    """It came back, runs, and has no word of the grant that ended its own: nothing is unusual by its own report."""
    page = _node("n1", {**switched(), "n1": healthy()["n1"]})
    assert "n1: deposed primary" in page
    assert "n1 runs as a primary, and is none: term 2 is granted to n2" in page
    assert "none seen" not in page


def test_what_may_be_asked_of_a_node_says_what_stops_writes() -> None:
    """Each request that would be accepted of it, in the catalogue's order; the rest with why not."""
    page = _node("n1", healthy())
    accepted, _, rejected = page.partition("would be rejected")
    assert "demote for n2 accepted stops writes" in accepted
    assert "checkpoint accepted" in accepted
    assert "checkpoint accepted stops writes" not in accepted
    assert "start violated running-fits" in rejected


def test_a_silent_node_has_its_page() -> None:
    """What is unknown is said to be, and what could not be read says why."""
    page = _node("n1", {name: facts for name, facts in healthy().items() if name != "n1"})
    assert "n1: not observed" in page
    assert "n1 could not be observed: silent" in page
    assert "Its events cannot be read : the node is silent" in page


def test_a_request_concerns_who_it_is_of_and_whom_it_names() -> None:
    """A demotion for n2 is of n1, and about n2."""
    line = RequestLine(
        request="", at="", operator="", action="demote", target="n1", arguments={"for": "n2"}, reason="", state="",
        code="", plan=None,
    )  # fmt: skip
    assert [name for name in NAMES if concerns(line, name)] == ["n1", "n2"]


# A form ---------------------------------------------------------------------------------------------------------------


def _cells(scene: Scene) -> tuple[Cell, ...]:
    return tuple(matrix(founded(CLUSTER), snapshot_of(scene), "ada"))


def test_a_form_offers_only_nodes_that_the_action_applies_to() -> None:
    """Of three healthy nodes only the primary is demoted, only standbys are promoted; the rest have a reason."""
    cells = _cells(healthy())
    assert list(misfits("demote", NAMES, cells)) == ["n2", "n3"]
    assert list(misfits("promote", NAMES, cells)) == ["n1"]
    assert list(misfits("start", NAMES, cells)) == ["n1", "n2", "n3"]
    assert misfits("checkpoint", NAMES, cells) == {}
    assert "primary" in misfits("promote", NAMES, cells)["n1"]


def test_who_is_not_known_to_be_unfit_is_offered() -> None:
    """A silent node may fit; and where nothing could be judged, everybody is offered."""
    silent = _cells({name: facts for name, facts in healthy().items() if name != "n2"})
    assert "n2" not in misfits("promote", NAMES, silent)
    assert misfits("promote", NAMES, ()) == {}
    assert misfits("configure", NAMES, _cells(healthy())) == {}


def _cell_of(upstream: str, *failed: Verdict) -> Cell:
    loss = Loss(claim="none", statement="", arithmetic=())
    return Cell(
        action="follow", node="n2", arguments={"upstream": upstream}, accepted=not failed, failed=failed, loss=loss
    )


def test_an_unknown_fit_or_a_fit_for_one_argument_is_offered() -> None:
    """Only what is violated, and for every argument, keeps a node from being offered."""
    violated = Verdict(invariant="running-fits", result=Result.VIOLATED, evidence="it is down")
    unknown = Verdict(invariant="running-fits", result=Result.UNKNOWN, evidence="it does not say")
    assert misfits("follow", ["n2"], [_cell_of("n1", violated), _cell_of("n3", violated)]) == {"n2": "it is down"}
    assert misfits("follow", ["n2"], [_cell_of("n1", unknown), _cell_of("n3", unknown)]) == {}
    assert misfits("follow", ["n2"], [_cell_of("n1", violated), _cell_of("n3")]) == {}


def _answers(action: str) -> tuple[Cell, ...]:
    """Return what every request of an action would be answered in a healthy cluster, as the matrix has it."""
    return tuple(each for each in _cells(healthy()) if each.action == action)


def _offered(page: str, name: str) -> list[str]:
    """Return the values that a form offers under a name."""
    return re.findall(rf'name="{name}" value="([^"]*)"', page)


def test_what_is_not_offered_is_said_with_why() -> None:
    """The node is no choice, and its reason is one step away; so is who could not be named by any that could act."""
    values = form_values(CLUSTER, catalogue()["demote"], "id", _answers("demote"))
    page = render("request_form.html", {**COMMON, **values}).decode()
    assert (_offered(page, "target"), _offered(page, "argument.for")) == (["n1"], ["n2", "n3"])
    assert "Not offered: n2, n3" in _text(page)
    assert "Not offered: n1 n1 : no node that could act now can name it" in _text(page)


def test_a_promotion_comes_after_what_could_be_demoted() -> None:
    """The demotions of standbys are not offered, and it is said why."""
    cells = (*_answers("promote"), *_answers("demote"))
    page = render("request_form.html", {**COMMON, **form_values(CLUSTER, catalogue()["promote"], "id", cells)}).decode()
    after = _offered(page, "argument.after")
    assert [each.rpartition(":")[0] for each in after] == ["", "demote:n1"]
    assert "Not offered: demote n2, demote n3" in _text(page)


def test_where_nothing_is_judged_everything_is_offered() -> None:
    """No form fails because the cluster cannot be judged now."""
    page = render("request_form.html", {**COMMON, **form_values(CLUSTER, catalogue()["follow"], "id")}).decode()
    assert (_offered(page, "target"), _offered(page, "argument.upstream")) == (["n1", "n2", "n3"], ["n1", "n2", "n3"])
    assert "Not offered" not in page


# A plan ---------------------------------------------------------------------------------------------------------------


def _document(plan: Plan) -> str:
    """Return the page of a request that nobody awaits anything of any more."""
    digest, request = plan_digest(canonical.encode(plan).decode()), plan.request
    line = RequestLine(
        request="", at="", operator="", action=request.action, target="", arguments={}, reason="", state="rejected",
        code="", plan=digest,
    )  # fmt: skip
    values: dict[str, object] = {
        **COMMON, "plan": plan, "plan_text": "", "sheet": sheet(plan, digest), "line": line, "over": "",
        "turn": NOBODYS, "outcome": (), "step": "", "may_ask_outcome": False, "records": (),
        "proofs": (), "redacted": False, "options": "", "after": None, "awaits_turn": False, "turn_sentence": "",
        "then": None, "over_sentence": "",
    }  # fmt: skip
    return render("request.html", values).decode()


@pytest.mark.parametrize("name", catalogue())
def test_everything_that_is_signed_is_in_the_document(name: str) -> None:
    """Every text of every field of every plan stands in the page, and needs no script to be read."""
    action = catalogue()[name]
    for scene in scenes().values():
        for request in possible(action):
            plan = explain(CLUSTER, action, request, snapshot_of(scene))
            said = _text(_document(plan))
            missing = [each for each in texts_of(plan) if each not in said]
            assert missing == []


def test_what_does_not_hold_stands_open_and_what_holds_is_folded() -> None:
    """A violated invariant is outside of every fold, with its rule, evidence and what would have to be different."""
    action = catalogue()["promote"]
    plan = explain(CLUSTER, action, request_for(action, "n3", {}), snapshot_of(healthy()))
    page = _document(plan)
    open_ = re.sub(r"<details.*?</details>", "", page, flags=re.DOTALL)
    for verdict in plan.verdicts:
        assert (f'href="/invariants/{verdict.invariant}"' in open_) is (verdict.result != "holds"), verdict
    unfolded = _text(open_)
    assert "A majority of the members has pledged this term to this candidate" in unfolded
    assert 'href="/invariants/election-quorum"' in page
    order = ["REJECTED", "Why not", "HAD IT BEEN EXECUTED", "OUTAGE", "LOSS", "CANNOT BE UNDONE", "WHAT WAS ASKED FOR"]
    assert sorted(order, key=unfolded.index) == order


def test_an_invariant_of_other_rules_has_no_link() -> None:
    """There is no page of what these rules do not know; its evidence is shown all the same."""
    action = catalogue()["stop"]
    plan = explain(CLUSTER, action, request_for(action, "n2", {}), snapshot_of(healthy()))
    retired = msgspec.structs.replace(
        plan, verdicts=tuple(msgspec.structs.replace(each, invariant="once-known") for each in plan.verdicts)
    )
    page = _document(retired)
    assert "/invariants/" not in page
    assert "once-known" in page
    assert "/invariants/" in _document(plan)


def test_each_invariant_is_one_that_its_page_knows() -> None:
    """The links that plans carry lead somewhere."""
    from aerodb.views.invariants import is_known, relied_on_by

    assert all(is_known(each.value) for each in STATEMENTS)
    assert not is_known("once-known")
    assert all(relied_on_by(each) for each in STATEMENTS)
