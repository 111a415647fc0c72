"""The agent's HTTP service, behind mutual TLS. Only the control plane may ask for more than the node's role.

A look is waited for so long and by so many; beyond that it is refused, so that a PostgreSQL that hangs holds up nothing
but looks at it.

GET  /primary, /standby?lag=  200 where the node serves as that, else 503 and why, as load balancers expect; HEAD and
                              OPTIONS too
GET  /v1/report?nonce=&rules= the signed facts, in the newest rules that the node speaks too of those that are named
GET  /v1/checkpoint?within=   the size of the log under the last checkpoint that the node saw, of at most so many
GET  /v1/holdings?nonce=      what the node holds of the log and of requests, signed
GET  /v1/holdings/{request}   one request of its journal
POST /v1/judge                an order's verdicts as they are now; runs nothing
POST /v1/orders               run an order; the answer is the signed outcome
GET  /metrics                 the node in numbers, for whoever may scrape
GET  /v1/events?since=&count= what changed on the node, as its observer saw it; the newest where `since` is left out;
                              on a primary the lag of its standbys, too
POST /v1/outcomes/{request}   what became of a request, established now where it is not known yet; its body is the
                              confirmation as it was logged
"""

import re
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from aerodb.errors import AeroError
from aerodb.kernel.agent import Agent
from aerodb.kernel.errors import LookUnanswered
from aerodb.kernel.events.journal import PAGE_EVENTS_MAX
from aerodb.kernel.events.observed import NodeObserved
from aerodb.kernel.looks import Looks
from aerodb.past.speaking import QUERY, SPOKEN, both_speak, read_stated
from aerodb.protocol.authority import Standing
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.plan import Confirmation, Extent, Order
from aerodb.rules.serving import Serving, lag_allowed, refused_as_primary, refused_as_standby
from aerodb.transport.caller import caller_in
from aerodb.transport.errors import CallerRefused, QueryMalformed
from aerodb.transport.metrics import CONTENT_TYPE, scraper_only
from aerodb.transport.rooms import CONTROL, Room, room_by_kind
from aerodb.transport.tls import Caller
from aerodb.transport.web import PROBLEMS, TracedRoute, answer, body_of, read_aside

LOOK_SECONDS_MAX = 10.0
"""Below what the control plane waits for an answer; above what a PostgreSQL that takes no connections is given."""
ROLE_SECONDS_MAX = 3.0
LOOKERS_MAX, SCRAPERS_MAX = 32, 4
"""How many wait for a look of each kind at most, well below the calls that are taken; balancers have their own room."""
ALWAYS_ANSWERED = frozenset({"/primary", "/standby"})
"""What is answered however many call: the answers cost one look for all, and a balancer must not miss one."""
ORDER_BYTES_MAX = 8 << 20
_CONTROL = msgspec.structs.replace(
    CONTROL, bodies=dict.fromkeys(("/v1/orders", "/v1/judge", "/v1/outcomes/"), ORDER_BYTES_MAX)
)
STARTING = "starting"
"""Why a node serves as nothing yet whose PostgreSQL starts together with its agent."""
NONCE = re.compile(r"[0-9a-f-]{36}|[0-9a-f]{64}")
"""The id of a request or of a look, or the digest of a confirmation's record."""


def room_of(caller: Caller) -> Room:
    """Return a caller's room at an agent: only the control plane sends what is large."""
    room = room_by_kind(caller)
    return _CONTROL if room is CONTROL else room


class NonceMalformed(AeroError):
    """The nonce is not the id of a request or of a look, nor the digest of a confirmation's record."""

    code = "input.nonce-malformed"
    status = 400
    title = "The nonce is malformed"


def control_only(_: Cluster, caller: Caller) -> None:
    """Refuse whoever is not the control plane.

    Raises:
        CallerRefused: so it is.
    """
    if caller.kind != "control":
        raise CallerRefused(f"{caller.name} ({caller.kind}) is not the control plane")


def anybody(_: Cluster, __: Caller) -> None:
    """Let everyone through who has a certificate of the cluster's authority."""


RouteGuard = Callable[[Cluster, Caller], None]
Answerer = Callable[[Request], Coroutine[Any, Any, Response]]


class AgentRoute(NamedTuple):
    """One of an agent's routes: who may call it is checked before anything else, by its guard."""

    path: str
    guard: RouteGuard
    methods: tuple[str, ...] = ("GET",)


ROUTES = (
    AgentRoute("/primary", anybody, ("GET", "OPTIONS")),  # Starlette adds HEAD where GET is.
    AgentRoute("/standby", anybody, ("GET", "OPTIONS")),
    AgentRoute("/metrics", scraper_only),
    AgentRoute("/v1/report", control_only),
    AgentRoute("/v1/checkpoint", control_only),
    AgentRoute("/v1/holdings", control_only),
    AgentRoute("/v1/holdings/{request}", control_only),
    AgentRoute("/v1/judge", control_only, ("POST",)),
    AgentRoute("/v1/orders", control_only, ("POST",)),
    AgentRoute("/v1/events", control_only),
    AgentRoute("/v1/outcomes/{request}", control_only, ("POST",)),
)
"""All that an agent answers, and whom; the page of the boundaries is made from it."""


