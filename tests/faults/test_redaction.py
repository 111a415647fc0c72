"""Every answer of every route, for every role, where sensitive values are marked: who may not see sees none."""

import os
import re
import signal
from collections.abc import Iterator
from itertools import permutations
from urllib.parse import urlencode

import msgspec
import pytest

from aerodb.actions import catalogue
from aerodb.api.routes import ENDPOINTS
from aerodb.errors import AeroError
from aerodb.protocol import canonical
from aerodb.protocol.api import Ask, Confirm, Decision, Planned, Status
from aerodb.protocol.classification import REDACTED, sensitive_values
from aerodb.protocol.marks import ROOT_BYTES, mark_of
from aerodb.protocol.plan import Plan
from aerodb.rules.procedures import KINDS
from aerodb.transport.errors import Refused
from aerodb.views.observed import observe
from aerodb.web.site import PAGES
from tests.faults.behind import append_to, connect
from tests.faults.conftest import Running
from tests.faults.people import Api, new_id
from tests.faults.test_web import Window
from tests.faults.waiting import wait_until

MARK = "marked_as_sensitive"
MALFORMED = {"input.malformed", "input.step-malformed", "control.gap-mistaken"}
DRIFTED = "full_page_writes"
MARKS = tuple(str(mark_of(size, bytes([size]) * ROOT_BYTES)) for size in (3, 2))
CONFIGURED = {"/v1/cluster"}
"""The configuration stands in every enrolled person's profile; its addresses are no secret among them."""
OF_THE_LOG = re.compile(r"/v1/(requests/|audit)|/(requests|decisions|audit)\b")
"""What an auditor reads as it was recorded."""


@pytest.fixture(scope="module")
def marked(shared: Running) -> Running:
    """Return a cluster with everything that is sensitive in it, a history, and one agent that is gone."""
    assert shared.api.do("follow", "n3", upstream="n2").result == "executed"
    with connect(shared, "n1") as session:
        session.execute(f"select pg_create_physical_replication_slot('{MARK}')")
    append_to(shared.home("n2") / "conf" / "postgresql.conf", f"{DRIFTED} = off\n")
    os.kill(shared.postmaster("n2"), signal.SIGHUP)
    wait_until(lambda: {MARK, DRIFTED} <= values(shared))
    for action, target, arguments in everything(shared):
        try:
            shared.api.ask(action, target, reason="to be read", **arguments)
        except Refused as error:
            assert error.code in MALFORMED, error.message  # noqa: PT017 - no other.
    shared.stage.kill("n3")
    return shared


def everything(running: Running) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield every action on every node, with all the arguments that it could have."""
    names = running.cluster.data_nodes
    for action in catalogue().values():
        for target in names:
            values = MARKS if action.every_arguments(running.cluster) is None else names
            for chosen in permutations(values, len(action.needed)):
                yield (
                    action.name,
                    target,
                    {each.name: name for each, name in zip(action.needed, chosen, strict=True)},
                )


def values(running: Running) -> set[str]:
    """Return every sensitive text of the cluster now, as the operator sees it, and every agent's address."""
    facts = observe(running.cluster, running.api.status()).facts.values()
    texts = {str(value) for each in facts for value in sensitive_values(each) if isinstance(value, str)}
    return texts | {member.agent for member in running.cluster.members} | {str(running.layout.root)}


@pytest.fixture(scope="module")
def secrets(marked: Running) -> list[str]:
    """Return what nobody may be shown who may not see it: also what was true before the agent was gone."""
    found = values(marked)
    for digest in snapshots(marked):
        body = marked.api.client.get(f"/v1/snapshots/{digest}")
        found |= set(re.findall(r"127\.0\.0\.1:\d+", body.decode()))
    assert {MARK, DRIFTED, "data-0001"} <= found
    assert len([each for each in found if re.fullmatch(r"127\.0\.0\.1:\d+", each)]) >= 4
    return sorted(found)


def snapshots(running: Running) -> set[str]:
    """Return the digests of some recorded snapshots."""
    listed = msgspec.json.decode(running.api.client.get("/v1/requests?limit=200"))["requests"]
    plans = (running.api.decision(each["request"]).plan for each in listed if each["plan"])
    return {canonical.decode(text.encode(), Plan).snapshot for text in plans if text}


def procedures(path: str) -> Iterator[str]:
    """Yield the address of every kind of procedure, for every node in each of its parts, with and without a ticket."""
    for kind in KINDS.values():
        for nodes in permutations(("n1", "n2", "n3"), len(kind.parts)):
            named = {part.name: node for part, node in zip(kind.parts, nodes, strict=True)}
            for reason in ("", "a test"):
                yield f"{path.format(procedure=kind.name)}?{urlencode({**named, 'reason': reason})}"


def routes(running: Running) -> Iterator[str]:
    """Yield the path of every GET of the API, with everything that it can be asked about."""
    requests = [each["request"] for each in msgspec.json.decode(running.api.client.get("/v1/requests"))["requests"]]
    digests = sorted(snapshots(running))
    for endpoint in (each for each in ENDPOINTS if each.method == "GET"):
        if endpoint.path.endswith("/explain"):
            for action, target, arguments in everything(running):
                more = "".join(f"&{name}={value}" for name, value in arguments.items())
                yield f"{endpoint.path}?action={action}&target={target}{more}"
        elif "{procedure}" in endpoint.path:
            yield from procedures(endpoint.path)
        elif "{request}" in endpoint.path:
            yield from (endpoint.path.format(request=each) for each in [*requests, new_id()])
        elif "{digest}" in endpoint.path:
            yield from (endpoint.path.format(digest=each) for each in [*digests, "sha256:none"])
        else:
            yield endpoint.path.format(sequence=0)


