"""Changing the configuration by forms: typed, sent once, and never for another version than the form was made for."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from aerodb.control.errors import KeyReused
from aerodb.errors import AeroError
from aerodb.protocol import canonical
from aerodb.protocol.api import Confirm, Planned, Requests
from aerodb.protocol.chain import step_of
from aerodb.protocol.change import Change, read_step, step_text
from aerodb.protocol.cluster import Role
from aerodb.protocol.sshsig import sign_with_key
from aerodb.rules.versions import taken
from aerodb.transport.errors import CallerRefused
from aerodb.transport.tls import Caller
from aerodb.views.changing import KINDS
from aerodb.web.application import page_values
from aerodb.web.errors import FormMalformed
from aerodb.web.pages import configuration, requests
from aerodb.web.rendering import render
from aerodb.web.site import NAVIGATION
from aerodb.web.visit import Onward, Page, Visit
from tests.unit.neighbours.cluster import MemoryCluster
from tests.unit.protocol.test_chain import key_of

IDS = ("11111111-2222-4333-8444-555555555555", "22222222-2222-4333-8444-555555555555")
NOTHING: Mapping[str, str] = MappingProxyType({})
PEOPLE = {"alice": Role.OPERATOR, "bob": Role.OPERATOR, "olga": Role.OBSERVER, "arno": Role.AUDITOR}


class Desk:
    """A cluster, and people in front of its pages."""

    def __init__(self, folder: Path) -> None:
        """Found the cluster."""
        self.room = MemoryCluster(folder, PEOPLE)

    def visit(self, person: str = "alice", /, form: Mapping[str, str] = NOTHING, **query: str) -> Visit:
        """Return a person's call."""
        access = self.room.plane.caller(Caller(name=person, kind="person"))
        return Visit(access=access, session=person, form=dict(form), query=query)

    def form(self, kind: str, **typed: str) -> dict[str, str]:
        """Return what a browser sends of a form, whole but for what goes with the kind."""
        base = {"id": IDS[0], "kind": kind, "node": "n1", "version": "1", "reason": "people change"}
        return {**base, **typed}

    def send(self, kind: str, person: str = "alice", **typed: str) -> Page | Onward:
        """Send a form."""
        return configuration.ask(self.visit(person, self.form(kind, **typed)))

    def change(self, person: str, node: str, change: Change) -> None:
        """Have a person change the configuration of a node by the API."""
        way, chain = self.room.caller(person), self.room.plane._parts.versions.chain
        have = len(taken(self.room.houses[node].agent.facts()))
        step = step_of(chain.versions[have - 1], change)
        body = {"action": "configure", "target": node, "arguments": {"change": step_text(step)}, "reason": "a test"}
        request = f"{len(self.asked()):08d}-0000-4000-8000-000000000000"
        answer = way.post("/v1/requests", canonical.encode(body), {"Idempotency-Key": request})
        planned = canonical.decode(answer, Planned)
        assert planned.accepted, planned.plan
        self.confirm(person, planned.request, planned.plan)

    def confirm(self, person: str, request: str, plan: str) -> None:
        """Confirm a plan as its requester."""
        signed = canonical.encode(Confirm(signature=sign_with_key(self.room.people[person], plan.encode())))
        self.room.caller(person).post(f"/v1/requests/{request}/confirmation", signed)

    def asked(self) -> list[tuple[str, str, dict[str, str]]]:
        """Return all requests so far: which, on which node, with what."""
        lines = canonical.decode(self.room.caller("alice").get("/v1/requests"), Requests).requests
        return [(line.request, line.target, line.arguments) for line in lines]

    @property
    def size(self) -> int:
        """Return how many records the log has."""
        return self.room.log.size


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Yield a cluster with its people."""
    made = Desk(tmp_path)
    yield made
    made.room.close()


def shown(page: Page | Onward, visit: Visit) -> str:
    """Return a page's text, as its browser gets it."""
    assert isinstance(page, Page), page
    common = {"cluster_name": "orders", "navigation": NAVIGATION}
    return render(page.template, {**common, **page_values(page, visit)}).decode()


def revoke(name: str) -> Change:
    """Return the change that revokes an operator."""
    return Change(kind="revoke", name=name, before="operator", after="revoked")


# Asking ---------------------------------------------------------------------------------------------------------------

WELL = {
    "enrol": ({"name": "zoe", "role": "operator", "key": f"{key_of('zoe')} zoe@desk\r\n"}, f"operator {key_of('zoe')}"),
    "revoke": ({"name": "bob"}, "revoked"),
    "re-key": ({"name": "bob", "key": key_of("other")}, key_of("other")),
    "re-role": ({"name": "olga", "role": "auditor"}, "auditor"),
}


