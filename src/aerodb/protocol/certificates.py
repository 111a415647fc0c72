"""When certificates expire, as people are told: months before, and once it has happened. Nothing is decided by it.

Pure: no I/O, no clock; how many days are left is counted by who has one.
"""

from collections.abc import Iterable

import msgspec

DAYS_SOON, DAYS_URGENT = 90, 14
"""From how many days before they expire certificates are spoken of, and from how many it is bad."""


class Certificate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A certificate that a process holds, or was shown since it started: whose it is, and until when it is good.

    `kind` is agent, control, person, monitor, authority, or pages for what browsers are shown. `expires` is RFC 3339 in
    UTC. `days_left` are whole days by the clock of the process that tells; below 0 it has expired.
    """

    holder: str
    kind: str
    expires: str
    days_left: int

    @property
    def owner(self) -> str:
        """Return whose it is, in words."""
        if self.kind == "authority":
            return "the cluster's certificate authority"
        return self.holder if self.kind == self.holder else f"{self.holder} ({self.kind})"


def days_text(days: int) -> str:
    """Return so many days in words."""
    return f"{days} day" if days == 1 else f"{days} days"


def certificate_sentences(certificates: Iterable[Certificate]) -> list[tuple[str, str]]:
    """Return what a person must know about certificates that expire, the next first, each sentence with its style."""
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
    """Return in a line how many certificates are known, and which expires first; nothing where none is known."""
    known = sorted(certificates, key=lambda one: (one.expires, one.kind, one.holder))
    if not known:
        return ""
    return f"certificates: {len(known)} seen; the first to expire is that of {known[0].owner}, at {known[0].expires}"