def pages(running: Running) -> Iterator[str]:
    """Yield the address of every page, of every request and snapshot."""
    requests = [each["request"] for each in msgspec.json.decode(running.api.client.get("/v1/requests"))["requests"]]
    for page in (each for each in PAGES if each.method == "GET"):
        for request in requests if "{request}" in page.path else [""]:
            for digest in sorted(snapshots(running)) if "{digest}" in page.path else [""]:
                if "{procedure}" in page.path:
                    yield from procedures(page.path)
                    continue
                names = {"sequence": 0, "action": "promote", "node": "n1", "invariant": "wal-prefix"}
                yield page.path.format(request=request, digest=digest, **names)


def answered(api: Api, path: str) -> str:
    """Return what the API answers, also where it refuses."""
    try:
        return api.client.get(path).decode()
    except AeroError as error:
        return f"{error.code} {error.message} {error.detail}"


@pytest.mark.parametrize("name", ["observer", "auditor"])
def test_no_answer_of_the_api_shows_what_the_role_may_not_see(marked: Running, secrets: list[str], name: str) -> None:
    """Evidence, notes, losses, reasons, errors: wherever a sensitive value could stand, it does not."""
    api, asked = Api(marked.layout, name), 0
    for path in routes(marked):
        if path in CONFIGURED or (name == "auditor" and OF_THE_LOG.match(path)):
            continue
        said, asked = answered(api, path), asked + 1
        assert [each for each in secrets if each in said] == [], (path, said)
    assert asked > 80
    assert REDACTED in answered(api, "/v1/status")


def posts(running: Running) -> Iterator[tuple[str, bytes]]:
    """Yield the path of every POST of the API, with a body that is as it should be, or is refused as malformed."""
    requests = [each["request"] for each in msgspec.json.decode(running.api.client.get("/v1/requests"))["requests"]]
    for endpoint in (each for each in ENDPOINTS if each.method == "POST"):
        body = b"{}"
        if endpoint.takes is Ask:
            body = canonical.encode(Ask(action="promote", target="n2", arguments={}, reason="to be read"))
        elif endpoint.takes is Confirm:
            body = canonical.encode(Confirm(signature="none"))
        for request in requests if "{request}" in endpoint.path else [""]:
            yield endpoint.path.format(request=request, session="0", credential="x"), body


@pytest.mark.parametrize("name", ["observer", "auditor"])
def test_no_answer_to_what_a_role_sends_shows_what_it_may_not_see(
    marked: Running, secrets: list[str], name: str
) -> None:
    """Whatever is asked for, confirmed, declined or asked about, allowed or refused."""
    api, sent = Api(marked.layout, name), 0
    for path, body in posts(marked):
        try:
            said = api.client.post(path, body, {"Idempotency-Key": new_id()}).decode()
        except AeroError as error:
            said = f"{error.code} {error.message} {error.detail}"
        sent += 1
        assert [each for each in secrets if each in said] == [], (path, said)
    assert sent > 30


@pytest.mark.parametrize("name", ["observer", "auditor"])
def test_no_page_shows_what_the_role_may_not_see(marked: Running, secrets: list[str], name: str) -> None:
    """Every page, of every request and every snapshot."""
    window, read = Window(marked, name).sign_in(), 0
    for path in pages(marked):
        if name == "auditor" and OF_THE_LOG.match(path):
            continue
        said, read = window.get(path).body.decode(), read + 1
        assert [each for each in secrets if each in said] == [], path
    assert read > 12


def test_what_an_observer_gets_of_a_plan_is_its_digest_and_its_results(marked: Running) -> None:
    """The same results and the same digest as the operator's, no text that could be signed, and no record's text."""
    planned = marked.api.ask("stop", "n2", reason="as it is")
    observer = Api(marked.layout, "observer")
    decision = canonical.decode(observer.client.get(f"/v1/requests/{planned.request}"), Decision)
    assert (decision.plan, decision.snapshot, decision.records, decision.proofs) == (None, None, (), ())
    assert decision.line.plan == planned.digest
    assert decision.shown is not None
    true = canonical.decode(planned.plan.encode(), Plan)
    assert not decision.shown.intact()
    assert [(each.invariant, each.result) for each in decision.shown.verdicts] == [
        (each.invariant, each.result) for each in true.verdicts
    ]
    evidence = [each.evidence for each in decision.shown.verdicts]
    assert evidence != [REDACTED] * len(evidence), "nothing at all is explained to an observer"
    assert [each.event for each in decision.events] == ["requested"]
    looked = canonical.decode(observer.client.get("/v1/explain?action=stop&target=n2"), Planned)
    assert (looked.plan, looked.accepted) == ("", True)


def test_the_operator_sees_everything(marked: Running, secrets: list[str]) -> None:
    """Nothing is taken from who must verify before they sign."""
    status = marked.api.status()
    assert isinstance(status, Status)
    body = marked.api.client.get("/v1/status").decode()
    assert REDACTED not in body
    assert [each for each in secrets if each in body]
