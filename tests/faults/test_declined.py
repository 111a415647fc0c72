"""Requests whose plan nobody confirms: declined or lapsed, on record, and never offered for a confirmation again."""

import signal
from pathlib import Path

import pytest

from aerodb.audit.record import decode_record
from aerodb.local.person import Person
from aerodb.protocol import canonical
from aerodb.protocol.api import Requests
from aerodb.transport.errors import Refused
from tests.faults.conftest import Running
from tests.faults.people import Api
from tests.faults.test_web import Window
from tests.faults.waiting import wait_until


def lines(running: Running) -> dict[str, tuple[str, dict[str, str]]]:
    """Return state and arguments of each request in the list, by its id."""
    found = canonical.decode(running.api.client.get("/v1/requests"), Requests).requests
    return {each.request: (each.state, each.arguments) for each in found}


def person(running: Running, name: str = "operator") -> Person:
    """Return somebody at a terminal."""
    return Person(running.layout.profile(name), lambda _: None, colour=False)


def offered(running: Running, request: str) -> list[str]:
    """Return where a request's plan is still offered for a confirmation: web, terminal, API."""
    found = []
    page = Window(running).sign_in().get(f"/requests/{request}").body
    if b"Decline" in page or b"data-confirm" in page or b"aerodb confirm" in page:
        found.append("web")
    if "To confirm, type" in person(running).types("confirm", request, answer="").text:
        found.append("terminal")
    if running.api.decision(request).line.state == "planned":
        found.append("api")
    return found


def test_a_declined_plan_is_never_offered_again(shared: Running) -> None:
    """What its requester turned down stays turned down: in a list, in the browser, at a terminal, by its evidence."""
    planned = shared.api.ask("follow", "n3", upstream="n1")
    assert lines(shared)[planned.request] == ("planned", {"upstream": "n1"})
    said = person(shared).types("confirm", planned.request, answer="no")
    assert (said.code, "DECLINED" in said.text) == (1, True)
    assert shared.api.events(planned.request) == ["requested", "declined"]
    assert lines(shared)[planned.request] == ("declined", {"upstream": "n1"})
    with pytest.raises(Refused) as error:
        shared.api.confirm(planned)
    assert (error.value.code, error.value.executed) == ("control.plan-not-pending", "not executed")
    assert offered(shared, planned.request) == []
    assert lines(shared)[planned.request][0] == "declined"
    listed = person(shared).types("requests", "--limit", "1").text
    assert "upstream n1" in listed
    assert "declined" in listed


def test_only_the_requester_declines_and_once(shared: Running) -> None:
    """Whoever else tries is refused and recorded, and the plan still awaits; the second decline finds nothing."""
    planned = shared.api.ask("stop", "n3")
    path = f"/v1/requests/{planned.request}/decline"
    for name in ("observer", "auditor"):
        with pytest.raises(Refused) as error:
            Api(shared.layout, name).client.post(path, b"{}")
        assert error.value.code == "control.role-denied"
    assert shared.api.events(planned.request) == ["requested", "refused", "refused"]
    assert lines(shared)[planned.request][0] == "planned"
    window = Window(shared).sign_in()
    assert b"Decline" in window.get(f"/requests/{planned.request}").body
    assert window.post(f"/requests/{planned.request}/decline", {"token": window.token()}).status == 303
    with pytest.raises(Refused) as error:
        shared.api.client.post(path, b"{}")
    assert error.value.code == "control.plan-not-pending"
    assert lines(shared)[planned.request][0] == "declined"
    page = window.get(f"/requests/{planned.request}").body
    assert b"it was declined" in page
    assert b"/decline" not in page


def test_evidence_of_a_declined_request_verifies(shared: Running, tmp_path: Path) -> None:
    """The decision's file proves that it was declined, with no server."""
    planned = shared.api.ask("stop", "n3")
    shared.api.client.post(f"/v1/requests/{planned.request}/decline", b"{}")
    file, profile = tmp_path / "evidence.json", shared.layout.profile("operator")
    assert person(shared).types("audit", "evidence", planned.request, "--output", str(file)).code == 0
    said = person(shared).types("audit", "verify", str(file), "--cluster", str(profile / "cluster.json"))
    assert said.code == 0, said.text
    assert "declined, as the control plane recorded it" in " ".join(said.text.split())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["ended", "killed"])
def test_a_plan_lapses_with_its_process_and_is_never_offered_again(fresh: Running, number: int) -> None:
    """Whether the process ended or was killed: it is shown as lapsed at once, and recorded so, once."""
    planned, done = fresh.api.ask("stop", "n3"), fresh.api.ask("follow", "n3", upstream="n2")
    rejected = fresh.api.ask("promote", "n3")
    assert fresh.api.confirm(done).result == "executed"
    for _ in range(2):
        process = fresh.stage.process("control")
        process.send_signal(number)
        process.wait(60)
        fresh.stage.start_control()
        fresh.stage.wait_for("control")
        assert lines(fresh)[planned.request] == ("lapsed", {})
        wait_until(lambda: fresh.api.events(planned.request) == ["requested", "lapsed"])
    record = decode_record(fresh.api.decision(planned.request).records[1].record.encode())
    assert (record.operator, record.target, record.plan) == ("operator", "n3", planned.digest)
    assert offered(fresh, planned.request) == []
    assert lines(fresh)[done.request] == ("executed", {"upstream": "n2"})
    assert lines(fresh)[rejected.request][0] == "rejected"
