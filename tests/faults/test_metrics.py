"""Metrics on a real cluster: who may scrape, what they say, and that scraping changes nothing."""

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from aerodb import __version__
from aerodb.errors import AeroError
from aerodb.transport.client import Client
from aerodb.transport.errors import Refused
from aerodb.transport.tls import tls_in
from tests.faults.conftest import Running

Samples = dict[tuple[str, tuple[str, ...]], float]


def scrape(running: Running, name: str, folder: Path | None = None) -> Samples:
    """Scrape one process, as the monitor unless another folder's certificate is to be shown."""
    address = running.impostor.cluster.control if name == "control" else running.impostor.cluster.member(name).agent
    text = Client(address, tls_in(folder or running.layout.monitor), name, 30).get("/metrics").decode()
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_agents_and_control_plane_are_scraped(shared: Running) -> None:
    """Each says what it is; a request shows in the node's and in the control plane's counters."""
    before = scrape(shared, "control")
    shared.api.do("fence", "n3", for_="n1")
    with pytest.raises(AeroError):
        shared.api.client.get("/v1/nowhere")
    found = scrape(shared, "n3")
    assert found["aerodb_pledged_term", ()] == 2
    assert found["aerodb_requests_total", ("executed",)] == 1
    assert found["aerodb_receiver_streaming", ()] == 0
    assert scrape(shared, "n1")["aerodb_sender_streaming", ("n2",)] == 1
    after = scrape(shared, "control")
    for labels in (("requested", ""), ("confirmed", ""), ("outcome", "executed")):
        name = "aerodb_control_records_total"
        assert after[name, labels] == before.get((name, labels), 0) + 1
    assert after["aerodb_control_refusals_total", ("input.route-unknown",)] == 1
    assert after["aerodb_control_agent_call_duration_seconds_count", ("order", "n3")] == 1
    assert after["aerodb_log_records", ()] == shared.api.status().log_size
    assert after["aerodb_log_writable", ()] == 1


@pytest.mark.parametrize("name", ["n1", "control"])
def test_who_may_scrape(shared: Running, name: str) -> None:
    """A monitor, an enrolled person and the control plane may; an agent may not."""
    for folder in (shared.layout.profile("observer"), shared.layout.control):
        assert ("aerodb_build_info", (__version__,)) in scrape(shared, name, folder)
    with pytest.raises(Refused) as error:
        scrape(shared, name, shared.layout.node("n2"))
    assert error.value.code == "control.role-denied"


@pytest.mark.parametrize("path", ["/v1/report?nonce=00000000-0000-0000-0000-000000000000", "/v1/events"])
def test_a_monitor_may_do_nothing_else(shared: Running, path: str) -> None:
    """Its certificate opens neither an agent's report nor the control plane's API."""
    with pytest.raises(Refused) as error:
        shared.impostor.agent("n1", shared.layout.monitor).get(path)
    assert error.value.code == "control.role-denied"
    with pytest.raises(Refused) as error:
        Client(shared.impostor.cluster.control, tls_in(shared.layout.monitor), "control", 30).get("/v1/status")
    assert error.value.code == "control.caller-unknown"


def test_scraping_changes_nothing(shared: Running) -> None:
    """Neither the agents' state nor the log is touched."""

    def lasting() -> object:
        paths = [path for name in ("n1", "n2", "n3") for path in (shared.layout.node(name) / "state").rglob("*")]
        return shared.api.status().log_size, {str(path): path.stat().st_mtime_ns for path in paths}

    before = lasting()
    for name in ("n1", "n2", "n3", "control"):
        scrape(shared, name)
    assert lasting() == before
