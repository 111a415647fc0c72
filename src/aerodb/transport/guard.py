"""Middleware that checks every browser's call before a page sees it, and adds security headers to every answer.

- `Host` must be the pages' own: a foreign name that was made to point here gets nothing (DNS rebinding).
- A form must come from a page of this origin: `Origin` must say so, and so must `Sec-Fetch-Site` if it is there.
- Exception: a path that changes nothing may get a form from a local file that a person opened (its origin is "null"),
  if the answer fills the whole window.
- A page loads nothing from elsewhere, runs nothing inline, and cannot be framed.

Sources: Fetch Standard (Origin), Content Security Policy Level 3, Fetch Metadata.
"""

from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aerodb.errors import AeroError
from aerodb.transport.errors import HostForeign, OriginForeign

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # The stricter "no-referrer" makes browsers send "Origin: null" with our own forms, which the check would refuse.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Guard:
    """The middleware around the pages of `origin`; `refuse` makes the page that shows a refusal.

    `from_files` are the paths that accept a form from a file on the person's own machine.
    """

    def __init__(self, app: ASGIApp, origin: str, refuse: Any, from_files: frozenset[str] = frozenset()) -> None:
        """Guard `app`."""
        self._app, self._origin, self._refuse, self._from_files = app, origin, refuse, from_files
        self._host = origin.partition("://")[2]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one call, and add to its answer."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Cache-Control", "no-store")
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        try:
            self._check(Headers(scope=scope), scope["method"], scope["path"])
        except AeroError as error:
            await self._refuse(error)(scope, receive, sending)
            return
        await self._app(scope, receive, sending)

    def _check(self, headers: Headers, method: str, path: str) -> None:
        if headers.getlist("host") != [self._host]:
            raise HostForeign(f"these pages are at {self._origin}, and nowhere else")
        if method in {"GET", "HEAD"}:
            return
        whole_window = headers.get("sec-fetch-dest", "document") == "document"
        if path in self._from_files and headers.getlist("origin") == ["null"] and whole_window:
            return
        if headers.getlist("origin") != [self._origin]:
            raise OriginForeign(f"only pages of {self._origin} may send something here")
        if headers.get("sec-fetch-site", "same-origin") != "same-origin":
            raise OriginForeign("the browser says that another site sends this")
