"""Base64 in its one form: bytes have one text, so that a text that was changed is never read as the same bytes.

Pure: no I/O, no clock. Source: RFC 4648, sections 3.2 (padding), 3.3 (other characters) and 3.5 (canonical encoding).
"""

import base64

URLSAFE = b"-_"
"""What base64url has in the place of + and /."""


def from_base64(text: str, altchars: bytes = b"+/") -> bytes:
    """Return the bytes that `text` is the one padded base64 form of, with `altchars` as its last two signs.

    Raises:
        ValueError: it is not base64, or not in that form; the standard library's own reading lets spare bits be set.
    """
    data = base64.b64decode(text, altchars=altchars, validate=True)
    if base64.b64encode(data, altchars).decode() != text:
        raise ValueError("the base64 has spare bits set")
    return data
