"""Errors over HTTP. Source: RFC 9457 (problem details), with our own members beside its own."""

from typing import TypeVar

import msgspec

from aerodb.errors import AeroError, Executed
from aerodb.protocol import canonical
from aerodb.transport.errors import AnswerMalformed, Refused

MEDIA_TYPE = "application/problem+json"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal as it crosses the wire: RFC 9457's members, then ours."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    domain: str
    executed: Executed
    invariants: tuple[str, ...] = ()
    field: str | None = None
    request: str | None = None
    more: dict[str, str] = {}


def problem_of(error: AeroError) -> Problem:
    """Return `error` as a problem; lone surrogates, which UTF-8 cannot encode, are escaped."""
    return Problem(
        type=f"urn:aerodb:error:{error.code}",
        title=error.title,
        status=error.status,
        detail=_told(error.message),
        code=error.code,
        domain=error.domain,
        executed=error.executed,
        invariants=error.invariants,
        field=None if error.field is None else _told(error.field),
        request=None if error.request is None else _told(error.request),
        more={name: _told(value) for name, value in error.detail.items()},
    )


def _told(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def problem_bytes(error: AeroError) -> bytes:
    """Return `error` as the body of an answer."""
    return msgspec.json.encode(problem_of(error))


def refused_by(status: int, body: bytes) -> AeroError:
    """Return an error answer as an error: the other side's refusal, or AnswerMalformed if it is no problem document."""
    try:
        problem = msgspec.json.decode(body, type=Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        said = body[:200].decode(errors="replace")
        return AnswerMalformed(f"HTTP {status}: {said}")
    refused = Refused(
        problem.detail,
        field=problem.field,
        invariants=problem.invariants,
        executed=problem.executed,
        request=problem.request,
        detail=problem.more,
    )
    refused.code, refused.status, refused.title = problem.code, problem.status, problem.title
    return refused


T = TypeVar("T")


def read_answer(body: bytes, kind: type[T]) -> T:
    """Decode the document in an answer.

    Raises:
        AnswerMalformed: it is not a canonical document of this kind.
    """
    try:
        return canonical.decode(body, kind)
    except canonical.NotCanonical as error:
        raise AnswerMalformed(f"the answer is not a {kind.__name__}: {error.message}") from error
