"""One call to one service, over mutual TLS. It is sent once and never retried.

Source: RFC 9112 (HTTP/1.1), by the standard library's client.
"""

import http.client
import select
import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from socket import SHUT_RDWR

from aerodb import tracing
from aerodb.errors import Executed
from aerodb.past.speaking import HEADER, SPOKEN, stated
from aerodb.transport import expiry
from aerodb.transport.errors import (
    AnswerMalformed,
    CertificateExpired,
    Interrupted,
    OwnCertificateExpired,
    Refused,
    Unreachable,
    plainly,
)
from aerodb.transport.problem import refused_by
from aerodb.transport.tls import Tls, client_context

ANSWER_BYTES_MAX = 64 << 20
"""The largest answer, or the longest line of an answer that is read line by line."""

JSON = "application/json"
IDLE_SECONDS_MAX = 30.0
"""A connection that was idle for longer is not used again. Well below `deadlines.USUAL.idle`."""
JUST_SECONDS = 0.25
"""For this long after an answer, the service is taken to be alive without asking."""

_BLOCK_BYTES = 256 << 10


class _Connection(http.client.HTTPSConnection):
    """A connection that expects the service's name, not its host's, in the certificate."""

    def __init__(self, host: str, port: int, name: str, context: ssl.SSLContext, timeout: float) -> None:
        super().__init__(host, port, timeout=timeout, context=context)
        self._name = name
        self._own_context = context

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        self.sock = self._own_context.wrap_socket(self.sock, server_hostname=self._name)
        expiry.note_peer(self.sock.getpeercert())


