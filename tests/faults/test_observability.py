"""The real Prometheus scrapes a real cluster, and every query of the dashboard and of the alerts has data."""

import http.client
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from aerodb.local.size import free_ports
from aerodb.transport.errors import Refused
from tests.faults.conftest import Running
from tests.faults.people import Api, new_id
from tests.faults.waiting import wait_until

pytestmark = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")),
    reason="Debian's package prometheus is not installed; make test-observability installs it",
)
Query = Callable[[str], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def query(shared: Running, ports_from: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Query]:
    """Return how to ask a Prometheus that runs on the cluster's own monitor folder."""
    port = free_ports(1, ports_from + 500)[0]
    folder = shared.layout.monitor
    process = subprocess.Popen(
        ["prometheus", "--config.file=prometheus.yml", f"--storage.tsdb.path={tmp_path_factory.mktemp('tsdb')}",
         f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"],
        cwd=folder,
    )  # fmt: skip

    def ask(expression: str) -> list[dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request("GET", "/api/v1/query?" + urlencode({"query": expression}))
            response = connection.getresponse()
            body = response.read()
        except ConnectionError:
            return []
        finally:
            connection.close()
        if response.status == http.HTTPStatus.SERVICE_UNAVAILABLE:
            return []  # It is still starting.
        answer = json.loads(body)
        assert answer["status"] == "success", (expression, answer)
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    try:
        wait_until(lambda: len(ask("up == 1")) == 4)
        yield ask
    finally:
        process.terminate()
        process.wait()


def dashboard(folder: Path) -> list[str]:
    """Return the dashboard's queries, its variables filled in."""
    document = json.loads((folder / "grafana" / "aerodb.json").read_text(encoding="utf-8"))
    expressions = [target["expr"] for panel in document["panels"] for target in panel["targets"]]
    return [each.replace("$cluster", "cluster").replace("$__rate_interval", "1m") for each in expressions]


def alerts(folder: Path) -> list[str]:
    """Return what each alert compares, the comparison left out: that must have data even where all is well."""
    lines = (folder / "rules" / "aerodb.yml").read_text(encoding="utf-8").splitlines()
    expressions = [line.split("expr: ", 1)[1] for line in lines if "expr: " in line]
    compared = [re.fullmatch(r"(.*) (?:==|!=|>|<) \d+", each) for each in expressions]
    assert all(compared)
    return [match[1] for match in compared if match]


def test_promtool_accepts_rules_and_configuration(shared: Running) -> None:
    """Prometheus' own checker finds nothing."""
    folder = shared.layout.monitor
    for command in (["check", "rules", "rules/aerodb.yml"], ["check", "config", "prometheus.yml"]):
        ended = subprocess.run(["promtool", *command], cwd=folder, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.timeout(300)
def test_every_query_has_data(shared: Running, query: Query) -> None:
    """Nothing on the dashboard and no alert looks at a metric that is not there."""
    folder = shared.layout.monitor
    shared.api.do("follow", "n3", upstream="n2")
    with pytest.raises(Refused):
        Api(shared.layout, "observer").ask("stop", "n3", new_id())
    expressions = [*dashboard(folder), *alerts(folder)]
    assert len(expressions) > 40

    def without() -> list[str]:
        shared.api.status()  # So that rates of the control plane's calls have something to count.
        return [each for each in expressions if not query(each)]

    wait_until(lambda: not without())
    assert without() == []


def test_a_node_that_goes_is_seen_and_nothing_happens_by_itself(shared: Running, query: Query) -> None:
    """A stopped standby shows, its alert becomes pending or firing, and it stays down."""
    shared.api.do("stop", "n3")
    wait_until(lambda: [each["metric"]["node"] for each in query("aerodb_node_serves == 0")] == ["n3"])
    wait_until(lambda: bool(query('ALERTS{alertname="AeroDBNotServing",node="n3"}')))
    instance = shared.impostor.facts("n3").instance
    assert instance is not None
    assert instance.state == "stopped"
