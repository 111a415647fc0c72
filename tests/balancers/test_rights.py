"""What a balancer's certificate opens on a real cluster: two paths of agents, and nothing else."""

import re

import pytest

from aerodb.api.routes import ENDPOINTS
from aerodb.kernel.service import ALWAYS_ANSWERED, ROUTES
from aerodb.transport.client import Client
from aerodb.transport.errors import Refused
from aerodb.transport.tls import tls_in
from tests.faults.conftest import Running
from tests.faults.people import new_id

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("balancers")]
OTHERS = (
    ("GET", "/v1/audit/checkpoint"),
    ("GET", "/v1/audit/export"),
    ("GET", "/v1/openapi.json"),
    ("GET", "/metrics"),
)
"""The control plane's routes that are no endpoints."""


def called(client: Client, method: str, path: str) -> bytes:
    """Call a route, with an id wherever its path has a place for something."""
    filled = re.sub(r"\{[^}]+\}", new_id(), path)
    return client.get(filled) if method == "GET" else client.post(filled, b"{}")


def test_of_an_agent_it_opens_two_paths(shared: Running) -> None:
    """Every other route is refused before anything else is looked at."""
    caller = shared.impostor.agent("n1", shared.layout.balancer)
    refused = list[str]()
    for route in ROUTES:
        if route.path in ALWAYS_ANSWERED:
            continue
        with pytest.raises(Refused) as error:
            called(caller, route.methods[0], route.path)
        assert (route.path, error.value.code) == (route.path, "control.role-denied")
        refused.append(route.path)
    assert len(refused) == len(ROUTES) - 2
    assert caller.get("/primary") == b"primary\n"
    assert shared.impostor.agent("n2", shared.layout.balancer).get("/standby?lag=16MB") == b"standby\n"


def test_of_the_control_plane_it_opens_nothing(shared: Running) -> None:
    """Neither its API, nor its log, nor its metrics."""
    caller = Client(shared.cluster.control, tls_in(shared.layout.balancer), "control", 30)
    for method, path in (*((each.method, each.path) for each in ENDPOINTS), *OTHERS):
        with pytest.raises(Refused) as error:
            called(caller, method, path)
        assert error.value.code in {"control.caller-unknown", "control.role-denied"}, (method, path)
