"""Traces on a real cluster: one request is one connected trace, and nothing rests on anybody collecting it."""

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from aerodb.local.size import free_ports
from aerodb.protocol import canonical
from aerodb.protocol.api import Ask, Confirm, Done, Planned
from aerodb.protocol.sshsig import sign_with_key
from aerodb.transport.errors import Refused
from tests.faults.behind import serves
from tests.faults.collector import Received, collecting
from tests.faults.conftest import Ground, Running
from tests.faults.keyboard import typed
from tests.faults.people import Api, new_id, operator_key
from tests.faults.test_web import Window
from tests.faults.waiting import SECONDS_MAX, wait_until

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
REASON = "a reason that no span may hold"
REPORT, ORDER = "GET /v1/report", "POST /v1/orders"
ALIVE = "GET /v1/checkpoint"
"""The cheap call that an agent is asked first where it has been idle: how many there are depends on that."""
HOUR_MILLISECONDS = "3600000"
ATTRIBUTES = {"aerodb.request", "aerodb.action", "aerodb.node", "aerodb.outcome", "aerodb.code", "aerodb.event"}


@dataclass(frozen=True, kw_only=True)
class Traced:
    """What a collector was sent by a cluster that ended cleanly, and what its people did before."""

    spans: list[Received]
    typed: str
    request: str
    refused: str
    bodies: bytes
    signature: str

    def of(self, request: str) -> list[Received]:
        """Return the spans of the trace that holds a request."""
        traces = {span.trace for span in self.spans if span.attributes.get("aerodb.request") == request}
        return [span for span in self.spans if span.trace in traces]


def fence(api: Api) -> tuple[str, str]:
    """Fence n3, as a caller who traces; return the request and the signature."""
    named = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
    body = canonical.encode(Ask(action="fence", target="n3", arguments={"for": "n1"}, reason=REASON))
    request, answer = api.asked(body, named)
    signature = sign_with_key(operator_key(api.layout), canonical.decode(answer, Planned).plan.encode())
    path = f"/v1/requests/{request}/confirmation"
    done = canonical.decode(api.client.post(path, canonical.encode(Confirm(signature=signature)), named), Done)
    assert done.result == "executed", done
    return request, signature


def ask_in_vain(api: Api, request: str) -> None:
    """Ask for what the person may not ask for, and name a span that is none."""
    body = canonical.encode(Ask(action="stop", target="n3", arguments={}, reason=REASON))
    with pytest.raises(Refused) as error:
        api.client.post("/v1/requests", body, {"Idempotency-Key": request, "traceparent": "00-nonsense\t-\xff"})
    assert error.value.code == "control.role-denied"


def call_every_sort(running: Running) -> None:
    """Call what is no step of a request's life: a description, a text, a stream, numbers, health."""
    auditor = Api(running.layout, "auditor").client
    for path in ("/v1/openapi.json", "/v1/audit/checkpoint", "/v1/audit/export", "/metrics"):
        auditor.get(path)
    wait_until(lambda: serves(running, "n1", "/primary") == "primary")
    running.impostor.agent("n1").get("/metrics")
    running.impostor.agent("n1").get("/v1/events")


@pytest.fixture(scope="module")
def traced(ground: Ground) -> Traced:
    """Return what was collected; nothing is due for an hour, so that only a clean end can have sent it."""
    with collecting() as collector, pytest.MonkeyPatch.context() as environment:
        environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
        environment.setenv("OTEL_BSP_SCHEDULE_DELAY", HOUR_MILLISECONDS)
        running = ground.begin()
        said = typed(running.layout.profile("operator"), ["checkpoint", "n2", "--reason", REASON], "n2")
        call_every_sort(running)
        refused = new_id()
        request, signature = fence(running.api)
        ask_in_vain(Api(running.layout, "observer"), refused)
        assert Window(running).sign_in().get("/").status == 200
        assert {span.service for span in collector.spans()} == {"aerodb-cli"}
        running.stage.stop()
        ground.end()
        return Traced(
            spans=collector.spans(), typed=said, request=request, refused=refused, signature=signature,
            bodies=b"".join(collector.bodies),
        )  # fmt: skip


def test_a_request_is_one_trace_from_the_api_to_the_operation(traced: Traced) -> None:
    """Each step is a child of the one that made it, across both processes, under the caller's own span."""
    spans = traced.of(traced.request)
    assert {span.trace for span in spans} == {TRACE}
    names = {span.id: span.name for span in spans} | {CALLER: "caller"}
    edges = [
        (names[each.parent], each.service.removeprefix("aerodb-"), each.name) for each in spans if each.name != ALIVE
    ]
    ask, confirm = "POST /v1/requests", "POST /v1/requests/{request}/confirmation"
    reports = [("snapshot", "agent", REPORT)] * 6  # Three nodes, each read twice.
    assert sorted(edges) == sorted([
        ("caller", "control", ask), (ask, "control", "ask"), ("ask", "control", "snapshot"), *reports,
        ("ask", "control", "explain"), ("ask", "control", "record"),
        ("caller", "control", confirm), (confirm, "control", "confirm"), ("confirm", "control", "record"),
        ("confirm", "control", "dispatch"), ("dispatch", "agent", ORDER),
        ("dispatch", "control", "late"), ("late", "agent", REPORT), ("late", "agent", REPORT),
        (ORDER, "agent", "locks"), (ORDER, "agent", "locks"), (ORDER, "agent", "judge"), (ORDER, "agent", "operate"),
        ("dispatch", "control", "record"),
    ])  # fmt: skip
    assert not any(span.failed for span in spans)


