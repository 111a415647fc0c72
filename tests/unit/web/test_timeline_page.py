"""The timeline's page: a story with its exact entries at hand, and a stretch of it where that is asked for."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from aerodb.views.story import LEGEND
from aerodb.web.errors import FormMalformed
from aerodb.web.pages import history
from tests.unit.neighbours.life import act
from tests.unit.web.test_configuration import NOTHING, Desk, shown

PAGE_BYTES_MAX = 100_000


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Yield a cluster on which n3 was stopped and started, as its agent's observer saw."""
    made = Desk(tmp_path)
    for action in ("stop", "start"):
        for house in made.room.houses.values():
            house.observe()
        act(made.room, action, "n3")
    for house in made.room.houses.values():
        house.observe()
    yield made
    made.room.close()


def page(desk: Desk, person: str = "alice", **query: str) -> str:
    """Return the page as somebody sees it, its lines as one."""
    visit = desk.visit(person, NOTHING, **query)
    return " ".join(shown(history.timeline(visit), visit).split())


def titles(text: str) -> list[str]:
    """Return the titles of the requests' chapters."""
    return re.findall(r'<h3><a href="/decisions/[0-9a-f-]+">([^<]+)</a>', text)


@pytest.mark.parametrize("person", ["alice", "olga", "arno"])
def test_requests_stand_with_what_their_node_saw(desk: Desk, person: str) -> None:
    """Each links to its decision, says what became of it, and what n3 saw while it ran; the legend says each mark."""
    text = page(desk, person)
    assert titles(text) == ["stop n3", "start n3"]
    assert text.count("executed</span></h3>") == 2
    assert re.search(r"<b title=[^>]+>n3</b> [^<]*PostgreSQL is stopped \(before: running\)", text)
    assert all(said in text for said in LEGEND.values())
    assert "2 requests by 1 person: 2 executed." in text
    assert "<table>" not in text


def test_times_are_relative_with_the_exact_ones_at_hand(desk: Desk) -> None:
    """Since the beginning, in the day, and whole with the clock's name."""
    assert re.search(r'<b>0:00</b> <time title="20[^"]+Z, by the [^"]+">[0-9:]{8}</time>', page(desk))


def test_every_entry_is_there_where_it_is_asked_for(desk: Desk) -> None:
    """By its position, its source's number and its clock."""
    text = page(desk, exact="1")
    assert text.count("<tr>") > len(titles(page(desk)))
    assert re.search(r"request [0-9a-f-]{36}: begun -&gt; ended: executed", text)
    assert '<ol class="story">' not in text
    assert 'href="/timeline"' in text


def test_a_stretch_is_asked_for_by_the_logs_records(desk: Desk) -> None:
    """A request's own link shows it alone; what its neighbours did is not in it."""
    alone = re.findall(r'href="/timeline\?from=(\d+)&amp;to=(\d+)"', page(desk))
    assert len(alone) == 2
    first, last = alone[1]
    assert titles(page(desk, **{"from": first, "to": last})) == ["start n3"]
    assert titles(page(desk, **{"from": alone[0][0]})) == ["stop n3", "start n3"]
    assert f'name="from" value="{first}"' in page(desk, **{"from": first})


@pytest.mark.parametrize("field", ["term", "from", "to"])
@pytest.mark.parametrize("text", ["-1", "x", "1" * 10, "\u0661"])
def test_what_is_no_number_is_refused(desk: Desk, field: str, text: str) -> None:
    """By its field."""
    with pytest.raises(FormMalformed) as error:
        page(desk, **{field: text})
    assert error.value.field == field


def test_the_page_stays_light(desk: Desk) -> None:
    """Also with as many entries as it shows."""
    for _ in range(25):
        act(desk.room, "checkpoint", "n1")
        desk.room.houses["n1"].observe()
    queries: tuple[dict[str, str], ...] = ({}, {"exact": "1"})
    for query in queries:
        visit = desk.visit("alice", NOTHING, **query)
        assert len(shown(history.timeline(visit), visit).encode()) < PAGE_BYTES_MAX
