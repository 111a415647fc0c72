"""The agent's HTTP service, over mutual TLS. Only the control plane may ask for more than the role and the metrics.

The number of callers that wait for a look, and their time, are bounded: a PostgreSQL that hangs holds up only looks.

GET  /primary, /standby?lag=  200 if the node serves in that role, else 503 and why, as load balancers expect; HEAD and
                              OPTIONS too
GET  /v1/report?nonce=&rules= the signed facts, in the newest of the named rules that the node speaks
GET  /v1/checkpoint?within=   the log's size by the newest checkpoint that the node saw (of at most `within` records)
GET  /v1/holdings?nonce=      what the node holds of the log and of requests, signed
GET  /v1/holdings/{request}   one request of its journal
POST /v1/judge                an order's verdicts as they are now; runs nothing
POST /v1/orders               run an order; the answer is the signed outcome
POST /v1/holds                hold an order that comes after another request; the answer is the signed report that shows
                              it, or the signed outcome that it was refused
POST /v1/holds/{request}/trigger   run the held order, whose turn has come; the answer is the signed outcome
POST /v1/holds/{request}/withdraw  drop the held order; the answer is the signed outcome
GET  /metrics                 the node in numbers, for callers that may scrape
GET  /v1/events?since=&count= what changed on the node, as its observer saw it; the newest if `since` is left out;
                              on a primary also the lag of its standbys
POST /v1/outcomes/{request}   what became of a request, established now if it is not known yet; the body is the logged
                              confirmation

An agent that only watches refuses whatever acts, or would tell what became of acting: it has no hands.
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
from aerodb.kernel.errors import LookUnanswered, OnlyWatched
from aerodb.kernel.events.journal import PAGE_EVENTS_MAX
from aerodb.kernel.events.observed import NodeObserved
from aerodb.kernel.looking import Acting, Looking
from aerodb.kernel.looks import Looks
from aerodb.past.speaking import QUERY, both_speak, read_stated
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import Facts
from aerodb.protocol.plan import Confirmation, Extent, Order, Trigger
from aerodb.rules.serving import Serving, lag_allowed
from aerodb.transport.caller import caller_in
from aerodb.transport.errors import CallerRefused, QueryMalformed
from aerodb.transport.metrics import CONTENT_TYPE, scraper_only
from aerodb.transport.rooms import CONTROL, Room, room_by_kind
from aerodb.transport.tls import Caller
from aerodb.transport.web import PROBLEMS, TracedRoute, answer, body_of, read_aside

LOOK_SECONDS_MAX = 10.0
"""Shorter than the control plane waits for an answer, and longer than a look waits for a PostgreSQL that hangs."""
ROLE_SECONDS_MAX = 3.0
LOOKERS_MAX, SCRAPERS_MAX = 32, 4
"""The most callers that wait for a look of each kind, well below the limit of calls; load balancers are separate."""
ALWAYS_ANSWERED = frozenset({"/primary", "/standby"})
"""Answered however many call: all callers share one look, and a load balancer must not miss an answer."""
ORDER_BYTES_MAX = 8 << 20
_CONTROL = msgspec.structs.replace(
    CONTROL, bodies=dict.fromkeys(("/v1/orders", "/v1/judge", "/v1/outcomes/", "/v1/holds"), ORDER_BYTES_MAX)
)
STARTING = "starting"
"""Why a node does not serve yet: its PostgreSQL is being started together with its agent."""
NONCE = re.compile(r"[0-9a-f-]{36}|[0-9a-f]{64}")
"""The form of a nonce: the id of a request or of a look, or the digest of a confirmation's record."""


def room_of(caller: Caller) -> Room:
    """Return a caller's room at an agent: only the control plane may send large bodies."""
    room = room_by_kind(caller)
    return _CONTROL if room is CONTROL else room


class NonceMalformed(AeroError):
    """The nonce is not the id of a request or of a look, nor the digest of a confirmation's record."""

    code = "input.nonce-malformed"
    status = 400
    title = "The nonce is malformed"


def control_only(_: Cluster, caller: Caller) -> None:
    """Refuse a caller that is not the control plane.

    Raises:
        CallerRefused: the caller is somebody else.
    """
    if caller.kind != "control":
        raise CallerRefused(f"{caller.name} ({caller.kind}) is not the control plane")


def anybody(_: Cluster, __: Caller) -> None:
    """Let through every caller with a certificate of the cluster's authority."""


