"""Comparing secrets: as bytes, so that any text may come, and in a time that tells nothing of where they differ."""

import hmac


def same(given: str, secret: str) -> bool:
    """Tell whether what somebody gave is the secret."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), secret.encode())  # noqa: TID251 - here alone.
