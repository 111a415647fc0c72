"""Every page says on top whether writes can be acknowledged, or asks for it: none is held up by a node that hangs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from aerodb.protocol.facts import State
from aerodb.transport.tls import Caller
from aerodb.web.application import page_values
from aerodb.web.rendering import render
from aerodb.web.site import NAVIGATION, PAGES
from aerodb.web.visit import Json, Page, Visit
from tests.unit.neighbours.cluster import MemoryCluster
from tests.unit.neighbours.life import PEOPLE, ask

LINE = 'data-writes="/writes"'
ACKNOWLEDGED = "Writes: acknowledged by n1"
SELF = ("/", "/now", "/nodes/{node}", "/procedures/{procedure}")
"""The pages that look at the cluster anyhow, and say it themselves."""


@pytest.fixture
def room(tmp_path: Path) -> Iterator[MemoryCluster]:
    """Yield a cluster in memory."""
    made = MemoryCluster(tmp_path, PEOPLE)
    yield made
    made.close()


def visited(room: MemoryCluster, person: str = "alice", **path: str) -> Visit:
    """Return somebody's call."""
    return Visit(access=room.plane.caller(Caller(name=person, kind="person")), session=person, path=path)


def line(room: MemoryCluster, person: str = "alice") -> object:
    """Return what the line's script reads."""
    entry = next(each for each in PAGES if each.path == "/writes")
    answer = entry.answer(visited(room, person))
    assert isinstance(answer, Json)
    return answer.value


@pytest.mark.parametrize("person", PEOPLE)
def test_whoever_may_look_is_told_what_the_cluster_page_says(room: MemoryCluster, person: str) -> None:
    """In its words and its style; nothing is recorded, and what is not known is not called good."""
    before = room.log.size
    assert line(room, person) == {"style": "good", "text": f"{ACKNOWLEDGED}, survives the loss of 1 more node"}
    room.servers["n1"].instance = replace(room.servers["n1"].instance, state=State.CRASHED)
    found = line(room, person)
    assert isinstance(found, dict)
    assert found["style"] == "bad"
    assert found["text"].startswith("Writes: no primary")
    room.silent |= dict.fromkeys(("n1", "n2", "n3"), "it is frozen")
    found = line(room, person)
    assert isinstance(found, dict)
    assert found["style"] != "good"
    assert room.log.size == before


def test_every_page_says_it_once(room: MemoryCluster) -> None:
    """By itself where it looks at the cluster, and else by the line; what was once so has a page without it."""
    names = {"request": ask(room).request, "sequence": "0", "action": "promote", "node": "n2"}
    names |= {"invariant": "wal-prefix", "procedure": "switchover"}
    for entry in PAGES:
        if entry.method != "GET" or entry.for_scripts or entry.path == "/as-of/{digest}":
            continue
        answer = entry.answer(visited(room, **names))
        if not isinstance(answer, Page):
            continue
        values = {"cluster_name": "c", "navigation": NAVIGATION, **page_values(answer, visited(room))}
        text = render(answer.template, values).decode()
        own = ACKNOWLEDGED in text
        assert own + (LINE in text) == 1, entry.path
        assert not own or entry.path in SELF, entry.path
