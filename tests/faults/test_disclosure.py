"""Who is shown what, on a real cluster: redactions are visible, a sensitive read leaves exactly one record."""

import os
import re
from collections.abc import Callable
from contextlib import suppress

import msgspec
import pytest

from aerodb.api.routes import ENDPOINTS
from aerodb.audit.evidence import examine
from aerodb.audit.store import verify_export
from aerodb.audit.trust import Trust
from aerodb.errors import AeroError
from aerodb.protocol import canonical
from aerodb.protocol.api import Decision, Found, Requests, Status
from aerodb.protocol.classification import REDACTED
from aerodb.protocol.plan import Plan
from aerodb.protocol.timeline import Timeline
from aerodb.transport.errors import Refused
from tests.faults.conftest import Running
from tests.faults.people import Api
from tests.faults.test_web import Window


def person(running: Running, name: str) -> Api:
    """Return one of the cluster's people."""
    return Api(running.layout, name)


def size(running: Running) -> int:
    """Return how many records the log has."""
    return canonical.decode(person(running, "observer").client.get("/v1/status"), Status).log_size


def last_event(running: Running) -> dict[str, object]:
    """Return the newest record."""
    found = canonical.decode(running.api.client.get("/v1/audit/search?limit=1"), Found)
    record: dict[str, object] = msgspec.json.decode(found.records[0].record)
    return record


def reads(running: Running, call: Callable[[], object]) -> int:
    """Return how many records a call leaves."""
    before = size(running)
    call()
    return size(running) - before


@pytest.fixture(scope="module")
def request_id(shared: Running) -> str:
    """Return a request that the operator asked for and did not confirm."""
    return shared.api.ask("stop", "n2", reason="Maintenance of the Rack").request


@pytest.mark.parametrize("name", ["observer", "auditor"])
def test_others_see_the_cluster_with_redactions_that_say_so(shared: Running, name: str) -> None:
    """No signed report, no address, no folder; each is marked in its place and named by its path."""
    body = person(shared, name).client.get("/v1/status")
    status = canonical.decode(body, Status)
    assert status.snapshot.reports == {}
    assert {"n1.instance.folder", "n2.instance.folder", "n2.instance.receiver.upstream"} <= set(status.redacted)
    instance = status.facts["n2"].instance
    assert instance is not None
    assert instance.receiver is not None
    assert instance.receiver.upstream == instance.folder == REDACTED
    for member in shared.layout.cluster().members:
        assert f":{member.postgres_port}".encode() not in body
    assert len(status.matrix) > 0


def test_an_operator_verifies_the_nodes_signatures_and_leaves_no_record(shared: Running) -> None:
    """The operator's look carries what the nodes signed, and is not recorded."""
    assert reads(shared, shared.api.status) == 0
    assert set(shared.api.status().snapshot.reports) == {"n1", "n2", "n3"}


def test_no_get_but_a_sensitive_read_leaves_a_record(shared: Running, request_id: str) -> None:
    """Every GET of the API, by the operator and the auditor, refused or answered: the log stays as it was."""
    plan = canonical.decode((shared.api.decision(request_id).plan or "").encode(), Plan)
    values = {"request": request_id, "sequence": 0, "digest": plan.snapshot, "procedure": "maintenance"}
    paths = [each.path.format(**values) for each in ENDPOINTS if each.method == "GET"]
    paths = [path for path in paths if not path.endswith(("/explain", "/evidence"))]
    paths += ["/v1/procedures/maintenance?node=n2&reason=x", "/v1/explain?action=stop&target=n2"]
    paths += ["/v1/audit/checkpoint", "/v1/openapi.json"]
    assert len(paths) > 10
    for name in ("operator", "auditor"):
        for path in paths:
            before = size(shared)
            with suppress(Refused):
                person(shared, name).client.get(path)
            assert size(shared) == before, path


def test_an_auditor_s_sensitive_reads_leave_one_record_each(shared: Running, request_id: str) -> None:
    """The signed reports, a snapshot, the evidence and the export: shown whole, and the reading on record."""
    auditor = person(shared, "auditor").client
    for path, what in (
        ("/v1/status?sensitive=1", "status"),
        (f"/v1/requests/{request_id}?sensitive=1", "snapshot"),
        (f"/v1/requests/{request_id}/evidence", "evidence"),
        ("/v1/audit/export", "export"),
    ):
        assert reads(shared, lambda path=path: auditor.get(path)) == 1  # type: ignore[misc]
        record = last_event(shared)
        assert (record["event"], record["operator"]) == ("read", "auditor")
        arguments = record["arguments"]
        assert isinstance(arguments, dict)
        assert arguments["read"] == what
    export = auditor.lines("/v1/audit/export")  # Line by line, as it comes, it is the same.
    assert verify_export(export, shared.cluster.log_key).size == size(shared)
    hidden = canonical.decode(auditor.get(f"/v1/requests/{request_id}"), Decision)
    assert (hidden.snapshot, hidden.redacted) == (None, ("snapshot",))
    assert shared.api.decision(request_id).snapshot is not None


