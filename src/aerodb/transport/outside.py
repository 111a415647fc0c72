"""One call to a service outside the cluster, which is found by its URL and trusted only for what it signs.

- HTTPS authenticates it by the authorities in a given file, or by those that this machine trusts. Plain HTTP does not
  authenticate it, which is safe only if everything said is signed and nothing is secret.
- A call is sent once: no redirect is followed and nothing is retried. It ends in time, however slow the other side is.

Source: RFC 9112 (HTTP/1.1), by the standard library's client.
"""

import http.client
import ssl
import threading
from contextlib import suppress
from pathlib import Path
from socket import SHUT_RDWR, socket
from typing import Self
from urllib.parse import SplitResult, urlsplit

import msgspec

from aerodb.transport.errors import AnswerMalformed, Interrupted, QueryMalformed, Unreachable, plainly

ANSWER_BYTES_MAX = 64 << 10
TEXT = "text/plain; charset=utf-8"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer of any status: its Content-Type as received, and its body."""

    status: int
    type: str
    body: bytes


class ServicePlace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a service outside is: the URL that its paths begin with, and a file of the authorities to trust for it.

    An empty `ca` means the authorities that this machine trusts; plain HTTP needs none.
    """

    url: str
    ca: str = ""

    @property
    def parts(self) -> SplitResult:
        """Return the URL's parts.

        Raises:
            QueryMalformed: it is not an HTTP or HTTPS URL with a host, without a query or a password.
        """
        try:
            parts = urlsplit(self.url)
            named = parts.hostname and parts.port != 0 and self.url.isascii() and self.url.isprintable()
        except ValueError as error:
            raise QueryMalformed(f"{self.url!r} is no URL: {error}", field="url") from error
        if parts.scheme not in {"http", "https"} or not named or " " in self.url or "@" in parts.netloc or parts.query:
            raise QueryMalformed(f"{self.url!r} is not the URL of an HTTP service", field="url")
        return parts


def post_outside(place: ServicePlace, path: str, body: bytes, seconds_max: float) -> Answer:
    """Return the answer to a POST to `path` of a service outside; the whole call takes at most `seconds_max`.

    Raises:
        QueryMalformed: its URL is not valid.
        Unreachable: nothing was sent.
        Interrupted: it was sent, and no complete answer came back in time.
        AnswerMalformed: the answer has more than `ANSWER_BYTES_MAX` bytes.
    """
    parts = place.parts
    connection = _connection(parts, place.ca, seconds_max)
    with _Ending(seconds_max) as ending:
        try:
            connection.connect()
            ending.hold(connection.sock)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise Unreachable(f"{place.url} cannot be reached: {plainly(error)}") from error
        try:
            connection.request("POST", parts.path.rstrip("/") + path, body, {"Content-Type": TEXT})
            with connection.getresponse() as answer:
                data, left = answer.read(ANSWER_BYTES_MAX + 1), answer.length
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _interrupted(place, seconds_max, repr(error)) from error
        finally:
            connection.close()
    if len(data) > ANSWER_BYTES_MAX:
        raise AnswerMalformed(f"{place.url} answered more than {ANSWER_BYTES_MAX} bytes")
    if ending.over or left:  # The standard library takes an answer that was cut off for a complete one.
        raise _interrupted(place, seconds_max, f"{len(data)} bytes came")
    return Answer(status=answer.status, type=answer.headers.get("Content-Type", ""), body=data)


def _interrupted(place: ServicePlace, seconds_max: float, why: str) -> Interrupted:
    return Interrupted(f"{place.url} gave no whole answer within {seconds_max:g} seconds: {why}", executed="unknown")


def _connection(parts: SplitResult, ca: str, seconds_max: float) -> http.client.HTTPConnection:
    host = parts.hostname or ""
    if parts.scheme == "http":
        return http.client.HTTPConnection(host, parts.port, timeout=seconds_max)
    try:
        context = ssl.create_default_context(cafile=Path(ca) if ca else None)
    except OSError as error:
        raise Unreachable(f"the authorities in {ca} cannot be read: {plainly(error)}") from error
    return http.client.HTTPSConnection(host, parts.port, timeout=seconds_max, context=context)


class _Ending:
    """Ends a connection when the time for the whole call is over; a socket's own timeout is only for each wait."""

    def __init__(self, seconds_max: float) -> None:
        """Prepare."""
        self._lock = threading.Lock()
        self.over = False
        self._socket: socket | None = None
        self._timer = threading.Timer(seconds_max, self._end)
        self._timer.daemon = True

    def hold(self, held: socket) -> None:
        """End this socket when the time is over.

        Raises:
            TimeoutError: it is over already.
        """
        with self._lock:
            self._socket = held
            if self.over:
                raise TimeoutError("it took too long")

    def _end(self) -> None:
        with self._lock:
            self.over = True
            if self._socket is not None:
                with suppress(OSError):
                    self._socket.shutdown(SHUT_RDWR)

    def __enter__(self) -> Self:
        """Begin."""
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Let go."""
        self._timer.cancel()