RouteGuard = Callable[[Cluster, Caller], None]
Answerer = Callable[[Request], Coroutine[Any, Any, Response]]


class AgentRoute(NamedTuple):
    """One of an agent's routes; its guard checks who may call it before anything else.

    `acts` is true of what is for an agent with hands alone: one that only watches refuses it.
    """

    path: str
    guard: RouteGuard
    methods: tuple[str, ...] = ("GET",)
    acts: bool = False


ROUTES = (
    AgentRoute("/primary", anybody, ("GET", "OPTIONS")),  # Starlette adds HEAD where GET is.
    AgentRoute("/standby", anybody, ("GET", "OPTIONS")),
    AgentRoute("/metrics", scraper_only),
    AgentRoute("/v1/report", control_only),
    AgentRoute("/v1/checkpoint", control_only),
    AgentRoute("/v1/holdings", control_only),
    AgentRoute("/v1/holdings/{request}", control_only),
    AgentRoute("/v1/judge", control_only, ("POST",), acts=True),
    AgentRoute("/v1/orders", control_only, ("POST",), acts=True),
    AgentRoute("/v1/holds", control_only, ("POST",), acts=True),
    AgentRoute("/v1/holds/{request}/trigger", control_only, ("POST",), acts=True),
    AgentRoute("/v1/holds/{request}/withdraw", control_only, ("POST",), acts=True),
    AgentRoute("/v1/events", control_only),
    AgentRoute("/v1/outcomes/{request}", control_only, ("POST",), acts=True),
)
"""All routes of an agent, and who may call each; docs/boundaries.md is made from it."""


def guarded(cluster: Cluster, guard: RouteGuard, handler: Answerer) -> Answerer:
    """Return `handler` behind `guard`."""

    async def handle(request: Request) -> Response:
        guard(cluster, caller_in(request.scope))
        return await handler(request)

    return handle


def nonce_in(request: Request) -> str:
    """Return the nonce in the query.

    Raises:
        NonceMalformed: it is missing or malformed.
    """
    nonce = request.query_params.get("nonce", "")
    if not NONCE.fullmatch(nonce):
        raise NonceMalformed("a nonce is a UUID or a SHA-256 in hexadecimal", field="nonce")
    return nonce


def rules_in(request: Request, agent: Looking) -> str:
    """Return the newest rules that both the caller and this agent speak.

    Raises:
        RulesMalformed: the query names rules in a wrong form.
        RulesApart: they have none in common.
    """
    theirs = read_stated(request.query_params.get(QUERY))
    return both_speak(agent.speaks, theirs, (f"the agent of {agent.name}", "the control plane"))[0]


def number_in(request: Request, name: str, default: int) -> int:
    """Return a number that the query gives, or `default`.

    Raises:
        QueryMalformed: it is not a number.
    """
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise QueryMalformed(f"{name} is not a number", field=name)
    return int(text)


def _serves(agent: Looking) -> tuple[Answerer, Answerer]:
    """Return the handlers of /primary and /standby.

    A node that cannot be looked at in time serves in no role. One look answers all callers that wait for it.
    """
    looks = Looks(agent.serving, ROLE_SECONDS_MAX)

    async def seen() -> Serving | None:
        try:
            return await looks.now()
        except LookUnanswered:
            return None

    async def primary(_: Request) -> Response:
        if agent.starting:
            return _said("primary", STARTING)
        return _said("primary", agent.refused_as_primary(await seen()))

    async def standby(request: Request) -> Response:
        if agent.starting:
            return _said("standby", STARTING)
        asked = request.query_params.get("lag")
        allowed = None if asked is None else lag_allowed(asked)
        return _said("standby", agent.refused_as_standby(await seen(), allowed))

    return primary, standby


def _said(role: str, refused: str) -> Response:
    text = f"none: {refused}\n" if refused else f"{role}\n"
    return Response(text, 503 if refused else 200, media_type="text/plain")


def _holds(agent: Looking) -> tuple[Answerer, Answerer, Answerer]:
    """Return the handlers of /v1/checkpoint, /v1/holdings and /v1/holdings/{request}."""

    async def checkpoint(request: Request) -> Response:
        within = number_in(request, "within", 0) if "within" in request.query_params else None
        return answer(Extent(size=agent.holder.seen_size(within)))

    async def holdings(request: Request) -> Response:
        return answer(await run_in_threadpool(agent.holder.holdings, nonce_in(request)))

    async def held(request: Request) -> Response:
        return answer(await run_in_threadpool(agent.holder.request, request.path_params["request"]))

    return checkpoint, holdings, held


