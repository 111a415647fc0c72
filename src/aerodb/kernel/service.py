"""The agent's HTTP service, behind mutual TLS. Only the control plane may ask for more than the node's role.

GET  /primary, /standby       200 where the node serves as that, else 503, as load balancers expect
GET  /v1/report?nonce=        the signed facts
POST /v1/judge                an order's verdicts as they are now; runs nothing
POST /v1/orders               run an order; the answer is the signed outcome
POST /v1/outcomes/{request}   what became of a request, established now where it is not known yet
"""

import re
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aerodb.errors import AeroError
from aerodb.kernel.agent import Agent
from aerodb.protocol import canonical
from aerodb.protocol.plan import Order
from aerodb.transport.errors import BodyTooLarge, CallerRefused
from aerodb.transport.problem import MEDIA_TYPE, problem_bytes
from aerodb.transport.server import caller_in

BODY_BYTES_MAX = 8 << 20
NONCE = re.compile(r"[0-9a-f-]{36}")


class NonceMalformed(AeroError):
    """The nonce is not the id of a request or of a look."""

    code = "input.nonce-malformed"
    status = 400
    title = "The nonce is malformed"


class Failed(AeroError):
    """The agent failed in a way that it does not know."""

    code = "kernel.internal"
    title = "The agent failed"


def problem(request: Request, error: Exception) -> Response:
    """Return an error as a problem; nothing of the inside reaches the caller."""
    del request
    known = error if isinstance(error, AeroError) else Failed(f"{type(error).__name__}", executed="unknown")
    return Response(problem_bytes(known), known.status, media_type=MEDIA_TYPE)


async def body_of(request: Request) -> bytes:
    """Return a request's body.

    Raises:
        BodyTooLarge: it is larger than any that is meant.
    """
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > BODY_BYTES_MAX:
            raise BodyTooLarge(f"a body has at most {BODY_BYTES_MAX} bytes")
    return bytes(data)


def control_only(request: Request) -> None:
    """Refuse whoever is not the control plane.

    Raises:
        CallerRefused: so it is.
    """
    caller = caller_in(request.scope)
    if caller.kind != "control":
        raise CallerRefused(f"{caller.name} ({caller.kind}) is not the control plane")


def application(agent: Agent) -> Starlette:
    """Return the agent's application."""

    def serves(role: str) -> Callable[[Request], Awaitable[Response]]:
        async def answer(_: Request) -> Response:
            found = await run_in_threadpool(agent.role_now)
            return Response(f"{found or 'none'}\n", 200 if found == role else 503, media_type="text/plain")

        return answer

    async def report(request: Request) -> Response:
        control_only(request)
        nonce = request.query_params.get("nonce", "")
        if not NONCE.fullmatch(nonce):
            raise NonceMalformed("a nonce is a UUID", field="nonce")
        return _json(canonical.encode(await run_in_threadpool(agent.report, nonce)))

    async def judge(request: Request) -> Response:
        control_only(request)
        order = canonical.decode(await body_of(request), Order)
        verdicts = await run_in_threadpool(agent.judge, order)
        return _json(canonical.encode({"verdicts": list(verdicts)}))

    async def orders(request: Request) -> Response:
        control_only(request)
        order = canonical.decode(await body_of(request), Order)
        return _json(canonical.encode(await run_in_threadpool(agent.run, order)))

    async def outcomes(request: Request) -> Response:
        control_only(request)
        asked = request.path_params["request"]
        if not NONCE.fullmatch(asked):
            raise NonceMalformed("a request's id is a UUID", field="request")
        return _json(canonical.encode(await run_in_threadpool(agent.outcome, asked)))

    return Starlette(
        routes=[
            Route("/primary", serves("primary")),
            Route("/standby", serves("standby")),
            Route("/v1/report", report),
            Route("/v1/judge", judge, methods=["POST"]),
            Route("/v1/orders", orders, methods=["POST"]),
            Route("/v1/outcomes/{request}", outcomes, methods=["POST"]),
        ],
        exception_handlers={AeroError: problem, HTTPException: _http_problem, Exception: problem},
    )


def _json(data: bytes) -> Response:
    return Response(data, media_type="application/json")


def _http_problem(request: Request, error: Exception) -> Response:
    """Return the framework's own refusals (no such path, no such method) as problems."""
    del request
    status = error.status_code if isinstance(error, HTTPException) else 500
    refused = RouteUnknown(f"HTTP {status}")
    refused.status = status
    return Response(problem_bytes(refused), status, media_type=MEDIA_TYPE)


class RouteUnknown(AeroError):
    """There is no such path, or not with this method."""

    code = "input.route-unknown"
    status = 404
    title = "There is no such resource"
