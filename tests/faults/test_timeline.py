"""The timeline and the cluster as of then, on a real cluster."""

import subprocess
import sys

import pytest

from aerodb.protocol import canonical
from aerodb.protocol.api import AsOf
from aerodb.protocol.plan import Plan, Snapshot
from aerodb.protocol.timeline import Entry, Timeline
from aerodb.transport.errors import Refused
from tests.faults.conftest import Running
from tests.faults.people import Api
from tests.faults.waiting import wait_until


def timeline(running: Running, query: str = "", person: str = "observer") -> Timeline:
    """Return the timeline, as a person sees it."""
    return canonical.decode(Api(running.layout, person).client.get(f"/v1/timeline{query}"), Timeline)


def about(entries: tuple[Entry, ...], request: str) -> list[tuple[str, str, str]]:
    """Return what the timeline says of one request."""
    return [(each.source, each.what, each.after) for each in entries if each.request == request]


@pytest.fixture(scope="module")
def request_id(shared: Running) -> str:
    """Return a request that was executed, and whose end its node has seen."""
    planned = shared.api.ask("follow", "n3", upstream="n2")
    assert shared.api.confirm(planned).result == "executed"
    wait_until(lambda: len(about(timeline(shared).entries, planned.request)) == 5)
    return planned.request


def test_a_request_is_told_from_the_log_and_from_its_node(shared: Running, request_id: str) -> None:
    """The log's records and the node's events of one request are told in their order."""
    found = timeline(shared)
    assert found.missing == {}
    assert about(found.entries, request_id) == [
        ("log", "requested", ""),
        ("log", "confirmed", ""),
        ("n3", "request", "begun"),
        ("n3", "request", "ended: executed"),
        ("log", "outcome", "executed"),
    ]


def test_filters_and_silence(shared: Running, request_id: str) -> None:
    """One node, one term; a node that does not answer is said, and everything else is shown."""
    assert {each.node for each in timeline(shared, "?node=n3").entries} == {"n3"}
    assert timeline(shared, "?term=9").entries == ()
    shared.stage.kill("n1")
    try:
        silent = timeline(shared)
        assert set(silent.missing) == {"n1"}
        assert about(silent.entries, request_id)
        assert "n1" not in {each.source for each in silent.entries}
    finally:
        shared.stage.start_agent("n1", leave_down=True)
        shared.stage.wait_for("n1")
    older = timeline(shared, "?records=1").entries
    assert ("log", "gap", "not asked for") in {(each.source, each.what, each.subject) for each in older}
    with pytest.raises(Refused) as error:
        timeline(shared, "?node=n9")
    assert error.value.code == "input.node-unknown"


def test_any_decision_opens_the_cluster_as_of_then(shared: Running, request_id: str) -> None:
    """The recorded snapshot comes back byte for byte, with the answers of then: the plan's own among them."""
    decision = shared.api.decision(request_id)
    assert decision.plan is not None
    assert decision.snapshot is not None
    plan = canonical.decode(decision.plan.encode(), Plan)
    size = shared.api.status().log_size
    then = canonical.decode(shared.api.client.get(f"/v1/snapshots/{plan.snapshot}"), AsOf)
    assert then.snapshot == canonical.decode(decision.snapshot.encode(), Snapshot)
    assert canonical.digest(canonical.encode(then.snapshot)) == then.snapshot_digest == plan.snapshot
    cell = next(each for each in then.matrix if (each.action, each.node) == ("follow", "n3")
                and each.arguments == {"upstream": "n2"})  # fmt: skip
    assert (cell.accepted, cell.loss) == (True, plan.loss)
    assert then.configuration == shared.impostor.cluster.digest
    assert shared.api.status().log_size == size
    for digest in (plan.digest, decision.line.plan, "sha256:0"):
        with pytest.raises(Refused) as error:
            shared.api.client.get(f"/v1/snapshots/{digest}")
        assert error.value.code == "input.snapshot-unknown"


def test_a_snapshot_is_shown_as_a_role_may_see_it(shared: Running, request_id: str) -> None:
    """An observer sees no signed report and no sensitive fact; an auditor who asks for them leaves one record."""
    plan = canonical.decode((shared.api.decision(request_id).plan or "").encode(), Plan)
    size = shared.api.status().log_size
    path = f"/v1/snapshots/{plan.snapshot}"
    seen = canonical.decode(Api(shared.layout, "observer").client.get(path), AsOf)
    assert (seen.snapshot.reports, set(seen.facts)) == ({}, {"n1", "n2", "n3"})
    assert "n1.instance.folder" in seen.redacted
    assert any(cell.accepted for cell in seen.matrix)
    with pytest.raises(Refused):
        Api(shared.layout, "observer").client.get(f"{path}?sensitive=1")
    assert shared.api.status().log_size == size
    auditor = Api(shared.layout, "auditor").client
    assert canonical.decode(auditor.get(path), AsOf).facts == seen.facts
    assert canonical.decode(auditor.get(f"{path}?sensitive=1"), AsOf).snapshot.reports
    assert shared.api.status().log_size == size + 1


def test_sensitive_texts_of_the_timeline_are_redacted(shared: Running, request_id: str) -> None:
    """Addresses, folders and settings are taken out and named, unless an auditor asks for them, which is recorded."""
    assert request_id
    size = shared.api.status().log_size
    for person in ("observer", "auditor", "operator"):
        found = timeline(shared, person=person)
        assert found.redacted
        assert "127.0.0.1" not in canonical.encode(found).decode()
        assert {each.after for each in found.entries if each.what == "folder"} == {"[redacted]"}
        receiving = {each.after for each in found.entries if each.what == "receiver"}
        assert "streaming from [redacted]" in receiving
    with pytest.raises(Refused):
        timeline(shared, "?sensitive=1")
    assert shared.api.status().log_size == size
    whole = timeline(shared, "?sensitive=1", "auditor")
    assert whole.redacted == ()
    assert "127.0.0.1" in canonical.encode(whole).decode()
    assert shared.api.status().log_size == size + 1


def test_the_command_line_shows_it(shared: Running, request_id: str) -> None:
    """`aerodb timeline` shows the same, for people and as the API's own bytes."""
    base = [sys.executable, "-m", "aerodb", "--profile", str(shared.layout.profile("observer")), "timeline"]
    shown = subprocess.run([*base, "--node", "n3"], capture_output=True, text=True, check=True).stdout
    assert f"request {request_id}: begun -> ended: executed" in shown
    assert "uncertain" in shown
    document = subprocess.run([*base, "--json", "--term", "1"], capture_output=True, check=True).stdout
    assert about(canonical.decode(document.strip(), Timeline).entries, request_id)