@pytest.mark.parametrize("kind", WELL)
def test_a_form_becomes_the_step_that_the_command_line_makes(desk: Desk, kind: str) -> None:
    """The server computes the step from the node's own version; the plan that follows is a request like any other."""
    typed, after = WELL[kind]
    assert desk.send(kind, **typed) == Onward(to=f"/requests/{IDS[0]}")
    ((request, target, arguments),) = desk.asked()
    step = read_step(arguments["change"], "change")
    assert (request, target) == (IDS[0], "n1")
    assert (step.version, step.change.kind, step.change.name, step.change.after) == (2, kind, typed["name"], after)
    page = shown(requests.one(of_request(desk.visit(), request)), desk.visit())
    assert "all 5 invariants hold" in page


def test_the_choice_says_who_is_the_primary(desk: Desk) -> None:
    """Whoever begins has to know which node makes a version; where no primary reports, none is named."""
    visit = desk.visit()
    choice = shown(configuration.new(visit), visit)
    assert "<b>n1</b> primary" in choice
    assert choice.count("</b> primary") == 1
    desk.room.silent["n1"] = "off"
    assert "</b> primary" not in shown(configuration.new(visit), visit)


def test_a_form_says_what_each_choice_means(desk: Desk) -> None:
    """A class by its actions: nobody has to know them by heart."""
    visit = desk.visit(node="n1", kind="second-person", id=IDS[0])
    form = shown(configuration.new(visit), visit)
    assert "<b>authority</b> demote, fence, promote, renew" in form
    assert "<b>data</b> reclone" in form
    assert "a change of the configuration takes two as well" in form


def test_a_change_that_was_executed_leads_to_who_takes_it_next(desk: Desk) -> None:
    """Its page says that other nodes have not taken it; the link to have them take it is one click away."""
    desk.send("re-role", name="olga", role="auditor")
    ((request, _, _),) = desk.asked()
    link = '<a href="/configuration">Configuration</a> says which nodes have taken'
    assert link not in shown(requests.one(of_request(desk.visit(), request)), desk.visit())
    desk.confirm("alice", request, desk.room.plane._parts.reader.decision(request).plan or "")
    page = shown(requests.one(of_request(desk.visit(), request)), desk.visit())
    assert "not taken yet by n2, n3" in page
    assert link in page


def of_request(visit: Visit, request: str) -> Visit:
    """Return the call for a request's page."""
    return Visit(access=visit.access, session=visit.session, path={"request": request})


def test_a_form_that_is_sent_twice_asks_once(desk: Desk) -> None:
    """The same form again leads to the one request; a change made meanwhile does not turn it into another."""
    for _ in range(2):
        assert desk.send("revoke", name="bob") == Onward(to=f"/requests/{IDS[0]}")
    ((request, _, _),) = desk.asked()
    desk.confirm("alice", request, desk.room.plane._parts.reader.decision(request).plan or "")
    assert len(taken(desk.room.houses["n1"].agent.facts())) == 2
    size = desk.size
    assert desk.send("revoke", name="bob") == Onward(to=f"/requests/{IDS[0]}")
    assert configuration.new(desk.visit(node="n1", kind="revoke", id=IDS[0])) == Onward(to=f"/requests/{IDS[0]}")
    assert desk.size == size


def test_another_change_by_the_same_form_is_refused(desk: Desk) -> None:
    """An id is one request: what is sent under it and differs is told which request the form made."""
    desk.send("revoke", name="bob")
    with pytest.raises(KeyReused) as error:
        desk.send("re-role", name="olga", role="auditor")
    assert error.value.request == IDS[0]
    assert len(desk.asked()) == 1


def test_a_node_that_moved_on_is_told_of_and_nothing_is_asked(desk: Desk) -> None:
    """The form says for which version it was made; what was typed stays, and sent again it is for the new version."""
    desk.change("alice", "n1", Change(kind="re-role", name="olga", before="observer", after="auditor"))
    size, visit = desk.size, desk.visit(form=desk.form("revoke", name="bob", reason="bob <b>leaves</b>"))
    page = configuration.ask(visit)
    text = shown(page, visit)
    assert isinstance(page, Page)
    assert (page.status, desk.size) == (409, size)
    assert "n1 has taken version 2 since this page was made for version 1" in text
    assert text.count("Nothing was asked for") == 1
    assert re.search(r'name="name" value="bob" required checked', text)
    assert "bob &lt;b&gt;leaves&lt;/b&gt;</textarea>" in text
    assert 'name="version" value="2"' in text
    assert desk.send("revoke", name="bob", version="2") == Onward(to=f"/requests/{IDS[0]}")


