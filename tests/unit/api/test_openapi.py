"""The API's description, checked by an independent validator."""

import msgspec
from openapi_spec_validator import OpenAPIV31SpecValidator

from aerodb.actions import catalogue
from aerodb.api.openapi import document
from aerodb.api.routes import ENDPOINTS
from aerodb.protocol import canonical


def test_it_is_valid_openapi() -> None:
    """Every reference resolves, and every part is as OpenAPI 3.1 says."""
    served = msgspec.json.decode(canonical.encode(document()))
    assert [error.message for error in OpenAPIV31SpecValidator(served).iter_errors()] == []


def test_it_describes_every_endpoint_and_action() -> None:
    """What is in the table is in the document, and nothing else; so are the catalogue's actions."""
    described = document()
    found = {(method.upper(), path) for path, methods in described["paths"].items() for method in methods}
    assert found == {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}
    assert described["components"]["schemas"]["Ask"]["properties"]["action"]["enum"] == list(catalogue())


def test_a_request_is_described_by_its_action() -> None:
    """The schema of a request takes exactly the arguments of the action that it names, each in the form of its kind."""
    branches = document()["components"]["schemas"]["Ask"]["allOf"]
    assert [each["if"]["properties"]["action"]["const"] for each in branches] == list(catalogue())
    for action, branch in zip(catalogue().values(), branches, strict=True):
        taken = branch["then"]["properties"]["arguments"]
        assert taken["additionalProperties"] is False
        assert taken["required"] == [argument.name for argument in action.arguments if not argument.optional]
        assert {name: found["pattern"] for name, found in taken["properties"].items()} == {
            argument.name: f"^({argument.pattern})$" for argument in action.arguments
        }
