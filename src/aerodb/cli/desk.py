"""A page on this machine that registers one authenticator, for one person, once, and for a bounded time.

The command line serves it, and reads the browser's answer itself: so no other party can put a key of its own in the
place of the authenticator's.

- Only who has the link gets anything: its path is a secret that is drawn anew each time, and nothing else is answered.
- The link takes one answer, sound or not. The challenge is this link's, and is kept in memory alone.
- Both families of the loopback interface are taken, so that nobody else on the machine can answer for `localhost`.
- The page is guarded as the admin UI's are: its own host and origin, nothing inline, nothing from elsewhere, no frame.
"""

import logging
import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aerodb.cli.failures import LinkUsed, RegistrationLapsed
from aerodb.errors import AeroError
from aerodb.protocol import canonical
from aerodb.protocol.cluster import Cluster
from aerodb.registration import CHALLENGE_BYTES, Registered, creation_options, read_registration
from aerodb.transport.errors import RouteUnknown
from aerodb.transport.guard import Guard
from aerodb.transport.problem import MEDIA_TYPE, problem_bytes
from aerodb.transport.secret import same
from aerodb.transport.server import PageServer, listen_as_localhost
from aerodb.transport.web import body_of, known_error
from aerodb.views.credentials import shown_credential
from aerodb.views.render import shown

SECRET_BYTES = 32
ANSWER_BYTES_MAX = 64 << 10
ASSETS = {
    "/register.css": "text/css; charset=utf-8",
    "/register.js": "text/javascript; charset=utf-8",
    "/register.svg": "image/svg+xml",
}


def _file(name: str) -> str:
    return (files("aerodb.cli") / "templates" / name).read_text(encoding="utf-8")


def _problem(error: Exception) -> Response:
    known = known_error(error)
    return Response(problem_bytes(known), known.status, media_type=MEDIA_TYPE)


async def _failed(_: Request, error: Exception) -> Response:
    return _problem(error)


async def _asset(request: Request) -> Response:
    return Response(_file(request.url.path[1:]), media_type=ASSETS[request.url.path])


class Desk:
    """The page of one registration by `person`; `known` are their credentials, which no browser makes anew."""

    def __init__(self, cluster: Cluster, person: str, known: tuple[str, ...], port: int) -> None:
        """Draw the secret and the challenge; the page is at `port` of the admin UI's host, which is this machine."""
        self._cluster, self._person, self._known = cluster, person, known
        self._origin = f"http://{cluster.rp_id}:{port}"
        self._secret = secrets.token_urlsafe(SECRET_BYTES)
        self._challenge = secrets.token_bytes(CHALLENGE_BYTES)
        self._used = threading.Lock()
        self._found: Future[Registered] = Future()

    @property
    def link(self) -> str:
        """Return the page's address: whoever has it can answer, once."""
        return f"{self._origin}/{self._secret}"

    def wait(self, seconds: float) -> Registered:
        """Return the credential that the browser answered with.

        Raises:
            RegistrationLapsed: it answered nothing in that time.
            ResponseMalformed, RegistrationInvalid: its answer is not a sound credential.
        """
        answered, _ = wait([self._found], seconds)
        if not answered:
            raise RegistrationLapsed(f"no authenticator was registered within {seconds:g} seconds")
        return self._found.result()

    # The page ---------------------------------------------------------------------------------------------------------

    async def _page(self, request: Request) -> Response:
        self._check(request)
        options = creation_options(self._cluster, self._person, self._challenge, self._known)
        environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        text = environment.from_string(_file("register.html")).render(
            cluster=shown(self._cluster.name),
            person=shown(self._person),
            origin=shown(self._cluster.web_origin),
            options=canonical.encode(options).decode(),
        )
        return Response(text, media_type="text/html")

    async def _answer(self, request: Request) -> Response:
        self._check(request)
        body = await body_of(request, ANSWER_BYTES_MAX)
        if not self._used.acquire(blocking=False):
            raise LinkUsed("the link takes one answer, and has it")
        try:
            text = body.decode(errors="replace")
            found = await run_in_threadpool(
                read_registration, self._cluster, self._person, text, self._challenge, self._origin
            )
        except Exception as error:
            self._found.set_exception(error)
            raise
        self._found.set_result(found)
        return Response(canonical.encode(shown_credential(found.endorsement)), media_type="application/json")

    def _check(self, request: Request) -> None:
        if not same(request.path_params["secret"], self._secret):
            raise RouteUnknown("there is nothing here")

    def application(self) -> Starlette:
        """Return the page as an application."""
        return Starlette(
            routes=[
                *(Route(path, _asset) for path in ASSETS),
                Route("/{secret}", self._page, methods=["GET"]),
                Route("/{secret}", self._answer, methods=["POST"]),
            ],
            middleware=[Middleware(Guard, origin=self._origin, refuse=_problem)],
            exception_handlers=dict.fromkeys((AeroError, HTTPException, Exception), _failed),
        )


@contextmanager
def served(cluster: Cluster, person: str, known: tuple[str, ...]) -> Iterator[Desk]:
    """Serve the page while the block runs; afterwards nothing of it is left.

    Raises:
        OSError: the loopback interface has no free port.
    """
    logging.getLogger("uvicorn").addHandler(logging.NullHandler())  # A stranger's call is no line on this terminal.
    bound, *more = listen_as_localhost()
    desk = Desk(cluster, person, known, bound.getsockname()[1])
    asked_to_end = threading.Event()
    server = PageServer(desk.application(), None)
    serving = threading.Thread(target=server.run_on, args=(bound, asked_to_end, *more), name="page")
    serving.start()
    try:
        yield desk
    finally:
        asked_to_end.set()
        serving.join()
