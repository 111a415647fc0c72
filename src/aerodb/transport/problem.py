"""Errors over HTTP. Source: RFC 9457 (problem details), with our own members beside its own."""

import re
from typing import TypeVar

import msgspec

from aerodb.errors import AeroError, Executed, writable
from aerodb.protocol import canonical
from aerodb.transport.errors import AnswerMalformed, Refused

MEDIA_TYPE = "application/problem+json"
_CODE = re.compile(r"(input|control|kernel|transport)\.[a-z0-9-]{1,60}")


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
    """Return `error` as a problem."""
    return Problem(
        type=f"urn:aerodb:error:{error.code}",
        title=error.title,
        status=error.status,
        detail=error.message,
        code=error.code,
        domain=error.domain,
        executed=error.executed,
        invariants=error.invariants,
        field=_written(error.field),
        request=_written(error.request),
        more={name: writable(value) for name, value in error.detail.items()},
    )


def _written(text: str | None) -> str | None:
    return None if text is None else writable(text)


def problem_bytes(error: AeroError) -> bytes:
    """Return `error` as the body of an answer."""
    return msgspec.json.encode(problem_of(error))


def refused_by(status: int, body: bytes) -> AeroError:
    """Return an error answer as an error: the other side's refusal, or AnswerMalformed if it is no problem document.

    Whatever its texts are, they can be signed and stored here. Its status is that with which the answer came.
    """
    try:
        problem = msgspec.json.decode(body, type=Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        problem = None
    if problem is None or not _CODE.fullmatch(problem.code):
        said = body[:200].decode(errors="replace")
        return AnswerMalformed(f"HTTP {status}: {said}")
    refused = Refused(
        problem.detail,
        field=_written(problem.field),
        invariants=tuple(map(writable, problem.invariants)),
        executed=problem.executed,
        request=_written(problem.request),
        detail={writable(name): writable(value) for name, value in problem.more.items()},
    )
    refused.code, refused.status, refused.title = problem.code, status, writable(problem.title)
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
