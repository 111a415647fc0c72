"""The pages of a cluster that is only watched: what is offered is said to be rejected, and nobody has a term."""

import html
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from aerodb.actions import catalogue
from aerodb.audit.record import read_record
from aerodb.errors import AeroError
from aerodb.rules.procedures import KINDS, ProcedureKind
from aerodb.rules.specification import Action
from aerodb.transport.tls import Caller
from aerodb.views.changing import KINDS as CHANGES
from aerodb.web.pages import cluster, configuration, history, nodes, procedure, requests
from aerodb.web.rendering import render
from aerodb.web.visit import Onward, Page, PageAnswer, Visit
from tests.unit.neighbours.life import PEOPLE
from tests.unit.neighbours.others import OthersCluster
from tests.unit.rules.scenes import possible

COMMON = {
    "cluster_name": "orders", "navigation": (), "here": "/", "token": "",
    "person": {"name": "alice", "role": "operator"},
}  # fmt: skip
ID = "11111111-2222-4333-8444-555555555555"
NOTICE = "Only watched: every action is rejected."
CLAIMS = ("stands as", "term", "pledge", "grant", "Quorum in force")
"""What is said of no node here."""


@pytest.fixture
def others(tmp_path: Path) -> Iterator[OthersCluster]:
    """Yield a cluster that others made, at which every agent has looked."""
    made = OthersCluster(tmp_path, PEOPLE)
    for house in made.watchers.values():
        house.observe()
    yield made
    made.close()


def visit(others: OthersCluster, path: dict[str, str] | None = None, /, **query: str) -> Visit:
    """Return alice's call."""
    access = others.plane.caller(Caller(name="alice", kind="person"))
    return Visit(access=access, session="s", path=path or {}, query=query)


def text(found: PageAnswer) -> str:
    """Return what a page says, in its main part."""
    assert isinstance(found, Page)
    page = render(found.template, {**COMMON, **found.values}).decode()
    main = page[page.index("<main") : page.index("</main>")]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", main)).split())


@pytest.mark.parametrize("state", ["as it is", "PostgreSQL down", "unreachable"])
def test_nothing_is_claimed_of_a_node(others: OthersCluster, state: str) -> None:
    """Neither a standing nor a term, pledge or grant, on the pages of the cluster, of a node, of what happened."""
    if state == "PostgreSQL down":
        others.looks["n1"].down()
        others.watchers["n1"].observe()
    if state == "unreachable":
        others.silent["n1"] = "no route"
    pages = [
        cluster.cluster(visit(others)),
        history.timeline(visit(others)),
        history.timeline(visit(others, exact="1")),
    ]
    pages += [nodes.node(visit(others, {"node": name})) for name in others.keys]
    for each in pages:
        shown = text(each).lower()
        assert [claim for claim in CLAIMS if claim.lower() in shown.replace("in the order of terms", "")] == []


def test_what_happened_says_what_postgresql_runs_as(others: OthersCluster) -> None:
    """Not what the node stands for; and whether it receives is said of the first look as well."""
    shown = text(history.timeline(visit(others)))
    assert "n1 PostgreSQL runs as a primary; PostgreSQL is running" in shown
    assert "n2 PostgreSQL runs as a standby" in shown
    assert "receives from nobody" in shown


def test_whatever_offers_an_action_says_that_it_is_rejected(others: OthersCluster) -> None:
    """The choices and forms of actions, of changes and of procedures."""
    pages = [
        requests.new(visit(others)),
        *(requests.new(visit(others, action=name, id=ID)) for name in catalogue()),
        configuration.configuration(visit(others)),
        configuration.new(visit(others)),
        *(configuration.new(visit(others, node="n1", kind=kind, id=ID)) for kind in CHANGES),
        procedure.choice(visit(others)),
        *(procedure.laid(visit(others, {"procedure": name})) for name in KINDS),
        cluster.cluster(visit(others)),
        cluster.now(visit(others)),
    ]
    for each in pages:
        if not isinstance(each, Onward):  # To a form of its own, which is among them.
            assert NOTICE in text(each)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_no_procedure_is_laid_out(others: OthersCluster, kind: ProcedureKind) -> None:
    """Every request of it would be rejected: that is said, and nothing else of pledges or of what is lost."""
    named = dict(zip((part.name for part in kind.parts), ("n1", "n2"), strict=False))
    with pytest.raises(AeroError, match="orders is only watched: every request of a procedure would be rejected"):
        procedure.laid(visit(others, {"procedure": kind.name}, reason="", **named))


@pytest.mark.parametrize("name", [name for name in catalogue() if name != "configure"])
def test_no_form_offers_a_node(others: OthersCluster, name: str) -> None:
    """Of no action: also where no request of it is listed among those that are judged beforehand."""
    page = requests.new(visit(others, action=name, id=ID))
    assert isinstance(page, Page)
    assert (page.values["members"], set(page.values["misfitting"])) == ([], {"n1", "n2", "n3"})


@pytest.mark.parametrize("action", catalogue().values(), ids=lambda action: action.name)
def test_a_form_that_is_sent_all_the_same_is_rejected_and_recorded(others: OthersCluster, action: Action) -> None:
    """By a plan that has its own page, which shows why."""
    request = next(possible(action, others.cluster))
    arguments = {f"argument.{name}": value for name, value in request.arguments.items()}
    form = {"id": request.id, "action": action.name, "target": request.target, "reason": "a test", **arguments}
    call = visit(others)
    asked = requests.ask(Visit(access=call.access, session="s", form=form))
    assert asked.to == f"/requests/{request.id}"
    shown = text(requests.one(visit(others, {"request": request.id})))
    assert "REJECTED: In charge. Nothing was executed." in shown
    assert f"{request.target} is only watched: its agent has no hands" in shown
    (record,) = (read_record(others.log.record(each)) for each in others.log.sequences_of(request.id))
    assert (record.event, record.invariants) == ("rejected", ("in-charge",))