def test_a_command_is_one_trace_from_the_terminal_to_the_operation(traced: Traced) -> None:
    """Asking, checking and confirming are one trace, through three sorts of processes, under the command's own span."""
    command = next(span for span in traced.spans if span.name == "aerodb checkpoint")
    spans = [span for span in traced.spans if span.trace == command.trace]
    assert (command.parent, command.service) == ("", "aerodb-cli")
    names = {span.id: span.name for span in spans}
    edges = [(names[span.parent], span.service.removeprefix("aerodb-"), span.name) for span in spans if span.parent]
    confirm = "POST /v1/requests/{request}/confirmation"
    calls = [(name, where, child) for name, where, child in edges if name == command.name]
    assert sorted(calls) == sorted([
        (command.name, "control", "POST /v1/requests"), (command.name, "control", "GET /v1/requests/{request}"),
        (command.name, "control", "GET /v1/audit/comparison"), (command.name, "control", confirm),
    ])  # fmt: skip
    assert {("dispatch", "agent", ORDER), (ORDER, "agent", "operate")} <= set(edges)
    request = command.attributes["aerodb.request"]
    assert request in traced.typed
    assert {span.trace for span in traced.of(request)} == {command.trace}
    assert (command.attributes["aerodb.node"], command.attributes["aerodb.outcome"]) == ("n2", "executed")


def test_every_sort_of_call_is_a_span(traced: Traced) -> None:
    """A text, a stream, numbers and health are calls too."""
    called = {(span.instance, span.name) for span in traced.spans}
    api = {"GET /v1/openapi.json", "GET /v1/audit/checkpoint", "GET /v1/audit/export", "GET /metrics"}
    assert {("control", name) for name in api} <= called
    assert {("n1", "GET /primary"), ("n1", "GET /metrics"), ("n1", "GET /v1/events")} <= called


def test_spans_say_what_was_done_where(traced: Traced) -> None:
    """The request's id, the action, the node, the outcome."""
    spans = {span.name: span for span in traced.of(traced.request)}
    about = {"aerodb.request": traced.request, "aerodb.action": "fence", "aerodb.node": "n3"}
    assert spans[ORDER].attributes == {**about, "aerodb.outcome": "executed"}
    assert spans["operate"].attributes == about
    assert spans["ask"].attributes == about
    assert spans["explain"].attributes["aerodb.outcome"] == "accepted"
    assert spans["dispatch"].attributes["aerodb.outcome"] == "executed"
    assert (spans[ORDER].instance, spans["dispatch"].instance) == ("n3", "control")


def test_a_refusal_is_marked_with_its_code(traced: Traced) -> None:
    """On every span that it left; and a caller who names no span that is one begins a trace of their own."""
    spans = {span.name: span for span in traced.of(traced.refused)}
    assert set(spans) == {"POST /v1/requests", "ask", "record"}
    assert spans["POST /v1/requests"].trace != TRACE
    for name in ("POST /v1/requests", "ask"):
        assert spans[name].failed
        assert spans[name].attributes["aerodb.code"] == "control.role-denied"


def test_a_page_is_a_trace_of_its_own(traced: Traced) -> None:
    """From the page to every agent that was looked at for it."""
    page = next(span for span in traced.spans if span.name == "page GET /")
    inside = [span for span in traced.spans if span.trace == page.trace and span is not page]
    assert page.parent == ""
    looked = {(span.name, span.instance) for span in inside if span.name != ALIVE}
    assert looked == {(REPORT, name) for name in ("n1", "n2", "n3")}


def test_no_secret_is_in_a_span(traced: Traced) -> None:
    """No reason, no signature, and no attribute beyond those that are meant."""
    assert {name for span in traced.spans for name in span.attributes} <= ATTRIBUTES
    assert traced.request.encode() in traced.bodies
    for hidden in (REASON, "SSH SIGNATURE", traced.signature.splitlines()[1]):
        assert hidden.encode() not in traced.bodies


def loaded(process: subprocess.Popen[bytes]) -> bool:
    """Tell whether a process has loaded what encodes spans: its library shows in the memory map."""
    with open(f"/proc/{process.pid}/maps", encoding="utf-8") as maps:  # noqa: PTH123 - not a file on any disk.
        return "google/_upb" in maps.read()


