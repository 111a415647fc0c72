"""What the daemons say: one JSON line an event, the request's id in it, no secret, and nothing that depends on it."""

import io
import json
import signal
import sys
from typing import Any

import pytest

from aerodb.logs import _loggers, configure, say
from aerodb.transport.errors import Refused
from tests.faults.conftest import Running
from tests.faults.people import UNCONFIRMED, Api, new_id
from tests.faults.waiting import wait_until


def said(running: Running, name: str) -> list[dict[str, Any]]:
    """Return what a process has said; every line of it is JSON."""
    text = (running.layout.logs / f"{name}.log").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def events(running: Running, name: str, request: str) -> list[str]:
    """Return the events of one request."""
    return [line["event"] for line in said(running, name) if line.get("request") == request]


def test_a_request_is_told_by_both_daemons(shared: Running) -> None:
    """From the asking to the outcome, each line with the request's id."""
    planned = shared.api.ask("fence", "n3", for_="n1")
    shared.api.confirm(planned)
    assert events(shared, "control", planned.request) == [
        "request asked", "request planned", "request confirmed", "request dispatched", "request has its outcome"
    ]  # fmt: skip
    assert events(shared, "n3", planned.request) == ["order received", "order begun", "order ended"]
    first = [line["event"] for line in said(shared, "n3")[:3]]
    assert first == ["started", "listening", "PostgreSQL started with its agent, in its standing"]
    assert {line["service"] for line in said(shared, "control")} == {"control"}


def test_refusals_name_the_caller(shared: Running) -> None:
    """Who was refused, and why, with the request's id."""
    request = new_id()
    with pytest.raises(Refused):
        Api(shared.layout, "observer").ask("stop", "n3", request)
    line = next(line for line in said(shared, "control") if line["event"] == "caller refused")
    assert (line["caller"], line["code"]) == ("observer", "control.role-denied")
    assert "request refused" in events(shared, "control", request)
    with pytest.raises(Refused):
        shared.impostor.agent("n1", shared.layout.profile("operator")).get("/v1/events")
    assert any(line["event"] == "caller refused" for line in said(shared, "n1"))


def test_an_internal_failure_is_told_where_it_happened_and_nowhere_else(shared: Running) -> None:
    """The caller gets a problem without the inside of it; the service's own log has the traceback."""
    events_folder = shared.layout.node("n2") / "state" / "journal"
    request = new_id()
    (events_folder / f"{request}.ended.json").write_text("{", encoding="utf-8")
    shared.stage.kill("n2")
    shared.stage.start_agent("n2", leave_down=True)
    shared.stage.wait_for("n2")
    (events_folder / f"{request}.ended.json").unlink()
    with pytest.raises(Refused) as error:
        shared.impostor.agent("n2").post(f"/v1/outcomes/{request}", UNCONFIRMED)
    assert error.value.code == "control.internal"
    assert "Traceback" not in error.value.message
    assert ".ended.json" not in error.value.message
    line = next(line for line in said(shared, "n2") if line["event"] == "internal failure")
    assert "Traceback" in line["exception"]
    assert "FileNotFoundError" in line["exception"]
    assert request in line["path"]


def test_no_secret_is_said(shared: Running) -> None:
    """No password, key or signature is in any log."""
    secrets = [path.read_text(encoding="utf-8").splitlines()[1] for path in shared.layout.root.rglob("*.key")]
    secrets += [line for path in shared.layout.root.rglob("*pass*") if path.is_file()
                for line in path.read_text(encoding="utf-8").split(":")[-1:]]  # fmt: skip
    assert len(secrets) > 6
    for log in shared.layout.logs.iterdir():
        text = log.read_text(encoding="utf-8")
        assert not any(secret.strip() in text for secret in secrets)
        assert "SSH SIGNATURE" not in text


def test_a_daemon_says_that_it_ends(shared: Running) -> None:
    """The signal is named; and a log that holds anything is verified once more before it is sealed."""
    lapsing = shared.api.ask("fence", "n3", for_="n1").request
    process, before = shared.stage.process("control"), len(said(shared, "control"))
    process.send_signal(signal.SIGTERM)
    wait_until(lambda: process.poll() is not None)
    since = said(shared, "control")[before:]
    shared.stage.start_control()
    shared.stage.wait_for("control")
    assert (since[0]["event"], since[0]["signal"]) == ("ending", "SIGTERM")
    assert since[-1]["event"] == "log verified"
    assert [line["event"] for line in since if line.get("request") == lapsing] == ["request lapsed"]


def test_text_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same events as readable lines; and nothing at all where nobody asked for logs."""
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stdout", screen)
    say("unheard")
    configure("text", "n1")
    try:
        say("order begun", request="r1")
        say("internal failure", failure=ValueError("why"))
    finally:
        _loggers.clear()
    assert "unheard" not in screen.getvalue()
    assert "order begun" in screen.getvalue()
    assert "request=r1" in screen.getvalue()
    assert "ValueError: why" in screen.getvalue()


class _Full(io.StringIO):
    def write(self, text: str, /) -> int:
        raise OSError(28, "No space left on device", text[:0])


def test_a_log_that_cannot_be_written_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk behind standard output stops nothing."""
    monkeypatch.setattr(sys, "stdout", _Full())
    configure("json", "n1")
    try:
        say("order begun", request="r1")
    finally:
        _loggers.clear()
