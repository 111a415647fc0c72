"""Every endpoint of the API answers, and refuses, as its own description says."""

from typing import Any

import jsonschema
import msgspec
import pytest

from aerodb.api.openapi import document
from aerodb.api.routes import ENDPOINTS, Endpoint
from aerodb.protocol import canonical
from aerodb.protocol.api import Ask, Confirm, Planned
from aerodb.protocol.plan import Plan
from aerodb.protocol.sshsig import sign_with_key
from aerodb.transport.errors import Refused
from aerodb.transport.problem import problem_of
from tests.faults.conftest import Running
from tests.faults.people import new_id, operator_key

QUERIES = {"/v1/explain": "?action=stop&target=n3", "/v1/audit/records": "?start=0&count=2"}
QUERIES["/v1/procedures/{procedure}"] = "?node=n3&reason=a%20test"


def _conforms(answer: bytes, endpoint: Endpoint, response: str, media_type: str) -> None:
    """Check an answer against the schema that the description gives for it."""
    described = document()
    operation = described["paths"][endpoint.path][endpoint.method.lower()]
    schema: dict[str, Any] = operation["responses"][response]["content"][media_type]["schema"]
    whole = {**schema, "components": described["components"]}
    jsonschema.Draft202012Validator(whole).validate(msgspec.json.decode(answer))


@pytest.fixture(scope="module")
def executed(shared: Running) -> Planned:
    """Return a request that was asked for, confirmed and executed; each answer on the way conforms."""
    by_path = {(endpoint.method, endpoint.path): endpoint for endpoint in ENDPOINTS}
    client = shared.api.client
    request, answer = shared.api.asked(canonical.encode(Ask(action="stop", target="n3", arguments={}, reason="a test")))
    _conforms(answer, by_path["POST", "/v1/requests"], "200", "application/json")
    planned = canonical.decode(answer, Planned)
    signature = sign_with_key(operator_key(shared.layout), planned.plan.encode())
    answer = client.post(f"/v1/requests/{request}/confirmation", canonical.encode(Confirm(signature=signature)))
    _conforms(answer, by_path["POST", "/v1/requests/{request}/confirmation"], "200", "application/json")
    answer = client.post(f"/v1/requests/{request}/outcome", b"{}")
    _conforms(answer, by_path["POST", "/v1/requests/{request}/outcome"], "200", "application/json")
    return planned


@pytest.mark.parametrize("endpoint", [each for each in ENDPOINTS if each.method == "GET"], ids=lambda each: each.path)
def test_answers_are_as_described(shared: Running, executed: Planned, endpoint: Endpoint) -> None:
    """Each GET of the table."""
    snapshot = canonical.decode(executed.plan.encode(), Plan).snapshot
    path = endpoint.path.replace("{request}", executed.request).replace("{digest}", snapshot)
    path = path.replace("{sequence}", "0").replace("{procedure}", "maintenance")
    path += QUERIES.get(endpoint.path, "")
    _conforms(shared.api.client.get(path), endpoint, "200", "application/json")


def test_the_description_is_served(shared: Running) -> None:
    """Byte for byte what the table gives."""
    assert shared.api.client.get("/v1/openapi.json") == canonical.encode(document())


@pytest.mark.parametrize("endpoint", [each for each in ENDPOINTS if "{request}" in each.path], ids=lambda e: e.path)
def test_refusals_are_as_described(shared: Running, endpoint: Endpoint) -> None:
    """A request that nobody knows: a problem of the described form."""
    path = endpoint.path.replace("{request}", new_id())
    body = canonical.encode(Confirm(signature="x"))
    with pytest.raises(Refused) as error:
        shared.api.client.get(path) if endpoint.method == "GET" else shared.api.client.post(path, body)
    assert (error.value.code, error.value.status) == ("input.request-unknown", 404)
    problem = msgspec.json.encode(problem_of(error.value))
    _conforms(problem, endpoint, "default", "application/problem+json")
