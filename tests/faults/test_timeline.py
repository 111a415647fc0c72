"""The timeline and the cluster as of then, on a real cluster."""

import re
import subprocess
import sys

import pytest

from aerodb.protocol import canonical
from aerodb.protocol.api import AsOf
from aerodb.protocol.plan import Plan, Snapshot
from aerodb.protocol.timeline import Entry, Lag, Timeline
from aerodb.transport.errors import Refused
from tests.faults.behind import run
from tests.faults.conftest import Running
from tests.faults.holding import held
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
    shown = subprocess.run([*base, "--exact", "--node", "n3"], capture_output=True, text=True, check=True).stdout
    assert f"request {request_id}: begun -> ended: executed" in shown
    assert "uncertain" in shown
    told = subprocess.run([*base, "--node", "n3"], capture_output=True, text=True, check=True).stdout
    assert re.search(r"follow n3 --upstream n2   executed\n +\w+, records \d+ to \d+\n +n3  ", told)
    document = subprocess.run([*base, "--json", "--term", "1"], capture_output=True, check=True).stdout
    assert about(canonical.decode(document.strip(), Timeline).entries, request_id)


def samples(running: Running) -> tuple[Lag, ...]:
    """Return the samples of lag."""
    return timeline(running).lags


def behind(lag: Lag, node: str) -> int | None:
    """Return what a standby had not flushed by a sample."""
    return next((each.flush_bytes for each in lag.standbys if each.node == node), None)


def test_lag_is_sampled_by_the_primary_s_agent(fresh: Running) -> None:
    """A standby that is held falls behind, and is seen to; so is that nothing could be seen of a held primary."""
    wait_until(lambda: any({each.node for each in lag.standbys} == {"n2", "n3"} for lag in samples(fresh)))
    with held(fresh, "n3"):
        run(fresh, "n1", "create table t as select repeat('x', 1000) from generate_series(1, 5000)")
        wait_until(lambda: (behind(samples(fresh)[-1], "n3") or 0) > 4_000_000)
        assert behind(samples(fresh)[-1], "n2") == 0
    wait_until(lambda: behind(samples(fresh)[-1], "n3") == 0)
    with held(fresh, "n1"):
        before = len(samples(fresh))
        wait_until(lambda: unreachable(fresh, "n1"))
    wait_until(lambda: len(samples(fresh)) > before)
    found = samples(fresh)
    assert any(lag.missed for lag in found)
    assert {lag.source for lag in found} == {"n1"}
    assert [lag.lsn for lag in found if lag.lsn] == sorted(lag.lsn for lag in found if lag.lsn)
    _shown(fresh)


def unreachable(running: Running, node: str) -> bool:
    """Tell whether a node's observer has seen that its PostgreSQL does not answer."""
    told = (each for each in timeline(running).entries if (each.source, each.what) == (node, "state"))
    return any(each.after.startswith("unreachable") for each in told)


def _shown(running: Running) -> None:
    """Show it on the command line: the bar of megabytes, and the gap."""
    base = [sys.executable, "-m", "aerodb", "--profile", str(running.layout.profile("observer")), "timeline"]
    lines = subprocess.run(base, capture_output=True, text=True, check=True).stdout.splitlines()
    drawn = {line.split("  ")[0]: line for line in lines[:12]}
    assert "\N{LOWER FIVE EIGHTHS BLOCK}" in drawn["n3 unflushed"]
    assert "\N{LOWER FIVE EIGHTHS BLOCK}" not in drawn["n2 unflushed"]
    assert "!" in next(line for line in lines if line.startswith("entries"))
    assert set(next(line for line in lines if line.startswith("term ")).split()[1]) == {"1"}


def test_lag_goes_on_with_the_next_primary(fresh: Running) -> None:
    """After a failover, the new primary's agent samples in the new term, after the old one's samples."""
    wait_until(lambda: bool(samples(fresh)))
    fresh.api.do("fence", "n3", for_="n2")
    fresh.api.do("fence", "n2", for_="n2")
    fresh.api.do("promote", "n2")
    fresh.api.do("follow", "n3", upstream="n2")
    wait_until(lambda: any(lag.source == "n2" and behind(lag, "n3") == 0 for lag in samples(fresh)))
    terms = [(lag.source, lag.term) for lag in samples(fresh)]
    assert {("n1", 1), ("n2", 2)} <= set(terms)
    assert terms.index(("n2", 2)) > terms.index(("n1", 1))
