"""What people are told about expiring certificates: months before, and afterwards. No decision depends on it.

Pure: no I/O, no clock; the caller counts the days that are left.
"""

from collections.abc import Iterable

from aerodb.protocol.certificates import DAYS_SOON, DAYS_URGENT, Certificate


def days_text(days: int) -> str:
    """Return a number of days with its noun."""
    return f"{days} day" if days == 1 else f"{days} days"


def certificate_sentences(certificates: Iterable[Certificate]) -> list[tuple[str, str]]:
    """Return a style and a sentence for each certificate that expires soon or has expired, sorted by expiry."""
    found = list[tuple[str, str]]()
    for each in sorted(certificates, key=lambda one: (one.expires, one.kind, one.holder)):
        if each.days_left < 0:
            found.append(("bad", f"The certificate of {each.owner} has expired, at {each.expires}: replace it."))
        elif each.days_left < DAYS_SOON:
            style = "bad" if each.days_left < DAYS_URGENT else "warn"
            left = days_text(each.days_left)
            found.append((style, f"The certificate of {each.owner} expires in {left}, at {each.expires}: replace it."))
    return found


def certificates_text(certificates: Iterable[Certificate]) -> str:
    """Return how many certificates are known, and the first to expire with its day; empty if none is known."""
    known = sorted(certificates, key=lambda one: (one.expires, one.kind, one.holder))
    if not known:
        return ""
    return f"certificates: {len(known)}; first to expire {known[0].expires.partition('T')[0]}: {known[0].owner}"