def test_the_next_version_is_taken_by_a_form(desk: Desk) -> None:
    """The form of a node that is behind says what it would take; one that has the newest is told so."""
    desk.change("alice", "n1", revoke("bob"))
    visit = desk.visit(node="n2", kind="take", id=IDS[0])
    assert "The next one revokes bob, operator." in shown(configuration.new(visit), visit)
    assert desk.send("take", node="n2") == Onward(to=f"/requests/{IDS[0]}")
    newest = desk.visit(form=desk.form("take", version="2", id=IDS[1]))
    page = configuration.ask(newest)
    assert isinstance(page, Page)
    assert (page.status, "there is nothing to take" in shown(page, newest)) == (400, True)


# What is wrong --------------------------------------------------------------------------------------------------------

SOMEBODYS = {"name": "zoe", "role": "operator"}
WRONG = {
    "a name that is enrolled": ("enrol", {"name": "bob", "role": "observer"}, "name", "bob is enrolled already"),
    "a name that is none": ("enrol", {"name": "<script>", "role": "observer"}, "name", "is no name for a person"),
    "no name": ("enrol", {"role": "observer"}, "name", "enrol needs a name"),
    "no role": ("enrol", {"name": "zoe"}, "role", "enrol needs a role"),
    "a role that is none": ("enrol", {"name": "zoe", "role": "root"}, "role", "is no role"),
    "no key of an operator": ("enrol", SOMEBODYS, "key", "name their key"),
    "a key that is none": ("enrol", {**SOMEBODYS, "key": "ssh-ed25519 <b>"}, "key", "not base64"),
    "a key of several lines": ("re-key", {"name": "bob", "key": f"{key_of('a')}\n{key_of('b')}"}, "key", "one line"),
    "a private key": ("re-key", {"name": "bob", "key": "-----BEGIN OPENSSH PRIVATE KEY-----"}, "key", "base64"),
    "nobody": ("revoke", {"name": "nobody"}, "name", "nobody of the name"),
    "the same role": ("re-role", {"name": "olga", "role": "observer"}, "role", "observer already"),
    "what does not go with it": ("revoke", {"name": "bob", "role": "auditor"}, "role", "no role goes with revoke"),
    "no reason": ("revoke", {"name": "bob", "reason": " "}, "reason", "needs a reason"),
    "too long a reason": ("revoke", {"name": "bob", "reason": "w" * 4_000}, "reason", "at most"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_stands_beside_its_field_and_nothing_is_lost(desk: Desk, case: str) -> None:
    """The page says what is wrong, where, keeps all that was typed as text, and nothing is asked for or recorded."""
    kind, typed, field, why = WRONG[case]
    visit, size = desk.visit(form=desk.form(kind, **typed)), desk.size
    page = configuration.ask(visit)
    text = shown(page, visit)
    assert isinstance(page, Page)
    assert 400 <= page.status < 500
    assert page.values["wrong"].field == field
    assert why in text
    assert (desk.asked(), desk.size) == ([], size)
    assert all(page.values["typed"][name] == value for name, value in typed.items())
    assert "<script>" not in re.sub(r'<script src="[^"]+" defer>', "", text)
    assert "<b>" not in re.sub(r"<b>(AeroDB|alice|n1|[a-z]+)</b>", "", text)


def test_a_key_that_is_somebodys_is_refused_by_their_name(desk: Desk) -> None:
    """Nobody is enrolled with a key that somebody has, or had: the page says whose it is."""
    own = next(each.ssh_key for each in desk.room.cluster.operators if each.name == "bob")
    visit = desk.visit(form=desk.form("enrol", name="zoe", role="operator", key=own))
    assert "the key is enrolled already, as that of bob" in shown(configuration.ask(visit), visit)
    assert desk.asked() == []


def test_the_last_operator_is_not_revoked(desk: Desk) -> None:
    """Somebody can always act: the form says so, and nothing is asked."""
    desk.change("alice", "n1", revoke("bob"))
    visit = desk.visit(form=desk.form("revoke", name="alice", version="2"))
    page = configuration.ask(visit)
    assert "would leave no operator with a key" in (page.values["wrong"].message if isinstance(page, Page) else "")
    assert len(desk.asked()) == 1


@pytest.mark.parametrize("version", ["0", "2", "-1", "x", "", "9" * 30, "\N{ARABIC-INDIC DIGIT ONE}"])
def test_a_form_for_a_version_that_is_not_known_is_none(desk: Desk, version: str) -> None:
    """Whoever makes up a version is not asked for."""
    with pytest.raises(FormMalformed):
        desk.send("revoke", name="bob", version=version)
    assert desk.asked() == []


def test_a_node_that_does_not_report_is_said_beside_the_form(desk: Desk) -> None:
    """Which version it has is not known, so no step is computed; what was typed stays."""
    desk.room.silent["n2"] = "it is gone"
    visit = desk.visit(form=desk.form("revoke", node="n2", name="bob"))
    text = shown(configuration.ask(visit), visit)
    assert "n2 does not report" in text
    assert "people change</textarea>" in text
    assert desk.asked() == []


@pytest.mark.parametrize("person", ["olga", "arno"])
def test_who_may_only_read_asks_for_nothing(desk: Desk, person: str) -> None:
    """Neither form nor choice is theirs; what they send is refused before anything of it is looked at."""
    calls: tuple[Callable[[], object], ...] = (
        lambda: desk.send("revoke", person, name="bob"),
        lambda: configuration.new(desk.visit(person)),
        lambda: configuration.new(desk.visit(person, node="n1", kind="revoke", id=IDS[0])),
    )
    for call in calls:
        with pytest.raises(CallerRefused):
            call()
    assert desk.asked() == []


@pytest.mark.parametrize("query", [{"kind": "promote"}, {"node": "n9"}, {"id": "../x"}])
def test_an_address_of_no_form_is_an_error(desk: Desk, query: dict[str, str]) -> None:
    """Of a kind, a node or an id that is none."""
    with pytest.raises(AeroError) as error:
        configuration.new(desk.visit("alice", NOTHING, **{"node": "n1", "kind": "revoke", "id": IDS[0], **query}))
    assert error.value.domain == "input"


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_chosen_beforehand(desk: Desk, kind: str) -> None:
    """Each kind's form has its fields, by the table, and none of them is filled in."""
    visit = desk.visit(node="n1", kind=kind, id=IDS[0])
    text = shown(configuration.new(visit), visit)
    names = set(re.findall(r'<(?:input|textarea) [^>]*?name="([a-z]+)"', text))
    due = {*KINDS[kind].needs, *KINDS[kind].may}
    if "of" in due or kind == "no-second-person":  # Nobody has any, and it is asked for nothing: no choice is there.
        due.remove("name")
        assert ">None.<" in text
    assert names - {"token", "id", "node", "kind", "version", "reason"} == due
    assert " checked" not in text
    first = desk.visit(node="n1", kind=kind)
    assert isinstance(onward := configuration.new(first), Onward)
    assert onward == configuration.new(first)


def test_the_catalogue_leads_to_the_form(desk: Desk) -> None:
    """Nobody types a step as it is: choosing configure among the actions leads to its own form."""
    assert requests.new(desk.visit(action="configure")) == Onward(to="/configuration/change")


# Looking --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("person", ["alice", "olga", "arno"])
def test_everybody_enrolled_reads_the_chain(desk: Desk, person: str) -> None:
    """Each change with who, when and why; people, keys, what counts no more; who has taken what, and where not yet."""
    old = next(each.ssh_key for each in desk.room.cluster.operators if each.name == "bob")
    desk.change("alice", "n1", Change(kind="re-key", name="bob", before=old, after=key_of("new")))
    desk.change("alice", "n1", revoke("bob"))
    visit, size = desk.visit(person), desk.size
    text = shown(configuration.configuration(visit), visit)
    assert desk.size == size
    assert "revokes bob, operator" in text
    assert "alice, on n1: a test" in text
    assert "version 1; version 2 is not taken yet" in text
    assert (
        "On n2 version 3 does not hold yet (revoke bob): what bob could confirm there before, they still can." in text
    )
    assert text.count("SHA256:") == len(PEOPLE) + 1
    assert ("Change it" in text) == (person == "alice")
    assert all(each.digest in text for each in desk.room.plane._parts.versions.chain.versions)


def test_what_people_wrote_stays_text(desk: Desk) -> None:
    """A reason that is markup, or turns the text around, is shown as what it is."""
    form = desk.form("re-role", name="olga", role="auditor", reason="<img src=x> \u202egnol")
    assert isinstance(configuration.ask(desk.visit(form=form)), Onward)
    request = desk.asked()[0][0]
    desk.confirm("alice", request, desk.room.plane._parts.reader.decision(request).plan or "")
    text = shown(configuration.configuration(desk.visit()), desk.visit())
    assert "&lt;img src=x&gt; \\u202egnol" in text
    assert "<img src=x>" not in text


def test_the_page_stays_light(desk: Desk) -> None:
    """However often people changed, the newest versions are shown, and how many more there are."""
    for number in range(60):
        role = ("auditor", "observer")[number % 2]
        desk.change(
            "alice", "n1", Change(kind="re-role", name="olga", before=("observer", "auditor")[number % 2], after=role)
        )
    text = shown(configuration.configuration(desk.visit()), desk.visit())
    assert len(text) < 60_000
    assert "10 older versions not shown here" in text
    assert text.count('class="number"') == 1 + configuration.VERSIONS_SHOWN_MAX + 1
