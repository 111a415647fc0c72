"""One person's call for one page, and what a page answers: a template with its values, a way on, or a file."""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from aerodb.control.access import Access
from aerodb.protocol.cluster import Operator
from aerodb.web.errors import FormMalformed


def form_token(session: str) -> str:
    """Return what every form of a session carries: a function of the session alone, so that pages stay comparable."""
    return hmac.digest(session.encode(), b"aerodb form", hashlib.sha256).hex()


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One call: who calls, in which session, and the path's, the query's and the form's values."""

    access: Access
    session: str
    path: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    form: dict[str, str] = field(default_factory=dict)

    @property
    def person(self) -> Operator:
        """Return who calls."""
        return self.access.person

    def sent(self, name: str, *, optional: bool = False) -> str:
        """Return a value of the form; empty where it is `optional` and the form has none.

        Raises:
            FormMalformed: the form has none.
        """
        found = self.form.get(name, "")
        if not found and not optional:
            raise FormMalformed(f"nothing was chosen or written for {name}", field=name)
        return found

    def before(self) -> int | None:
        """Return below which of the log's numbers a page begins; None is the newest.

        Raises:
            FormMalformed: it is no number.
        """
        text = self.query.get("before", "")
        if not text:
            return None
        if not (text.isascii() and text.isdigit() and len(text) < 16):
            raise FormMalformed("a number is expected here", field="before")
        return int(text)


@dataclass(frozen=True, kw_only=True)
class Page:
    """A template's name, the section that it belongs to, and its values.

    `status` is HTTP's: of a form that is shown again, since something is wrong with what was sent, that of the error.
    """

    template: str
    here: str
    values: dict[str, Any] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True, kw_only=True)
class Onward:
    """The browser goes on with a GET of `to`, a path of this site."""

    to: str


@dataclass(frozen=True, kw_only=True)
class Json:
    """A document for a script of this site."""

    value: Any


@dataclass(frozen=True, kw_only=True)
class Download:
    """A file for the browser to keep."""

    name: str
    media_type: str
    parts: Iterable[bytes]


PageAnswer = Page | Onward | Json | Download
