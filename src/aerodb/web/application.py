"""The admin UI as an application: who calls, which page, its bytes. Pages decide nothing; the control plane does."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from aerodb.control.access import Access
from aerodb.control.errors import SessionUnknown
from aerodb.control.plane import ControlPlane
from aerodb.control.veil import told
from aerodb.errors import AeroError
from aerodb.protocol.cluster import Role
from aerodb.tracing import span
from aerodb.transport.errors import CallerRefused, RouteUnknown
from aerodb.transport.failures import called
from aerodb.transport.guard import Guard
from aerodb.transport.peer import PeerProgram, peer_of
from aerodb.transport.secret import same
from aerodb.transport.tls import Caller
from aerodb.transport.web import known_error
from aerodb.web.errors import FormForged
from aerodb.web.forms import form_of, query_of
from aerodb.web.rendering import MEDIA_TYPES, assets, render
from aerodb.web.site import NAVIGATION, PAGES, SitePage
from aerodb.web.visit import Download, Json, Onward, Page, PageAnswer, Visit, form_token

BROUGHT = "/enter/ticket"
"""Where a file of the person's own sends their ticket: the one path that may be sent to from elsewhere."""
FOR_EVER = "public, max-age=31536000, immutable"
Handler = Callable[[Request], Awaitable[Response]]


