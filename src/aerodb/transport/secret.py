"""Compares secrets in constant time; as bytes, so that any text is accepted."""

import hmac


def same(given: str, secret: str) -> bool:
    """Tell whether what somebody gave is the secret."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), secret.encode())  # noqa: TID251 - here alone.