def _orders(agent: Acting, facts: Looks[Facts]) -> dict[str, Answerer]:
    """Return the handlers of /v1/judge, /v1/orders and /v1/outcomes/{request}; `facts` is a look at the node."""

    async def judge(request: Request) -> Response:
        order = await read_aside(await body_of(request, ORDER_BYTES_MAX), Order)
        verdicts = await run_in_threadpool(agent.judge, order, await facts.now())
        return answer({"verdicts": list(verdicts)})

    async def orders(request: Request) -> Response:
        order = await read_aside(await body_of(request, ORDER_BYTES_MAX), Order)
        return answer(await run_in_threadpool(agent.run, order))

    async def outcomes(request: Request) -> Response:
        shown = await read_aside(await body_of(request, ORDER_BYTES_MAX), Confirmation)
        return answer(await run_in_threadpool(agent.outcome, request.path_params["request"], shown))

    return {"/v1/judge": judge, "/v1/orders": orders, "/v1/outcomes/{request}": outcomes}


def _held(agent: Acting) -> dict[str, Answerer]:
    """Return the handlers of /v1/holds, of a held order's trigger, and of its withdrawal."""

    async def hold(request: Request) -> Response:
        order = await read_aside(await body_of(request, ORDER_BYTES_MAX), Order)
        return answer(await run_in_threadpool(agent.hold, order))

    async def trigger(request: Request) -> Response:
        sent = await read_aside(await body_of(request, ORDER_BYTES_MAX), Trigger)
        if sent.request != request.path_params["request"]:
            raise QueryMalformed("the trigger is of another request than the path", field="request")
        return answer(await run_in_threadpool(agent.trigger, sent))

    async def withdraw(request: Request) -> Response:
        return answer(await run_in_threadpool(agent.withdraw, request.path_params["request"]))

    return {
        "/v1/holds": hold,
        "/v1/holds/{request}/trigger": trigger,
        "/v1/holds/{request}/withdraw": withdraw,
    }


def _handless(agent: Looking) -> dict[str, Answerer]:
    """Return the refusals of an agent that has no hands, of every route that acts."""

    async def refuse(_: Request) -> Response:
        raise OnlyWatched(f"{agent.name} is only watched: its agent has no hands, and nothing was done")

    return {route.path: refuse for route in ROUTES if route.acts}


def application(agent: Acting, observed: NodeObserved) -> Starlette:
    """Return the web application of an agent and of its observer."""
    facts = Looks(agent.facts, LOOK_SECONDS_MAX, LOOKERS_MAX)
    return _application(agent, observed, facts, _orders(agent, facts) | _held(agent))


def watching_application(agent: Looking, observed: NodeObserved) -> Starlette:
    """Return the web application of an agent that only watches, and of its observer."""
    return _application(agent, observed, Looks(agent.facts, LOOK_SECONDS_MAX, LOOKERS_MAX), _handless(agent))


def _application(agent: Looking, observed: NodeObserved, facts: Looks[Facts], acting: dict[str, Answerer]) -> Starlette:
    """Return the web application that answers every route; `acting` are the handlers of those that act."""
    events = observed.journal
    primary, standby = _serves(agent)
    checkpoint, holdings, held = _holds(agent)
    scraped = Looks(observed.metrics, LOOK_SECONDS_MAX, SCRAPERS_MAX)

    async def report(request: Request) -> Response:
        nonce, rules = nonce_in(request), rules_in(request, agent)
        return answer(agent.report(nonce, observed.told(await facts.now()), rules))

    async def metrics(_: Request) -> Response:
        return Response(await scraped.now(), media_type=CONTENT_TYPE)

    async def journal(request: Request) -> Response:
        count = number_in(request, "count", PAGE_EVENTS_MAX)
        since = number_in(request, "since", max(events.last - count, 0))
        return await run_in_threadpool(lambda: answer(observed.page(since, count)))

    answering: dict[str, Answerer] = {
        "/primary": primary,
        "/standby": standby,
        "/metrics": metrics,
        "/v1/report": report,
        "/v1/checkpoint": checkpoint,
        "/v1/holdings": holdings,
        "/v1/holdings/{request}": held,
        "/v1/events": journal,
        **acting,
    }
    return Starlette(
        routes=[
            TracedRoute(path, guarded(agent.cluster, guard, answering[path]), methods=list(methods))
            for path, guard, methods, _ in ROUTES
        ],
        exception_handlers=PROBLEMS,
    )
