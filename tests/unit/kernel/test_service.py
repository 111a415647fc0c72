"""The routes of an agent: whom a route is for is checked before anything that answers it."""

import asyncio

import pytest
from starlette.requests import Request
from starlette.responses import Response

from aerodb.kernel.service import ROUTES, AgentRoute, RouteGuard, anybody, control_only, guarded
from aerodb.transport.caller import CALLER
from aerodb.transport.errors import CallerRefused
from aerodb.transport.metrics import scraper_only
from aerodb.transport.tls import Caller
from tests.unit.rules.scenes import CLUSTER

CALLERS: dict[str, tuple[Caller, set[RouteGuard]]] = {
    "the control plane": (Caller(name="control", kind="control"), {control_only, scraper_only, anybody}),
    "a monitor": (Caller(name="monitor", kind="monitor"), {scraper_only, anybody}),
    "a balancer": (Caller(name="balancer", kind="balancer"), {anybody}),
    "an agent": (Caller(name="n1", kind="agent"), {anybody}),
    "a person called control": (Caller(name="control", kind="person"), {anybody}),
    "a stranger": (Caller(name="nobody", kind="person"), {anybody}),
}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
@pytest.mark.parametrize("who", CALLERS)
def test_nothing_answers_whom_a_route_is_not_for(route: AgentRoute, who: str) -> None:
    """The handler is reached by those alone whom the row names, by kind and never by name; others are refused first."""
    caller, allowed = CALLERS[who]
    reached = list[str]()

    async def handler(_: Request) -> Response:
        reached.append(who)
        return Response()

    request = Request({"type": "http", "extensions": {CALLER: caller}})
    answer = guarded(CLUSTER, route.guard, handler)(request)
    if route.guard in allowed:
        asyncio.run(answer)
    else:
        with pytest.raises(CallerRefused):
            asyncio.run(answer)
    assert bool(reached) == (route.guard in allowed)
