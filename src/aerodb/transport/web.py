"""What services have in common over HTTP: traced routes, bounded bodies, canonical answers, refusals as problems.

Source: RFC 9110 (HTTP), RFC 9457 (problem details).
"""

from collections.abc import Callable
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from aerodb.errors import AeroError
from aerodb.logs import say
from aerodb.protocol import canonical
from aerodb.tracing import extract, fail, span
from aerodb.transport.caller import caller_in
from aerodb.transport.errors import REFUSES_THE_CALLER, BodyTooLarge, InternalFailure, RouteUnknown
from aerodb.transport.failures import called, told
from aerodb.transport.problem import MEDIA_TYPE, problem_bytes

T = TypeVar("T")


class TracedRoute(Route):
    """A route that makes each call a span of the caller's trace."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call."""
        with extract(Headers(scope=scope)), span(f"{scope['method']} {self.path}", kind="server"):
            await super().handle(scope, receive, send)


async def body_of(request: Request, size_max: int) -> bytes:
    """Return a request's body.

    Raises:
        BodyTooLarge: it has more than `size_max` bytes.
    """
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > size_max:
            raise BodyTooLarge(f"a body has at most {size_max} bytes")
    return bytes(data)


def answer(document: object) -> Response:
    """Return a document in canonical form."""
    return Response(canonical.encode(document), media_type="application/json")


async def read_aside(body: bytes, kind: type[T]) -> T:
    """Decode a body in a worker thread: a large one may take seconds, which would block all other calls.

    Raises:
        NotCanonical: it is not a canonical document of this kind.
    """
    return await run_in_threadpool(canonical.decode, body, kind)


def known_error(error: Exception, **asked: object) -> AeroError:
    """Return any error as an AeroError without internals; an unexpected one is written to the service's log."""
    if isinstance(error, HTTPException):
        known: AeroError = RouteUnknown(error.detail)
        known.status = error.status_code
        return known
    if isinstance(error, AeroError):
        return error
    return told(error, **asked)


def problem(
    request: Request, error: Exception, spoken: Callable[[AeroError], AeroError] = lambda known: known
) -> Response:
    """Return an error as a problem document, and write it to the service's log.

    `spoken` may return a different error for the caller's eyes.
    """
    caller = caller_in(request.scope)
    asked: dict[str, Any] = {**called(request.scope), "caller": caller.name, "kind": caller.kind}
    known = known_error(error, **asked)
    fail(known)
    if isinstance(known, InternalFailure):
        pass  # It is told already, with its traceback.
    elif known.code in REFUSES_THE_CALLER:
        say("caller refused", code=known.code, message=known.message, **asked)
    else:
        say("call refused", code=known.code, request=known.request or "", **asked)
    return Response(problem_bytes(spoken(known)), known.status, media_type=MEDIA_TYPE)


PROBLEMS = {AeroError: problem, HTTPException: problem, Exception: problem}
"""Starlette's exception handlers."""
