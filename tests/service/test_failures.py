"""A service that fails in a way it does not know: the log has the traceback, under the id that the caller is shown."""

import io
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog  # noqa: F401 - it takes what is standard output when it is first loaded for the process's own.
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from aerodb.errors import AeroError
from aerodb.logs import _loggers, configure
from aerodb.transport.problem import Problem, problem_bytes, refused_by
from aerodb.transport.secret import same
from aerodb.transport.server import Server
from aerodb.transport.web import PROBLEMS
from tests.faults.waiting import wait_until
from tests.service.test_doors import Service

SECRET_INSIDE = "what nobody outside may read"


async def handled(_: Request) -> Response:
    """Fail where the application's own handlers answer."""
    raise TypeError(SECRET_INSIDE)


async def streamed(_: Request) -> Response:
    """Fail when a part of the answer was sent."""

    async def parts() -> AsyncIterator[bytes]:
        yield b"begun"
        raise TypeError(SECRET_INSIDE)

    return StreamingResponse(parts())


async def bare(scope: Any, _receive: Any, _send: Any) -> None:
    """Fail outside of every handler."""
    raise TypeError(f"{SECRET_INSIDE} {scope['path']}")


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Return what the process logs meanwhile."""
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stdout", screen)
    configure("json", "x")
    yield screen
    _loggers.clear()


def failures(lines: io.StringIO) -> list[dict[str, Any]]:
    """Return the failures that are told."""
    found = [json.loads(line) for line in lines.getvalue().splitlines()]
    return [each for each in found if "Traceback" in each.get("exception", "")]


ROUTED = Starlette(routes=[Route("/handled", handled), Route("/streamed", streamed)], exception_handlers=PROBLEMS)


@pytest.mark.parametrize(("app", "path"), [(ROUTED, "/handled"), (ROUTED, "/streamed"), (bare, "/bare?secret=1")])
def test_every_failure_is_told_once_with_its_traceback(tmp_path: Path, lines: io.StringIO, app: Any, path: str) -> None:
    """Whoever fails: a route, an answer that was begun, or the application around them; and the query is not told."""
    service = Service(tmp_path)
    with service.serving(Server(app, service.tls("control"))), suppress(AeroError):
        service.client("ada").get(path)
    wait_until(lambda: len(failures(lines)) == 1)
    told = failures(lines)[0]
    assert f"TypeError: {SECRET_INSIDE}" in told["exception"]
    assert (told["event"], told["path"]) == ("internal failure", path.partition("?")[0])
    assert "secret=1" not in lines.getvalue()


@pytest.mark.parametrize(("app", "path"), [(ROUTED, "/handled"), (bare, "/bare")])
def test_the_caller_is_shown_the_id_and_nothing_of_the_inside(
    tmp_path: Path, lines: io.StringIO, app: Any, path: str
) -> None:
    """The problem's id is that of the log's line."""
    service = Service(tmp_path)
    with service.serving(Server(app, service.tls("control"))), pytest.raises(AeroError) as error:
        service.client("ada").get(path)
    told = failures(lines)[0]
    assert (error.value.code, error.value.executed) == ("control.internal", "unknown")
    assert error.value.detail["id"] == told["id"]
    assert told["id"] in error.value.message
    assert SECRET_INSIDE not in error.value.message


@given(st.text(alphabet=st.characters(), max_size=80))
@example("é")
@example("\ud800")
@example("")
def test_a_secret_is_compared_with_any_text(given: str) -> None:
    """Nothing that is sent fails the comparison, and only the secret is the secret."""
    assert same(given, "sesame") is (given == "sesame")


def test_a_refusal_says_what_cannot_be_said_in_unicode() -> None:
    """A text that is no Unicode, as a command line's may be, is told escaped."""
    body = problem_bytes(AeroError("\ud800", field="\ud800", detail={"x": "\ud800"}))
    assert msgspec.json.decode(body, type=Problem).detail == "\\ud800"
    assert refused_by(500, body).message == "\\ud800"