def test_an_observer_is_refused_what_is_sensitive(shared: Running, request_id: str) -> None:
    """Asked for outright, it is refused by name; nothing is recorded, for nothing was read."""
    observer = person(shared, "observer").client
    before = size(shared)
    paths = ("/v1/status?sensitive=1", f"/v1/requests/{request_id}?sensitive=1", f"/v1/requests/{request_id}/evidence",
             "/v1/audit/export", "/v1/audit/search", "/v1/audit/records/0")  # fmt: skip
    for path in paths:
        with pytest.raises(AeroError) as refused:
            observer.get(path)
        assert refused.value.code == "control.role-denied"
    assert size(shared) == before


def test_what_cannot_be_recorded_is_not_shown_and_the_operator_still_sees(shared: Running, request_id: str) -> None:
    """With a log that cannot be written, sensitive reads are refused; the operator's look and the decisions work."""
    database = shared.layout.control / "log" / "log.db"
    was = database.stat()
    os.utime(database, ns=(was.st_atime_ns, was.st_mtime_ns + 1))
    try:
        for path in ("/v1/status?sensitive=1", f"/v1/requests/{request_id}/evidence", "/v1/audit/export"):
            with pytest.raises(AeroError) as refused:
                person(shared, "auditor").client.get(path)
            assert refused.value.code == "control.log-replaced"
        assert not shared.api.status().log_writable
        assert shared.api.decision(request_id).snapshot is not None
    finally:
        os.utime(database, ns=(was.st_atime_ns, was.st_mtime_ns))


def test_the_evidence_of_a_real_request_verifies(shared: Running) -> None:
    """A request that a real agent executed is proven from end to end by the configuration alone."""
    done = shared.api.do("fence", "n3", for_="n3")
    body = person(shared, "auditor").client.get(f"/v1/requests/{done.request}/evidence")
    said = " ".join(examine(body, Trust(clusters=(shared.layout.cluster(),))).sentences)
    assert "operator signed exactly this plan" in said
    assert "executed, signed by the agent of n3" in said


def test_requests_and_records_are_found_page_by_page(shared: Running, request_id: str) -> None:
    """Over the real API: by the reason's words and the id's beginning; a query that is malformed is named."""
    client = shared.api.client
    shared.api.ask("stop", "n3", reason="another one")
    found = canonical.decode(client.get("/v1/audit/search?text=of%20the%20rack&node=n2"), Found)
    assert [msgspec.json.decode(each.record)["request"] for each in found.records] == [request_id]
    assert canonical.decode(client.get(f"/v1/audit/search?request={request_id[:8]}"), Found).records == found.records
    page = canonical.decode(client.get("/v1/requests?limit=1"), Requests)
    assert len(page.requests) == 1
    older = canonical.decode(client.get(f"/v1/requests?limit=1&before={page.next}"), Requests)
    assert older.requests[0] != page.requests[0]
    for query, field in (("since=yesterday", "since"), ("colour=red", "colour"), ("before=x", "before")):
        with pytest.raises(AeroError) as refused:
            client.get(f"/v1/audit/search?{query}")
        assert refused.value.field == field


@pytest.mark.parametrize("name", ["observer", "auditor", "operator"])
def test_pages_of_the_past_redact_as_the_api_does(fresh: Running, name: str) -> None:
    """The timeline and the cluster as of then show nobody unasked what a node's address or an event's text is."""
    fresh.api.do("follow", "n3", upstream="n2")
    fresh.stage.kill("n2")
    planned = fresh.api.ask("stop", "n3")
    digest = canonical.decode(planned.plan.encode(), Plan).snapshot
    address = fresh.cluster.member("n2").agent
    window = Window(fresh, name).sign_in()
    before = size(fresh)
    sensitive = canonical.decode(person(fresh, "auditor").client.get("/v1/timeline?sensitive=1"), Timeline)
    shown = canonical.decode(person(fresh, name).client.get("/v1/timeline"), Timeline)
    hidden = {each.after for each in sensitive.entries} - {each.after for each in shown.entries}
    assert hidden  # Where a standby streams from, with its address.
    assert address in sensitive.missing["n2"]
    pages = [window.get("/timeline").body.decode(), window.get(f"/as-of/{digest}").body.decode()]
    assert size(fresh) == before + 1  # What the auditor read above.
    assert REDACTED in pages[0]
    assert not [text for text in hidden if text in pages[0]]
    assert address not in pages[0]
    said = re.search("n2 could not be observed: ([^<]*)", pages[1])  # Verdicts say it too, and are public.
    assert said
    assert (address in said[1]) == (name == "operator")  # They asked for it, so they may see what they then saw.
