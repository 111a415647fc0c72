"""The OpenAPI document of the API, derived from its table of routes and from the catalogue.

Source: OpenAPI 3.1.0; schemas by msgspec from the very types that are decoded and encoded.
"""

import re
from typing import Any

import msgspec

from aerodb import __version__
from aerodb.actions import catalogue
from aerodb.api.routes import ENDPOINTS, Endpoint
from aerodb.protocol.lsn import Lsn
from aerodb.rules.arguments import KINDS
from aerodb.rules.specification import Action
from aerodb.transport.problem import MEDIA_TYPE, Problem


def _hook(kind: type) -> dict[str, Any]:
    if kind is Lsn:
        return {"type": "string", "pattern": "^[0-9A-F]{1,8}/[0-9A-F]{1,8}$", "description": "A log position."}
    raise NotImplementedError(kind)


def _operation(endpoint: Endpoint, schemas: dict[type, dict[str, Any]]) -> dict[str, Any]:
    parameters = [
        {"name": part, "in": "path", "required": True, "schema": {"type": "string"}}
        for part in re.findall(r"\{(\w+)\}", endpoint.path)
    ]
    parameters += [{"name": name, "in": "query", "schema": {"type": "string"}} for name in endpoint.query]
    if endpoint.keyed:
        key = {"type": "string", "format": "uuid"}
        parameters.append({"name": "Idempotency-Key", "in": "header", "required": True, "schema": key})
    found: dict[str, Any] = {
        "summary": endpoint.summary,
        "parameters": parameters,
        "responses": {
            "200": {"description": "Done.", "content": {"application/json": {"schema": schemas[endpoint.gives]}}},
            "default": {"description": "A refusal.", "content": {MEDIA_TYPE: {"schema": schemas[Problem]}}},
        },
    }
    if endpoint.takes is not None:
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": schemas[endpoint.takes]}}}
    return found


def _arguments(action: Action) -> dict[str, Any]:
    """Return the schema of a request for `action`: exactly its arguments, each of the form that its kind has."""
    properties = {
        each.name: {
            "type": "string",
            "description": f"{each.help}; {KINDS[each.kind].meaning}",
            "pattern": f"^({each.pattern})$",
            "maxLength": each.characters_max,
        }
        for each in action.arguments
    }
    exactly = {
        "properties": properties,
        "required": [each.name for each in action.needed],
        "additionalProperties": False,
    }
    return {
        "if": {"properties": {"action": {"const": action.name}}},
        "then": {"properties": {"arguments": exactly}},
    }


def document() -> dict[str, Any]:
    """Return the OpenAPI document as plain values."""
    kinds = [Problem, *(kind for each in ENDPOINTS for kind in (each.takes, each.gives) if kind is not None)]
    unique = list(dict.fromkeys(kinds))
    found, components = msgspec.json.schema_components(
        unique, schema_hook=_hook, ref_template="#/components/schemas/{name}"
    )
    schemas = dict(zip(unique, found, strict=True))
    components["Ask"]["properties"]["action"]["enum"] = list(catalogue())
    components["Ask"]["allOf"] = [_arguments(action) for action in catalogue().values()]
    paths: dict[str, Any] = {}
    for endpoint in ENDPOINTS:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "AeroDB control plane", "version": __version__},
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": {"mutualTLS": {"type": "mutualTLS"}}},
        "security": [{"mutualTLS": []}],
    }
