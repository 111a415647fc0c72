"""The pages of procedures: what the terminal says of each step; nothing is chosen, and nothing is asked for."""

import re
import uuid
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

from aerodb.errors import AeroError
from aerodb.protocol.api import Ask
from aerodb.rules.procedures import KINDS
from aerodb.transport.tls import Caller
from aerodb.views.procedure import MARKS
from aerodb.web import application
from aerodb.web.application import page_values
from aerodb.web.pages import procedure
from aerodb.web.rendering import render
from aerodb.web.site import NAVIGATION
from aerodb.web.visit import Page, Visit
from tests.unit.neighbours.cluster import MemoryCluster
from tests.unit.neighbours.life import PEOPLE, ask, confirm

TICKET = "CHG-7 <move>"
CSS = Path(application.__file__).parent / "assets" / "aerodb.css"
ADDRESS = "10.66.6.6"


@pytest.fixture
def room(tmp_path: Path) -> Iterator[MemoryCluster]:
    """Yield a cluster in memory."""
    made = MemoryCluster(tmp_path, PEOPLE)
    yield made
    made.close()


def shown(room: MemoryCluster, kind: str, person: str = "alice", **query: str) -> str:
    """Return the page of a procedure as somebody sees it."""
    access = room.plane.caller(Caller(name=person, kind="person"))
    visit = Visit(access=access, session=person, path={"procedure": kind}, query=query)
    page: Page = procedure.laid(visit) if kind else procedure.choice(visit)
    common = {"cluster_name": room.cluster.name, "navigation": NAVIGATION}
    return render(page.template, {**common, **page_values(page, visit)}).decode()


def switchover(room: MemoryCluster, person: str = "alice", reason: str = TICKET) -> str:
    """Return the page of a switchover from n1 to n2."""
    return shown(room, "switchover", person, primary="n1", successor="n2", reason=reason)


def words(page: str) -> str:
    """Return what a page says, in one line."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split())


def test_the_navigation_leads_to_every_kind() -> None:
    """By a section of its own, with a shortcut that no other has."""
    assert [each.title for each in NAVIGATION if each.path == "/procedures"] == ["Procedures"]
    assert len({each.key for each in NAVIGATION}) == len(NAVIGATION)


HOLDER, OTHERS, ALL = ["n1"], ["n2", "n3"], ["n1", "n2", "n3"]
OFFERED = {
    "primary": HOLDER, "successor": OTHERS, "candidate": OTHERS,
    ("return", "node"): OTHERS, ("maintenance", "node"): ALL,
}  # fmt: skip


def test_nothing_is_chosen_beforehand_and_only_who_can_play_a_part_is_offered(room: MemoryCluster) -> None:
    """By the newest grant that anybody reports; who is not is named, with why. By nobody's word, all are."""
    assert all(f'href="/procedures/{name}"' in shown(room, "") for name in KINDS)

    def offered(form: str, part: str) -> list[str]:
        return re.findall(rf'name="{part}" value="(\w+)" required', form)

    for kind in KINDS.values():
        form = shown(room, kind.name)
        assert "checked" not in form
        for part in kind.parts:
            wanted = OFFERED.get(part.name) or OFFERED[kind.name, part.name]
            assert offered(form, part.name) == wanted
            for left_out in set(ALL) - set(wanted):
                assert f"<b>{left_out}</b>: " in form
    for node in ALL:
        room.silent[node] = "it is frozen"
    room.silent["w1"] = "it is frozen"
    form = shown(room, "switchover")
    assert (offered(form, "primary"), offered(form, "successor")) == (ALL, ALL)


def test_the_page_says_what_the_terminal_says(room: MemoryCluster) -> None:
    """Both orders, each step's judgement, the line that is typed, and how writes are then; escaped."""
    page = switchover(room)
    said = words(page)
    assert "Switchover from n1 to n2: 0 of 5 requests done" in said
    assert "Order 1 of 3: standbys move to n2 beforehand; the promotion is signed ahead" in said
    assert "Order 2 of 3: standbys move to n2 beforehand; in two confirmations" in said
    assert "Order 3 of 3: standbys move once n2 is promoted; the promotion is signed ahead" in said
    assert said.count("judged now: ") == 3
    assert "foreseen after steps 1 to 3: 16 invariants hold, election-quorum, commit-quorum only then" in said
    assert f'aerodb follow n3 --upstream n2 --reason "{TICKET}"' in said
    assert TICKET not in page
    assert "Writes STOP no primary; last known n1, term 1" in said
    assert "Writes are back acknowledged by n2, survives the loss of 0 more nodes" in said


def test_a_step_becomes_done_and_leads_to_its_request(room: MemoryCluster) -> None:
    """The other order goes, and the next step is judged now."""
    planned = ask(room, Ask(action="follow", target="n3", arguments={"upstream": "n2"}, reason=TICKET))
    assert confirm(room, planned).result == "executed"
    page = switchover(room)
    assert "Switchover from n1 to n2: 1 of 5 requests done" in words(page)
    assert re.search(rf'done: executed at [^<]*, asked for by alice · <a href="/requests/{planned.request}">', page)
    assert "Let n3 follow n2" in words(page)
    assert "Order 3" not in page
    assert re.search(r"</span> Fence w1 for n2</h3>\s*<p class=\"outlook good\">judged now: all 10", page)