class Site:
    """The pages of one control plane."""

    def __init__(self, plane: ControlPlane) -> None:
        """Keep whose pages they are."""
        self._plane = plane
        cluster = plane.cluster
        self._secure = cluster.web_origin.startswith("https:")
        self._local = cluster.web_is_local
        # Cookies know no ports: two clusters on one machine must not sign each other's people out.
        self._cookie = f"{'__Host-' if self._secure else ''}aerodb-{cluster.id[:8]}"
        self._common = {"cluster_name": cluster.name, "navigation": NAVIGATION}

    # Who calls --------------------------------------------------------------------------------------------------

    def _peer(self, request: Request) -> PeerProgram | None:
        """Return which program calls; its account alone where browsers are elsewhere, and a proxy may be what calls."""
        found = peer_of(request.scope["server"], request.scope["client"])
        return found if found is None or self._local else found.its_account

    def _who(self, request: Request, session: str) -> Access:
        return self._plane.visitor(session, self._peer(request))

    async def _visit(self, request: Request) -> Visit:
        session = request.cookies.get(self._cookie, "")
        visit = Visit(
            access=await run_in_threadpool(self._who, request, session),
            session=session,
            path=dict(request.path_params),
            query=query_of(request),
            form=await form_of(request),
        )
        if request.method == "POST" and not same(visit.form.get("token", ""), form_token(session)):
            raise FormForged("reload the page that the form is on, and send it again")
        return visit

    def handler(self, entry: SitePage) -> Handler:
        """Return what answers the calls for one page."""

        async def handle(request: Request) -> Response:
            visit = await self._visit(request)
            try:
                with span(f"page {entry.method} {entry.path}", kind="server"):
                    return await run_in_threadpool(self._answered, entry, visit)
            except AeroError as error:
                return self._problem(error, visit)

        return handle

    def _answered(self, entry: SitePage, visit: Visit) -> Response:
        """Return a page's answer, rendered: beside the event loop, so that a large page holds up nobody."""
        return self._response(self._answer(entry, visit), visit)

    def _answer(self, entry: SitePage, visit: Visit) -> PageAnswer:
        """Return a page's answer; a person who would change something that they may not is recorded."""
        try:
            return entry.answer(visit)
        except CallerRefused as error:
            if entry.method == "POST":
                caller = Caller(name=visit.person.name, kind="person")
                self._plane.turned_away(caller, visit.path.get("request", ""), error)
            raise

    async def enter(self, request: Request) -> Response:
        """Say how to sign in, or spend a ticket that a page of this site sends."""
        if request.method == "GET":
            return self._enter_page("", "")
        ticket = (await form_of(request)).get("ticket", "").strip()
        token = await run_in_threadpool(lambda: self._plane.door.enter(ticket, self._peer(request)))
        response = RedirectResponse("/", 303)
        response.set_cookie(self._cookie, token, path="/", httponly=True, samesite="strict", secure=self._secure)
        return response

    async def bring(self, request: Request) -> Response:
        """Show the ticket that a person's own file brought, with one button; this spends and changes nothing."""
        ticket = (await form_of(request)).get("ticket", "")
        return self._enter_page(ticket, self._plane.door.asker(ticket))

    def _enter_page(self, ticket: str, asker: str, status: int = 200, *, unsent: bool = False) -> Response:
        """Return the page that signs in; `unsent` says that a form came without a session, and nothing was done."""
        values = {"ticket": ticket, "asker": asker, "person": None, "here": "", "unsent": unsent}
        return self._html("enter.html", values, status)

    async def leave(self, request: Request) -> Response:
        """Sign the person out."""
        await run_in_threadpool(self._plane.door.leave, (await self._visit(request)).session)
        response = RedirectResponse("/enter", 303)
        response.delete_cookie(self._cookie, path="/", httponly=True, samesite="strict", secure=self._secure)
        return response

    # Answers ----------------------------------------------------------------------------------------------------

    def _response(self, answer: PageAnswer, visit: Visit) -> Response:
        if isinstance(answer, Onward):
            return RedirectResponse(answer.to, 303)
        if isinstance(answer, Download):
            headers = {"Content-Disposition": f'attachment; filename="{answer.name}"'}
            return StreamingResponse(answer.parts, 200, headers, answer.media_type)
        if isinstance(answer, Json):
            return Response(msgspec.json.encode(answer.value), media_type="application/json")
        return self._html(answer.template, page_values(answer, visit), answer.status)

    def _html(self, template: str, values: dict[str, Any], status: int) -> Response:
        return Response(render(template, {**self._common, **values}), status, media_type="text/html")

    def _problem(self, error: AeroError, visit: Visit | None = None) -> Response:
        """Return the page of an error; nothing of the inside reaches the person."""
        if isinstance(error, SessionUnknown):
            return self._enter_page("", "", error.status)
        error = told(error, live=visit is not None and visit.person.role is Role.OPERATOR)
        who: dict[str, Any] = {"person": None}
        if visit is not None:
            who = {"person": visit.person, "token": form_token(visit.session)}
        return self._html("error.html", {**who, "here": "", "error": error}, error.status)

    def refused(self, error: AeroError) -> Response:
        """Return the page of a refusal to someone who is not known yet."""
        return self._problem(error)

    async def failed(self, request: Request, error: Exception) -> Response:
        """Return the page of whatever went wrong outside of a page."""
        if isinstance(error, SessionUnknown) and request.method == "POST":
            return self._enter_page("", "", error.status, unsent=True)
        return self._problem(known_error(error, **called(request.scope)))


def page_values(page: Page, visit: Visit) -> dict[str, Any]:
    """Return everything that a page's template is given, but for what is the same on every page."""
    return {**page.values, "here": page.here, "person": visit.person, "token": form_token(visit.session)}


async def _asset(request: Request) -> Response:
    for path, data in assets().values():
        if path == request.url.path:
            media_type = MEDIA_TYPES[path[path.rindex(".") :]]
            return Response(data, 200, {"Cache-Control": FOR_EVER}, media_type)
    raise RouteUnknown("there is no such asset")


def application(plane: ControlPlane) -> Starlette:
    """Return the admin UI's application."""
    site = Site(plane)
    return Starlette(
        routes=[
            Route("/enter", site.enter, methods=["GET", "POST"]),
            Route(BROUGHT, site.bring, methods=["POST"]),
            Route("/leave", site.leave, methods=["POST"]),
            Route("/assets/{name}", _asset),
            *(Route(each.path, site.handler(each), methods=[each.method]) for each in PAGES),
        ],
        middleware=[
            Middleware(Guard, origin=plane.cluster.web_origin, refuse=site.refused, from_files=frozenset({BROUGHT}))
        ],
        exception_handlers={AeroError: site.failed, HTTPException: site.failed, Exception: site.failed},
    )