def test_nobody_listens_and_nothing_is_disturbed(
    ground: Ground, ports_from: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request is executed where spans go nowhere, and the daemons end as cleanly as ever."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_ports(1, ports_from + 600)[0]}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    running = ground.begin()
    assert loaded(running.stage.process("n3"))
    running.api.do("fence", "n3", for_="n1")
    log = running.layout.logs / "n3.log"
    wait_until(lambda: "library warns" in log.read_text(encoding="utf-8"))
    process = running.stage.process("n3")
    process.send_signal(signal.SIGTERM)
    assert process.wait(SECONDS_MAX) == 0
    assert all(json.loads(line)["event"] for line in log.read_text(encoding="utf-8").splitlines())
    ground.end()


def test_a_collector_that_never_answers_holds_up_no_end(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request is executed, and a daemon's end waits its two seconds, not the ten minutes that the export may take."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        mute.settimeout(SECONDS_MAX)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{mute.getsockname()[1]}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "600")
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        running = ground.begin()
        running.api.do("fence", "n3", for_="n1")
        with mute.accept()[0]:
            process = running.stage.process("n3")
            process.send_signal(signal.SIGTERM)
            assert process.wait(SECONDS_MAX) == 0
    ground.end()


SECRETS = ("open-sesame", "swordfish")


def test_headers_that_hold_secrets_are_never_printed(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is no header and one that cannot be sent: neither daemon nor command shows anything of them."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"Bearer {SECRETS[0]},authorization=Bearer%0A{SECRETS[1]}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
        running = ground.begin()
        shown = typed(running.layout.profile("operator"), ["checkpoint", "n2", "--reason", REASON], "n2")
        logs = [running.layout.logs / f"{name}.log" for name in ("n2", "control")]
        wait_until(lambda: all("Failed to export" in _warned(log) for log in logs))
        assert all("Header format invalid" in _warned(log) for log in logs)
        texts = [shown, *(path.read_text(encoding="utf-8") for path in running.layout.logs.glob("*.log"))]
    ground.end()
    for secret in SECRETS:
        assert not any(secret in text for text in texts)


def _warned(log: Path) -> str:
    """Return the lines in which a daemon tells what a library warns of."""
    return "\n".join(line for line in log.read_text(encoding="utf-8").splitlines() if "library warns" in line)


WITHOUT = "import sys; sys.modules['opentelemetry'] = None; from aerodb.cli.main import main; main()"


def test_the_extra_is_missing(fresh: Running) -> None:
    """A daemon that was told where spans go and cannot make any says so, in one line, and works."""
    assert not loaded(fresh.stage.process("n3"))
    fresh.stage.kill("n3")
    log = fresh.layout.logs / "without.log"
    with log.open("wb") as output:
        fresh.stage._processes["n3"] = subprocess.Popen(
            [sys.executable, "-c", WITHOUT, "agent", "--leave-down", "--folder", fresh.layout.node("n3").resolve()],
            stdout=output, stderr=output, env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"},
        )  # fmt: skip
    fresh.stage.wait_for("n3")
    fresh.api.do("fence", "n3", for_="n1")
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert ["aerodb[otel]" in line["event"] for line in lines].count(True) == 1
    looked = subprocess.run(
        [sys.executable, "-c", WITHOUT, "--profile", fresh.layout.profile("operator"), "status"],
        env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert looked.stderr == "No trace is made: the extra aerodb[otel] is not installed.\n"


UNTRACED = """
import sys
import aerodb.api.service, aerodb.assembly, aerodb.control.plane, aerodb.kernel.service
from aerodb import tracing
tracing.configure("aerodb-agent", "cluster", "n1")
headers = {}
with tracing.extract({"traceparent": "00-%s-%s-01"}), tracing.span("order"):
    tracing.note(request="r1")
    tracing.inject(headers)
tracing.finish()
from aerodb.cli.commands import run
from aerodb.cli.session import Session
assert run(["--profile", "/nowhere", "status"], Session()) != 0
print(headers, [name for name in sys.modules if name.partition(".")[0] in {"opentelemetry", "google", "requests"}])
"""


def test_untold_nothing_is_loaded() -> None:
    """Where no endpoint is named, a fresh process loads nothing of OpenTelemetry, and names no span to anybody."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    program = [sys.executable, "-c", UNTRACED % (TRACE, CALLER)]
    ended = subprocess.run(program, env=environment, capture_output=True, text=True, check=True)
    assert ended.stdout == "{} []\n"


def test_what_is_configured_wrongly_stops_no_daemon() -> None:
    """Told in the log, with the failure, and nothing is traced."""
    program = (
        "from aerodb import logs, tracing; logs.configure('json', 'n1'); tracing.configure('aerodb-agent', 'c', 'n1')\n"
        "with tracing.span('order'): tracing.finish()"
    )
    wrong = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "-1"}
    ended = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **wrong}, capture_output=True, text=True, check=True
    )
    assert "traces are configured and not made" in ended.stdout