class Client:
    """A caller of the service called `name` at `address` (host:port)."""

    def __init__(
        self, address: str, tls: Tls, name: str, timeout_seconds: float, context: ssl.SSLContext | None = None
    ) -> None:
        """Prepare; nothing is sent yet. `context` is `client_context(tls)`, if the caller already has one."""
        host, _, port = address.rpartition(":")
        self._host, self._port, self._name, self._tls = host.strip("[]"), int(port), name, tls
        self.timeout_seconds = timeout_seconds
        # Apart from the timeout of an answer, which may be long: a service that is frozen, or whose host is gone, never
        # completes the handshake.
        self.connect_seconds_max = timeout_seconds
        self._context = context or client_context(tls)
        self.headers = {HEADER: stated(SPOKEN)}
        """Sent with every call: the versions of the rules that the caller speaks."""

    def get(self, path: str) -> bytes:
        """Return the answer to a GET.

        Raises:
            Unreachable, Interrupted, AnswerMalformed, Refused: as `post`.
        """
        return self._call("GET", path, None, {})

    def lines(self, path: str) -> Iterator[bytes]:
        """Return the lines of the answer to a GET as they arrive, each with its newline; one is in memory at a time.

        Raises:
            Unreachable, Refused: as `post`.
            Interrupted, AnswerMalformed: as `post`; also later, when the answer ends before it is whole.
        """
        connection = self.connect()
        try:
            answer = self._accepted(self._begun(connection, "GET", path, None, {}))
        except BaseException:
            connection.close()
            raise
        return self._lines(connection, answer)

    def _accepted(self, answer: http.client.HTTPResponse) -> http.client.HTTPResponse:
        if answer.status >= 400:
            raise refused_by(answer.status, self._whole(answer, "GET"))
        return answer

    def _lines(self, connection: _Connection, answer: http.client.HTTPResponse) -> Iterator[bytes]:
        try:
            yield from lines_of(iter(lambda: answer.read1(_BLOCK_BYTES), b""))
            _refuse_cut(answer)
        except (OSError, http.client.HTTPException) as error:
            raise self._interrupted("GET", error) from error
        except LineTooLong as error:
            raise AnswerMalformed(f"{self._where} answered a line of more than {ANSWER_BYTES_MAX} bytes") from error
        finally:
            connection.close()

    def post(self, path: str, body: bytes, headers: dict[str, str] | None = None) -> bytes:
        """Return the answer to a POST.

        Raises:
            Unreachable: nothing was sent.
            Interrupted: it was sent, and no whole answer came back.
            AnswerMalformed: the answer is not of the protocol.
            Refused: the service refused, and says why.
        """
        return self._call("POST", path, body, {"Content-Type": JSON, **(headers or {})})

    @property
    def _where(self) -> str:
        return f"{self._name} at {self._host}:{self._port}"

    def connect(self) -> _Connection:
        """Return a connection to the service.

        Raises:
            Unreachable: connecting failed.
        """
        connection = _Connection(self._host, self._port, self._name, self._context, self.connect_seconds_max)
        try:
            connection.connect()
            connection.sock.settimeout(self.timeout_seconds)
        except OSError as error:
            connection.close()
            raise self._unreachable(error) from error
        return connection

    def _unreachable(self, error: OSError) -> Unreachable:
        if expiry.has_expired(error):
            which = "the authority's certificate" if expiry.expired(self._tls.ca) else "its certificate"
            return CertificateExpired(f"{self._where} cannot be reached: {which} has expired, and must be replaced")
        return Unreachable(f"{self._where} cannot be reached: {plainly(error)}")

    def _call(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> bytes:
        connection = self.connect()
        try:
            return self.exchange(connection, method, path, body, headers)
        finally:
            connection.close()

    def exchange(
        self, connection: _Connection, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> bytes:
        """Send one request over `connection` and return the answer; raises as `post` does."""
        answer = self._begun(connection, method, path, body, headers)
        data = self._whole(answer, method)
        if answer.status >= 400:
            raise refused_by(answer.status, data)
        return data

    def _begun(
        self, connection: _Connection, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> http.client.HTTPResponse:
        headers = {**self.headers, **headers}
        tracing.inject(headers)
        try:
            connection.request(method, path, body, headers)
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise self._interrupted(method, error) from error

    def _whole(self, answer: http.client.HTTPResponse, method: str) -> bytes:
        try:
            data = answer.read(ANSWER_BYTES_MAX + 1)
            if len(data) <= ANSWER_BYTES_MAX:
                _refuse_cut(answer)
        except (OSError, http.client.HTTPException) as error:
            raise self._interrupted(method, error) from error
        if len(data) > ANSWER_BYTES_MAX:
            raise AnswerMalformed(f"{self._where} answered more than {ANSWER_BYTES_MAX} bytes")
        return data

    def _interrupted(self, method: str, error: Exception) -> Interrupted:
        executed: Executed = "unknown" if method == "POST" else "not executed"
        expired = expiry.expired(self._tls.certificate)
        if expired:
            said = f"the caller's own certificate {self._tls.certificate} has expired, at {expired}: replace it"
            return OwnCertificateExpired(f"{self._where} gave no answer: {said}", executed=executed)
        return Interrupted(f"{self._where} gave no answer: {error!r}", executed=executed)


def _refuse_cut(answer: http.client.HTTPResponse) -> None:
    """Refuse an answer that is shorter than its Content-Length, which `http.client` does not check on partial reads.

    Raises:
        IncompleteRead: bytes are missing.
    """
    if answer.length:
        raise http.client.IncompleteRead(b"", answer.length)


class LineTooLong(Exception):
    """A line has more bytes than it may have."""


def lines_of(blocks: Iterable[bytes], bytes_max: int = ANSWER_BYTES_MAX) -> Iterator[bytes]:
    """Yield the lines that come in `blocks`, each with its newline; the last one may have none.

    Raises:
        LineTooLong: more than `bytes_max` bytes came, and the line has not ended.
    """
    held, held_bytes = list[bytes](), 0
    for block in blocks:
        *ended, rest = block.split(b"\n")
        for piece in ended:
            yield b"".join((*held, piece, b"\n"))
            held, held_bytes = [], 0
        held.append(rest)
        held_bytes += len(rest)
        if held_bytes > bytes_max:
            raise LineTooLong
    if held_bytes:
        yield b"".join(held)


class Kept:
    """Calls one service over one connection, which is opened when needed. For one thread at a time.

    A connection that the service has closed, or may have closed because it was idle for long, is replaced before
    anything is sent over it. So nothing is sent twice.
    """

    def __init__(self, client: Client) -> None:
        """Open nothing yet."""
        self._client = client
        self._connection: _Connection | None = None
        self._used = 0.0

    def get(self, path: str, timeout_seconds: float | None = None) -> bytes:
        """Return the answer to a GET; raises as `Client.get` does. The timeout is the client's unless one is given."""
        return self._call("GET", path, None, timeout_seconds)

    def ensure(self, path: str, seconds_max: float) -> None:
        """Make sure that the service is alive before it is sent something slow.

        It is alive if it answered a moment ago, or accepts a new connection. On a connection that was kept it must
        answer a cheap GET of `path` within `seconds_max`: an open connection says nothing of a process that is stopped
        or a host that is gone.

        Raises:
            Unreachable, Interrupted: it does not.
        """
        if time.monotonic() - self._used < JUST_SECONDS and self._usable() is not None:
            return
        if self._usable() is None:
            self._connection = self._client.connect()
            self._used = time.monotonic()
            return
        with suppress(Refused):  # A refusal is an answer.
            self._call("GET", path, None, seconds_max)

    def post(self, path: str, body: bytes, timeout_seconds: float, headers: dict[str, str] | None = None) -> bytes:
        """Return the answer to a POST, which has a timeout of its own; raises as `Client.post` does."""
        return self._call("POST", path, body, timeout_seconds, headers)

    def _call(
        self,
        method: str,
        path: str,
        body: bytes | None,
        timeout_seconds: float | None,
        headers: dict[str, str] | None = None,
    ) -> bytes:
        connection = self._usable() or self._client.connect()
        self._connection = connection
        connection.sock.settimeout(timeout_seconds or self._client.timeout_seconds)
        try:
            data = self._client.exchange(
                connection, method, path, body, {"Content-Type": JSON, **(headers or {})} if body else {}
            )
        except Interrupted:
            self.close()
            raise
        self._used = time.monotonic()
        return data

    def _usable(self) -> _Connection | None:
        socket = self._connection.sock if self._connection else None
        idle_seconds = time.monotonic() - self._used
        # After a whole answer the socket turns readable only when the service closes the connection.
        if socket is None or idle_seconds > IDLE_SECONDS_MAX or select.select([socket], [], [], 0)[0]:
            self.close()
        return self._connection

    def abandon(self) -> None:
        """End a call that is under way in another thread, whose answer nobody waits for any more."""
        socket = self._connection.sock if self._connection else None
        if socket is not None:
            with suppress(OSError):
                socket.shutdown(SHUT_RDWR)

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