def test_a_rejection_shows_its_evidence(room: MemoryCluster) -> None:
    """And what comes behind it is not judged."""
    room.servers["n3"].change(drift=("primary_conninfo",))
    said = words(switchover(room))
    assert "judged now: would be REJECTED by receiver-known" in said
    assert "changed behind the agent's back on n3: primary_conninfo" in said
    assert "not judged yet: rests on step 1" in said


@pytest.mark.parametrize("person", ["olga", "carol"])
def test_whoever_may_look_sees_it_without_what_is_sensitive(room: MemoryCluster, person: str) -> None:
    """The lines, the judgements and what is done; neither settings by name nor addresses; and no form to ask by."""
    planned = ask(room, Ask(action="fence", target="w1", arguments={"for": "n2"}, reason=TICKET))
    confirm(room, planned)
    room.servers["n3"].change(drift=("primary_conninfo",))
    said = words(switchover(room, person))
    assert "would be REJECTED by receiver-known" in said
    assert "primary_conninfo" not in said
    assert "done: executed at" in said
    room.silent["n3"] = f"{ADDRESS}:5432 refuses"
    page = switchover(room, person)
    assert "n3 gives no report: transport.unreachable: [redacted]" in words(page)
    assert ADDRESS not in page
    assert "/requests/new" not in page
    assert ("/audit?text=" in page) is (person == "carol")


def test_the_same_answer_by_the_api_is_veiled_too(room: MemoryCluster) -> None:
    """The route shows an observer how writes are, and neither evidence with settings by name nor addresses."""
    room.servers["n3"].change(drift=("primary_conninfo",))
    path = "/v1/procedures/switchover?primary=n1&successor=n2&reason=x"
    assert b"primary_conninfo" in room.caller("alice").get(path)
    answer = room.caller("olga").get(path)
    assert b"primary_conninfo" not in answer
    assert b"A commit waits for 1 of n2, n3." in answer
    room.silent["n3"] = f"{ADDRESS}:5432 refuses"
    assert ADDRESS.encode() not in room.caller("olga").get(path)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("nothing", "input.procedure-unknown"),
        ("switchover?primary=n1", "input.malformed"),
        ("switchover?primary=n1&successor=n2&third=n3", "input.malformed"),
        ("switchover?primary=n1&successor=n9", "input.node-unknown"),
        ("failover?candidate=n1", "input.procedure-unsuited"),
    ],
)
def test_what_is_wrong_is_named(room: MemoryCluster, path: str, code: str) -> None:
    """By a stable code, before anything is laid out."""
    with pytest.raises(AeroError) as refused:
        room.caller("alice").get(f"/v1/procedures/{path}")
    assert refused.value.code == code


def test_without_a_ticket_nothing_is_marked(room: MemoryCluster) -> None:
    """It says so, and gives the reason's place in the lines."""
    planned = ask(room, Ask(action="fence", target="w1", arguments={"for": "n2"}, reason=TICKET))
    confirm(room, planned)
    said = words(switchover(room, reason=""))
    assert "No reason was given, so what is done already is not looked up in the audit log" in said
    assert "done: executed" not in said
    assert '--reason "..."' in said


def test_each_line_leads_to_its_form_also_of_what_is_signed_ahead(room: MemoryCluster) -> None:
    """The promotion's form, before the demotion; once that is held, the demotion's, in which all is chosen."""
    for action, target, arguments in (("follow", "n3", {"upstream": "n2"}), ("fence", "w1", {"for": "n2"})):
        planned = ask(room, Ask(action=action, target=target, arguments=arguments, reason=TICKET))
        assert confirm(room, planned).result == "executed"
    page = switchover(room)
    assert 'href="/requests/new?action=promote">The form of a request for promote, after demote n1<' in page
    first = str(uuid.uuid4())
    later = ask(room, Ask(action="promote", target="n2", arguments={"after": f"demote:n1:{first}"}, reason=TICKET))
    assert confirm(room, later).result == "held"
    page = switchover(room)
    assert "held by n2, as that has signed" in words(page)
    assert f'<a href="/requests/{later.request}">' in page
    assert f'href="/requests/new?action=demote&amp;then={later.request}">' in page
    assert f"aerodb demote n1 --for n2 --then {later.request}" in words(page)
    then = f"{later.request}:{later.digest}"
    before = Ask(action="demote", target="n1", arguments={"for": "n2", "then": then}, reason=TICKET)
    ask(room, before, request=first)
    page = switchover(room)
    assert f'<a href="/requests/{first}">Its plan, which awaits its confirmation</a>' in page
    assert "held by n2" in words(switchover(room, "olga"))


def test_each_judgement_has_its_sign_and_no_other_pages_looks(room: MemoryCluster) -> None:
    """A line's class is ruled by the walk alone: what is done or foreseen has no red bar of a failing verdict."""
    sheet = CSS.read_text(encoding="utf-8")
    selectors = [each.strip() for rule in re.findall(r"([^{}]+)\{", sheet) for each in rule.split(",")]
    lines = set(re.findall(r'</h3>\s*<p class="(\w+) \w+">', switchover(room)))
    assert len(lines) == 1
    for name in lines:
        assert not [each for each in selectors if re.search(rf"\.{name}\b", each) and not each.startswith(".walk ")]
    (line,) = lines
    for mark in MARKS:
        assert f".walk .{mark.replace(' ', '-')} .{line}::before" in selectors, mark