def guarded(cluster: Cluster, guard: RouteGuard, handler: Answerer) -> Answerer:
    """Return a handler that is reached by those alone whom the guard lets through."""

    async def handle(request: Request) -> Response:
        guard(cluster, caller_in(request.scope))
        return await handler(request)

    return handle


def nonce_in(request: Request) -> str:
    """Return what the query says that the answer is for.

    Raises:
        NonceMalformed: it says nothing that a nonce can be.
    """
    nonce = request.query_params.get("nonce", "")
    if not NONCE.fullmatch(nonce):
        raise NonceMalformed("a nonce is a UUID or a SHA-256 in hexadecimal", field="nonce")
    return nonce


def rules_in(request: Request, node: str) -> str:
    """Return the newest rules that both the caller and this node speak.

    Raises:
        RulesMalformed: the query names rules in another form.
        RulesApart: there are none.
    """
    theirs = read_stated(request.query_params.get(QUERY))
    return both_speak(SPOKEN, theirs, (f"the agent of {node}", "the control plane"))[0]


def number_in(request: Request, name: str, default: int) -> int:
    """Return a number that the query gives, or `default`.

    Raises:
        QueryMalformed: it is not a number.
    """
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise QueryMalformed(f"{name} is not a number", field=name)
    return int(text)


def _serves(agent: Agent) -> tuple[Answerer, Answerer]:
    """Return what answers whether the node serves as the primary, and what whether it does as a standby.

    A node that cannot be looked at in time serves as nothing. However many ask, one look answers them all.
    """
    looks = Looks(agent.serving, ROLE_SECONDS_MAX)

    async def seen() -> tuple[Standing, Serving | None]:
        try:
            return await looks.now()
        except LookUnanswered:
            return agent.standing, None

    async def primary(_: Request) -> Response:
        if agent.starting:
            return _said("primary", STARTING)
        return _said("primary", refused_as_primary(agent.cluster, agent.name, *await seen()))

    async def standby(request: Request) -> Response:
        if agent.starting:
            return _said("standby", STARTING)
        asked = request.query_params.get("lag")
        allowed = None if asked is None else lag_allowed(asked)
        return _said("standby", refused_as_standby(*await seen(), allowed))

    return primary, standby


def _said(role: str, refused: str) -> Response:
    text = f"none: {refused}\n" if refused else f"{role}\n"
    return Response(text, 503 if refused else 200, media_type="text/plain")


def _holds(agent: Agent) -> tuple[Answerer, Answerer, Answerer]:
    """Return what answers what the node has seen of the log, what it holds of it, and one request of its journal."""

    async def checkpoint(request: Request) -> Response:
        within = number_in(request, "within", 0) if "within" in request.query_params else None
        return answer(Extent(size=agent.holder.seen_size(within)))

    async def holdings(request: Request) -> Response:
        return answer(await run_in_threadpool(agent.holder.holdings, nonce_in(request)))

    async def held(request: Request) -> Response:
        return answer(await run_in_threadpool(agent.holder.request, request.path_params["request"]))

    return checkpoint, holdings, held


def application(agent: Agent, observed: NodeObserved) -> Starlette:
    """Return the application of an agent and of what is observed of its node."""
    events = observed.journal
    facts = Looks(agent.facts, LOOK_SECONDS_MAX, LOOKERS_MAX)
    primary, standby = _serves(agent)
    checkpoint, holdings, held = _holds(agent)
    scraped = Looks(observed.metrics, LOOK_SECONDS_MAX, SCRAPERS_MAX)

    async def report(request: Request) -> Response:
        nonce, rules = nonce_in(request), rules_in(request, agent.name)
        return answer(agent.report(nonce, await facts.now(), rules))

    async def judge(request: Request) -> Response:
        order = await read_aside(await body_of(request, ORDER_BYTES_MAX), Order)
        verdicts = await run_in_threadpool(agent.judge, order, await facts.now())
        return answer({"verdicts": list(verdicts)})

    async def orders(request: Request) -> Response:
        order = await read_aside(await body_of(request, ORDER_BYTES_MAX), Order)
        return answer(await run_in_threadpool(agent.run, order))

    async def metrics(_: Request) -> Response:
        return Response(await scraped.now(), media_type=CONTENT_TYPE)

    async def journal(request: Request) -> Response:
        count = number_in(request, "count", PAGE_EVENTS_MAX)
        since = number_in(request, "since", max(events.last - count, 0))
        return await run_in_threadpool(lambda: answer(observed.page(since, count)))

    async def outcomes(request: Request) -> Response:
        shown = await read_aside(await body_of(request, ORDER_BYTES_MAX), Confirmation)
        return answer(await run_in_threadpool(agent.outcome, request.path_params["request"], shown))

    answering: dict[str, Answerer] = {
        "/primary": primary,
        "/standby": standby,
        "/metrics": metrics,
        "/v1/report": report,
        "/v1/checkpoint": checkpoint,
        "/v1/holdings": holdings,
        "/v1/holdings/{request}": held,
        "/v1/judge": judge,
        "/v1/orders": orders,
        "/v1/events": journal,
        "/v1/outcomes/{request}": outcomes,
    }
    return Starlette(
        routes=[
            TracedRoute(path, guarded(agent.cluster, guard, answering[path]), methods=list(methods))
            for path, guard, methods in ROUTES
        ],
        exception_handlers=PROBLEMS,
    )
