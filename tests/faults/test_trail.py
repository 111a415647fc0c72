"""Who tries what they may not leaves one record, however it was tried; and a trace on nothing else."""

import json
from pathlib import Path

import pytest

from aerodb.api.routes import ENDPOINTS
from aerodb.audit.record import Record, decode_record
from aerodb.local.person import Person
from aerodb.protocol import canonical
from aerodb.protocol.api import Ask, Confirm
from aerodb.protocol.credentials import Register
from aerodb.transport.client import Client
from aerodb.transport.errors import Refused
from aerodb.transport.tls import tls_in
from aerodb.web.site import PAGES
from tests.faults.conftest import Running
from tests.faults.people import Api, new_id
from tests.faults.test_web import Window
from tests.unit.protocol.authenticator import SoftAuthenticator

BODIES = {
    "/v1/requests": Ask(action="stop", target="n3", arguments={}, reason="a test"),
    "/v1/requests/{request}/confirmation": Confirm(signature="x"),
    "/v1/requests/{request}/signature": Confirm(signature="x"),
    "/v1/authenticators": Register(response="{}"),
}
ALLOWED = {"/v1/sessions"}
"""Everyone who is enrolled may sign in."""
POSTS = [each.path for each in ENDPOINTS if each.method == "POST" and each.path not in ALLOWED]
FORMS = {"/requests": {"action": "stop", "target": "n3", "reason": "a test"}}


@pytest.fixture(scope="module")
def request_id(shared: Running) -> str:
    """Return the id of a request of the operator's that awaits its confirmation."""
    return shared.api.ask("stop", "n3").request


def records(running: Running) -> list[Record]:
    """Return every record of the log, read as the operator, but for what reading owes."""
    found = json.loads(running.api.client.get("/v1/audit/records"))["records"]
    return [decode_record(each["record"].encode()) for each in found]


@pytest.mark.parametrize("person", ["observer", "auditor"])
@pytest.mark.parametrize("path", POSTS)
def test_every_post_that_is_denied_leaves_one_record(shared: Running, request_id: str, path: str, person: str) -> None:
    """Whatever the API takes: the role's refusal is recorded once, and the record says who it was."""
    before = len(records(shared))
    named = path.replace("{request}", request_id)
    body = canonical.encode(BODIES[path]) if path in BODIES else b"{}"
    with pytest.raises(Refused) as error:
        Api(shared.layout, person).client.post(named, body, {"Idempotency-Key": new_id()})
    assert (error.value.code, error.value.executed) == ("control.role-denied", "not executed")
    (left,) = records(shared)[before:]
    assert (left.event, left.code, left.result) == ("refused", "control.role-denied", "not executed")
    assert left.message.startswith(f"{person} is an {person}")
    assert (left.request == request_id) == ("{request}" in path)


@pytest.mark.parametrize("path", [each.path for each in PAGES if each.method == "POST"])
def test_every_form_that_is_denied_leaves_one_record(shared: Running, request_id: str, path: str) -> None:
    """In the browser too: an observer may look, and everything that a form of theirs would do is refused."""
    window = Window(shared, "observer").sign_in()
    response = SoftAuthenticator().confirms(b"x")
    fields = {"token": window.token(), "id": new_id(), "response": response, "typed": "n3", **FORMS.get(path, {})}
    before = len(records(shared))
    answer = window.post(path.replace("{request}", request_id), fields)
    assert (answer.status, b"control.role-denied" in answer.body) == (403, True)
    (left,) = records(shared)[before:]
    assert (left.event, left.code) == ("refused", "control.role-denied")
    assert left.message.startswith("observer is an observer")


def test_looking_in_vain_leaves_none(shared: Running, request_id: str) -> None:
    """A denied GET changes nothing, the log included."""
    before = len(records(shared))
    observer = Api(shared.layout, "observer").client
    for path in ("/v1/audit/records", "/v1/status?sensitive=1", f"/v1/requests/{request_id}/evidence"):
        with pytest.raises(Refused) as error:
            observer.get(path)
        assert error.value.code == "control.role-denied"
    assert len(records(shared)) == before


def test_nobody_changes_what_a_request_is_by_being_refused(shared: Running, tmp_path: Path) -> None:
    """It stays planned, is told as such, is confirmed, and its evidence verifies: with every refusal in it."""
    planned = shared.api.ask("follow", "n3", upstream="n1")
    body = canonical.encode(Confirm(signature="x"))
    callers = [Api(shared.layout, name).client for name in ("observer", "auditor", "operator")]
    control = shared.stage.cluster.control
    callers += [Client(control, tls_in(folder), "control", 60) for folder in (shared.layout.node("n1"),)]
    for caller in callers:
        for path in ("confirmation", "outcome"):
            with pytest.raises(Refused):
                caller.post(f"/v1/requests/{planned.request}/{path}", body)
    assert shared.api.decision(planned.request).line.state == "planned"
    with pytest.raises(Refused, match="what became of it: requested"):
        shared.api.ask("follow", "n3", planned.request, upstream="n1")
    assert shared.api.confirm(planned).result == "executed"
    with pytest.raises(Refused):
        callers[0].post(f"/v1/requests/{planned.request}/outcome", b"{}")
    decision = shared.api.decision(planned.request)
    assert (decision.line.state, decision.line.code) == ("executed", "")
    held = [decode_record(each.record.encode()) for each in decision.records]
    denied = [each for each in held if each.code in {"control.role-denied", "control.caller-unknown"}]
    said = [each.message.partition(" ")[0] for each in denied]
    assert said == ["observer", "observer", "auditor", "auditor", "n1", "n1", "observer"]
    operator = Person(shared.layout.profile("operator"), lambda _: None, colour=False)
    file = tmp_path / "evidence.json"
    assert operator.types("audit", "evidence", planned.request, "--output", str(file)).code == 0
    verified = operator.types("audit", "verify", str(file), "--cluster", str(shared.layout.control / "cluster.json"))
    assert verified.code == 0, verified.text


def test_a_name_that_is_no_request_is_kept_out_of_the_log(shared: Running) -> None:
    """What a caller makes up as a request's name is no request of the log's, by the API or in the browser.

    It is an auditor, since the log takes no more refusals of the observer, who has had so many here.
    """
    with pytest.raises(Refused):
        Api(shared.layout, "auditor").client.post("/v1/requests/anything/outcome", b"{}")
    window = Window(shared, "auditor").sign_in()
    assert window.post("/requests/anything/outcome", {"token": window.token()}).status == 403
    for left in [each for each in records(shared) if each.event == "refused"][-2:]:
        assert (left.request, left.operator, left.code) == ("", "auditor", "control.role-denied")
