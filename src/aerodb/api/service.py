"""The control plane's HTTP service: authenticates by certificate, decodes, calls the control plane, encodes."""

from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from aerodb.api.openapi import document
from aerodb.api.routes import ENDPOINTS, Call, Endpoint
from aerodb.control.access import Access
from aerodb.control.plane import ControlPlane
from aerodb.control.roles import ALLOWED, Right
from aerodb.control.veil import shown_to, told
from aerodb.errors import AeroError
from aerodb.past.speaking import HEADER, read_stated
from aerodb.protocol.cluster import Cluster, Role
from aerodb.rules.explain import REQUEST_ID
from aerodb.tracing import note
from aerodb.transport.caller import caller_in
from aerodb.transport.errors import CallerRefused
from aerodb.transport.metrics import CONTENT_TYPE, MONITOR, scraper_only
from aerodb.transport.rooms import MONITORS, SMALL_BODY_BYTES_MAX, Room, RoomOf, Share
from aerodb.transport.tls import BALANCER, Caller
from aerodb.transport.web import PROBLEMS, TracedRoute, answer, body_of, known_error, problem

REQUEST_BYTES_MAX = SMALL_BODY_BYTES_MAX
OPERATORS = Room(
    name="operators", connections=Share(128, 96), calls=Share(20, 12), looks=Share(0, 0),
    body_bytes=Share(4 << 20, 2 << 20),
)  # fmt: skip
READERS = Room(
    name="readers", connections=Share(128, 64), calls=Share(12, 6), looks=Share(0, 0),
    body_bytes=Share(1 << 20, 1 << 19),
)  # fmt: skip
"""Everybody else who has a certificate. All rooms' calls together take no more threads than the service has: 40."""


def rooms_of(newest: Callable[[], Cluster]) -> RoomOf:
    """Return what says which room a caller of the API belongs to: those who may act have one of their own.

    `newest` gives the configuration's newest version.
    """

    def room_of(caller: Caller) -> Room:
        if caller.kind in {MONITOR, BALANCER}:  # A balancer is answered nothing here.
            return MONITORS
        person = newest().operator(caller.name) if caller.kind == "person" else None
        acts = person is not None and Right.REQUEST in ALLOWED[person.role] and not person.revoked
        return OPERATORS if acts else READERS

    return room_of


def _handler(plane: ControlPlane, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        note(request=_named(endpoint, request))
        call = Call(
            access=await run_in_threadpool(_access, plane, endpoint, request),
            path=dict(request.path_params),
            query=dict(request.query_params),
            headers=dict(request.headers),
            body=await body_of(request, REQUEST_BYTES_MAX),
        )
        # Made canonical aside as well: a page of records may take seconds, and others' calls go on meanwhile.
        return await run_in_threadpool(_shown, plane, endpoint, call, request)

    return handle


def _shown(plane: ControlPlane, endpoint: Endpoint, call: Call, request: Request) -> Response:
    """Return a call's answer as its caller may see it."""
    found = _answer(plane, endpoint, call, request)
    return answer(shown_to(found, live=sees_live(call), recorded=call.access.may(Right.READ_AUDIT)))


def sees_live(call: Call) -> bool:
    """Tell whether a caller sees what is made from live facts: an operator, or who asks for it, which is recorded."""
    asked = call.query.get("sensitive") == "1" and call.access.may(Right.READ_SENSITIVE)
    return asked or call.access.person.role is Role.OPERATOR


def _is_operator(plane: ControlPlane, request: Request) -> bool:
    try:
        return plane.caller(caller_in(request.scope)).person.role is Role.OPERATOR
    except AeroError:
        return False


def _answer(plane: ControlPlane, endpoint: Endpoint, call: Call, request: Request) -> Any:
    """Return a call's answer; a person who would change something that they may not is recorded."""
    try:
        return endpoint.answer(call)
    except CallerRefused as error:
        if endpoint.method == "POST":
            plane.turned_away(caller_in(request.scope), _named(endpoint, request), error)
        raise


def _named(endpoint: Endpoint, request: Request) -> str:
    """Return the id of the request that a call is about; nothing where it names none, or no id."""
    named = request.headers.get("idempotency-key", "") if endpoint.keyed else request.path_params.get("request", "")
    return named if REQUEST_ID.fullmatch(named) else ""


def _access(plane: ControlPlane, endpoint: Endpoint, request: Request) -> Access:
    """Return what the enrolled person who called may do; anybody else who would change something is recorded."""
    caller = caller_in(request.scope)
    try:
        return plane.caller(caller, read_stated(request.headers.get(HEADER)))
    except AeroError as error:
        if endpoint.method == "POST":
            plane.turned_away(caller, _named(endpoint, request), error)
        raise


@cache
def _described() -> dict[str, Any]:
    """Return the API's description: it is of this build, whoever's control plane answers, and made once."""
    return document()


def application(plane: ControlPlane) -> Starlette:
    """Return the control plane's application."""
    described = _described()

    async def openapi(request: Request) -> Response:
        plane.caller(caller_in(request.scope))
        return answer(described)

    async def checkpoint(request: Request) -> Response:
        return Response(plane.caller(caller_in(request.scope)).checkpoint(), media_type="text/plain; charset=utf-8")

    async def metrics(request: Request) -> Response:
        scraper_only(plane.cluster, caller_in(request.scope))
        return Response(await run_in_threadpool(plane.meters.exposition), media_type=CONTENT_TYPE)

    def refused(request: Request, error: Exception) -> Response:
        answered = problem(request, error, lambda known: told(known, live=_is_operator(plane, request)))
        plane.meters.refused(known_error(error).code)
        return answered

    async def exported(request: Request) -> Response:
        lines = await run_in_threadpool(plane.caller(caller_in(request.scope)).export)
        return StreamingResponse(lines, media_type="application/jsonl")

    return Starlette(
        routes=[
            *(TracedRoute(each.path, _handler(plane, each), methods=[each.method]) for each in ENDPOINTS),
            TracedRoute("/v1/audit/checkpoint", checkpoint),
            TracedRoute("/v1/audit/export", exported),
            TracedRoute("/v1/openapi.json", openapi),
            TracedRoute("/metrics", metrics),
        ],
        exception_handlers=dict.fromkeys(PROBLEMS, refused),
    )
