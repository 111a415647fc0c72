"""Templates and assets: the same values give the same bytes.

- Every text is escaped twice over: control and bidirectional characters as the terminal shows them, then HTML.
- A name that a template does not know is an error, never an empty place.
- An asset's name carries its content's digest, so that a browser may keep it for ever.
"""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from aerodb.views.invariants import is_known
from aerodb.views.outage import stops_writes
from aerodb.views.proofs import short
from aerodb.views.render import shown
from aerodb.views.requests import spoken, spoken_briefly, state_style
from aerodb.views.status import writes_style
from aerodb.views.timeline import sentence

HERE = Path(__file__).parent
MEDIA_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


def _finalized(value: Any) -> Any:
    return value if isinstance(value, Markup) else shown(str(value))


def _count(value: int) -> str:
    """Return a number with its thousands set apart."""
    return f"{value:,}".replace(",", "\u202f")


def _plural(value: int, one: str, many: str = "") -> str:
    return f"{_count(value)} {one if value == 1 else many or one + 's'}"


def _exact(text: str) -> Markup:
    """Return a text for a script to read byte for byte: in an attribute between single quotes."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("'", "&#39;")
    return Markup(escaped)  # noqa: S704 - every character that could end the attribute is escaped above.


@cache
def assets() -> dict[str, tuple[str, bytes]]:
    """Return each asset's path on this site, and its content, by its file's name."""
    found = {}
    for file in sorted((HERE / "assets").iterdir()):
        data = file.read_bytes()
        found[file.name] = f"/assets/{file.stem}.{hashlib.sha256(data).hexdigest()[:16]}{file.suffix}", data
    return found


def _asset(name: str) -> str:
    return assets()[name][0]


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(count=_count, exact=_exact, plural=_plural, short=short)
    made.filters.update(
        is_invariant=is_known,
        sentence=sentence,
        spoken=spoken,
        spoken_briefly=spoken_briefly,
        state_style=state_style,
        stops_writes=stops_writes,
        writes_style=writes_style,
    )
    made.globals.update(asset=_asset)
    return made


def render(template: str, values: dict[str, Any]) -> bytes:
    """Return the bytes of a page."""
    return _environment().get_template(template).render(values).encode()


def template_block(template: str, block: str, values: dict[str, Any]) -> str:
    """Return one block of a page, without the page around it."""
    found = _environment().get_template(template)
    return "".join(found.blocks[block](found.new_context(values)))
