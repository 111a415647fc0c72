"""What a browser sends: a cookie that says which session, and forms. Source: URL Standard (urlencoded)."""

from urllib.parse import parse_qsl

from starlette.requests import Request

from aerodb.transport.web import body_of
from aerodb.web.errors import FormMalformed

FORM_BYTES_MAX = 64 << 10
FIELDS_MAX = 64


async def form_of(request: Request) -> dict[str, str]:
    """Return a form's values by name.

    Raises:
        BodyTooLarge: it is larger than any that is meant.
        FormMalformed: it is no form, or has a field twice.
    """
    if request.method != "POST":
        return {}
    body = await body_of(request, FORM_BYTES_MAX)
    return _unique(body, FIELDS_MAX)


def _unique(body: bytes, fields_max: int) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, strict_parsing=bool(body), errors="strict", max_num_fields=fields_max
        )
    except ValueError as error:  # A UnicodeDecodeError is one too.
        raise FormMalformed("what was sent is not a form") from error
    found = dict(pairs)
    if len(found) != len(pairs):
        raise FormMalformed("the form has a field twice")
    return found


def query_of(request: Request) -> dict[str, str]:
    """Return the query's values by name.

    Raises:
        FormMalformed: it has one twice.
    """
    pairs = request.query_params.multi_items()
    found = dict(pairs)
    if len(found) != len(pairs):
        raise FormMalformed("the address has a field twice")
    return found
