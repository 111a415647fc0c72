"""Signed ahead, in the browser: by the forms alone, from the promotion's to what became of both."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from aerodb.control.access import Access
from aerodb.errors import AeroError
from aerodb.past.speaking import SPOKEN
from aerodb.protocol.api import Planned
from aerodb.protocol.plan import plan_digest
from aerodb.protocol.sshsig import sign_with_key
from aerodb.protocol.words import words_of
from aerodb.web.errors import FormMalformed
from aerodb.web.pages import confirming, requests
from aerodb.web.rendering import template_block
from aerodb.web.visit import Onward, Page, Visit
from tests.unit.neighbours.cluster import MemoryCluster
from tests.unit.neighbours.life import events
from tests.unit.neighbours.turns import electing_n2
from tests.unit.web.test_second import Signing, _Shapes


@pytest.fixture
def room(tmp_path: Path) -> Iterator[MemoryCluster]:
    """Yield a cluster in which the witness has pledged to n2."""
    made = electing_n2(tmp_path)
    yield made
    made.close()


def visit(room: MemoryCluster, name: str = "alice", **query: str) -> Visit:
    """Return a person's call for the form of a new request."""
    person = room.plane.cluster.operator(name)
    assert person is not None
    return Visit(access=Signing(room.plane._parts, person, SPOKEN), session="s", query=query)


def drawn(call: Visit, page: Page) -> str:
    """Return a page's main part, its lines as one."""
    values = {**page.values, "ui": _Shapes(), "token": "", "person": call.person, "here": ""}
    return " ".join(template_block(page.template, "main", values).split())


def form(call: Visit) -> tuple[str, str]:
    """Return the form that a call leads to, and the query of its address."""
    found = requests.new(call)
    while isinstance(found, Onward):
        query = dict(re.findall(r"([a-z]+)=([^&]+)", found.to.partition("?")[2]))
        call = replace(call, query=query)
        found = requests.new(call)
    return drawn(call, found), call.query["id"]


def sent(room: MemoryCluster, **given: str) -> str:
    """Send a form; return the request that it became."""
    fields = {name.replace("_", "."): value for name, value in given.items()}
    call = replace(visit(room), form={**fields, "reason": "maintenance"})
    return requests.ask(call).to.rpartition("/")[2]


def shown(room: MemoryCluster, request: str, name: str = "alice") -> str:
    """Return the page of a request."""
    call = replace(visit(room, name), path={"request": request})
    page = requests.one(call)
    assert isinstance(page, Page)
    return drawn(call, page)


def confirm(room: MemoryCluster, request: str, node: str) -> None:
    """Type the node's name on a request's page, and sign."""
    access: Access = visit(room).access
    text = access.decision(request, sensitive=False).plan or ""
    response = sign_with_key(room.people["alice"], text.encode())
    call = replace(visit(room), path={"request": request}, form={"typed": node, "response": response})
    confirming.confirm(call)


def hidden(page: str) -> dict[str, str]:
    """Return the hidden fields of a form."""
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page))


def test_a_switchover_by_the_forms_alone(room: MemoryCluster) -> None:
    """The promotion's form offers what it may come after; its page leads to the demotion, in which all is chosen."""
    page, later = form(visit(room, action="promote"))
    after = next(value for value in re.findall(r'name="argument.after" value="([^"]*)"', page) if ":n1:" in value)
    assert "demote n1" in page
    assert sent(room, id=later, action="promote", target="n2", argument_after=after) == later
    foreseen = shown(room, later)
    assert "Why not" not in foreseen
    assert "4 invariants are foreseen to hold once demote n1 is executed" in foreseen
    assert foreseen.index("foreseen to hold") > foreseen.index("OUTAGE")
    confirm(room, later, "n2")
    held = shown(room, later)
    assert "n2 holds the order in memory. It runs right after demote n1 is executed" in held
    assert f"/requests/new?action=demote&amp;then={later}" in held
    assert "Request demote n1, and then this" not in shown(room, later, "bob")
    page, first = form(visit(room, action="demote", then=later))
    assert first == after.rpartition(":")[2]
    assert 'aria-describedby="reason-hint">maintenance</textarea>' in page
    assert (
        sent(room, **{name.replace("argument.", "argument_"): value for name, value in hidden(page).items()}) == first
    )
    text = visit(room).access.decision(later, sensitive=False).plan or ""
    planned = shown(room, first)
    assert "Once this is executed, without another question" in planned
    assert all(f"<li>{word}</li>" in planned for word in words_of(plan_digest(text)).split(" "))
    confirm(room, first, "n1")
    assert "EXECUTED on n1" in shown(room, first)
    assert "EXECUTED on n2" in shown(room, later)
    assert events(room, Planned(request=later, accepted=True, plan="", digest=""))[-2:] == ["triggered", "outcome"]


def test_a_demotion_that_was_refused_before_it_had_a_plan_has_its_form_again(room: MemoryCluster) -> None:
    """Its id is named by the held order, and used by nothing: the way to its form leads to no page of a refusal."""
    page, later = form(visit(room, action="promote"))
    after = next(value for value in re.findall(r'name="argument.after" value="([^"]*)"', page) if ":n1:" in value)
    sent(room, id=later, action="promote", target="n2", argument_after=after)
    confirm(room, later, "n2")
    page, first = form(visit(room, action="demote", then=later))
    given = {name.replace("argument.", "argument_"): value for name, value in hidden(page).items()}
    room.silent["n1"] = "a cable"
    with pytest.raises(AeroError):
        sent(room, **given)
    room.silent.clear()
    assert form(visit(room, action="demote", then=later)) == (page, first)
    assert sent(room, **given) == first
    confirm(room, first, "n1")
    assert "EXECUTED on n2" in shown(room, later)


def test_an_ordinary_promotion_comes_after_nothing(room: MemoryCluster) -> None:
    """Nothing is chosen beforehand; a demotion's own form asks for nothing that only another request's page gives."""
    page, _ = form(visit(room, action="promote"))
    assert "checked" not in page
    page, _ = form(visit(room, action="demote"))
    assert "argument.then" not in page


def test_what_comes_after_nothing_has_nothing_before_it(room: MemoryCluster) -> None:
    """A form that is made for another request is refused in words."""
    fence = next(iter(dict.fromkeys(each.request for each in visit(room).access.requests(None, 9).requests)))
    with pytest.raises(FormMalformed):
        requests.new(visit(room, action="demote", then=fence))
