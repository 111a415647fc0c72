"""A request's page where a second person is due: each sees whose signature it awaits, and signs only in their turn."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aerodb.control.access import Access
from aerodb.control.errors import RequestNotFound
from aerodb.errors import AeroError
from aerodb.past.speaking import SPOKEN
from aerodb.protocol.api import Planned
from aerodb.protocol.sshsig import sign_with_key
from aerodb.web.pages import confirming, log, requests
from aerodb.web.rendering import template_block
from aerodb.web.visit import Onward, Page, Visit
from tests.unit.neighbours.cluster import MemoryCluster
from tests.unit.neighbours.life import PEOPLE, ask, ask_for_seconds, events
from tests.unit.web.test_configuration import shown


@pytest.fixture
def room(tmp_path: Path) -> Iterator[MemoryCluster]:
    """Yield a cluster whose nodes ask for a second person to run anything."""
    made = MemoryCluster(tmp_path, PEOPLE)
    ask_for_seconds(made)
    yield made
    made.close()


class Signing(Access):
    """A person's way to the control plane, who signs with their SSH key where a browser would ask an authenticator."""

    def assertion(self, request: str, response: str) -> str:
        """Return what was signed, as it is."""
        del request
        return response


class _Shapes:
    """What the pages' macros give it."""

    def __getattr__(self, name: str) -> Any:
        return lambda *values: " ".join(map(str, values))


def visit(room: MemoryCluster, planned: Planned, name: str, **form: str) -> Visit:
    """Return a person's call for the request's page."""
    person = room.plane.cluster.operator(name)
    assert person is not None
    access = Signing(room.plane._parts, person, SPOKEN)
    return Visit(access=access, session="s", path={"request": planned.request}, form=form)


def page(room: MemoryCluster, planned: Planned, name: str, template: str = "request.html") -> str:
    """Return a page of a request as somebody sees it, its lines as one."""
    shows = log.decision if template == "decision.html" else requests.one
    found: Page = shows(visit(room, planned, name))
    values = {**found.values, "ui": _Shapes(), "token": "", "person": room.plane.cluster.operator(name), "here": ""}
    return " ".join(template_block(template, "main", values).split())


def confirms(room: MemoryCluster, planned: Planned, name: str, typed: str = "n3") -> Onward:
    """Have somebody type the node's name, and sign."""
    signature = sign_with_key(room.people[name], planned.plan.encode())
    return confirming.confirm(visit(room, planned, name, typed=typed, response=signature))


def test_each_sees_whose_signature_is_awaited(room: MemoryCluster) -> None:
    """The requester first, then whoever could be the second person; an observer may read it, and sign nothing."""
    planned = ask(room)
    assert "nothing is sent before another operator has signed the same plan. Who could: bob." in page(
        room, planned, "alice"
    )
    for name in ("bob", "olga"):
        assert "Only alice, who asked, can sign this first; a second person signs after that (bob)" in page(
            room, planned, name
        )
    assert confirms(room, planned, "alice").to == f"/requests/{planned.request}"
    assert (
        "You have signed it. It awaits a second person, and nothing is sent before they have signed. Who could: bob."
        in page(room, planned, "alice")
    )
    second = page(room, planned, "bob")
    assert "alice asked for this and has signed it. Your signature completes the confirmation" in second
    assert "Digest words" in second
    assert "/decline" not in second
    assert "/decline" in page(room, planned, "alice")
    assert "It awaits a second person, and nothing is sent before they have signed." in page(room, planned, "olga")
    assert room.servers["n3"].done == []


def test_the_second_person_confirms_in_the_browser(room: MemoryCluster) -> None:
    """By typing the node's name: then it is executed, and the decision's page shows both signatures, verified."""
    planned = ask(room)
    confirms(room, planned, "alice")
    with pytest.raises(AeroError) as error:
        confirms(room, planned, "bob", typed="n2")
    assert error.value.code == "input.name-not-typed"
    confirms(room, planned, "bob")
    assert events(room, planned) == ["requested", "signed", "confirmed", "outcome"]
    shown = page(room, planned, "bob", "decision.html")
    assert "By the second person" in shown
    second = shown.partition("By the second person")[2]
    assert "good verified here, over the plan" in second
    assert "<dd>bob, by their SSH key</dd>" in second
    said = page(room, planned, "bob").partition("Records")[2]
    for event, people in (("requested", "alice"), ("signed", "alice"), ("confirmed", "alice and bob")):
        assert f'<td>{event} <span class="muted">by {people}</span></td>' in said
        assert f"<b>{event}</b> by {people} " in shown


def test_the_log_s_pages_name_both_people_and_say_changes_in_words(room: MemoryCluster) -> None:
    """A list of records, and each by itself: who signed, and what a change of the configuration changed."""
    planned = ask(room)
    confirms(room, planned, "alice")
    confirms(room, planned, "bob")
    call = visit(room, planned, "alice")
    listed = " ".join(shown(log.audit(call), call).split())
    assert "<td>confirmed</td><td>alice and bob</td>" in listed
    assert '<span class="wrap">version 2: asks for a second person for actions of the class running</span>' in listed
    number = listed.partition("<td>confirmed</td>")[0].rpartition('<a href="/audit/')[2].partition('"')[0]
    one = shown(log.record(replace(call, path={"sequence": number})), call)
    assert "confirmed, by alice and bob, at" in one


def test_a_double_click_is_one_signature(room: MemoryCluster) -> None:
    """Of the requester and of the second person alike: it leads to the page of what there is, and changes nothing."""
    planned = ask(room)
    for name in ("alice", "alice", "bob", "bob"):
        assert confirms(room, planned, name).to == f"/requests/{planned.request}"
    assert [each for each in events(room, planned) if each != "refused"] == [
        "requested", "signed", "confirmed", "outcome",
    ]  # fmt: skip


def test_the_requester_is_not_their_own_second_person(room: MemoryCluster) -> None:
    """However often they sign, the page takes it for the first signature alone."""
    planned = ask(room)
    for _ in range(2):
        confirms(room, planned, "alice")
    assert room.servers["n3"].done == []
    with pytest.raises(RequestNotFound):
        requests.one(visit(room, Planned(request="x", accepted=True, plan="", digest=""), "bob"))
