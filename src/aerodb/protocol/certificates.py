"""A certificate and when it expires. Nothing is decided by it.

Pure: no I/O, no clock; how many days are left is counted by who has one.
"""

import msgspec

DAYS_SOON, DAYS_URGENT = 90, 14
"""From how many days before they expire certificates are spoken of, and from how many it is bad."""


class Certificate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A certificate that a process holds, or was shown since it started: whose it is, and until when it is good.

    `kind` is agent, control, person, monitor, balancer, authority, or pages for what browsers are shown. `expires` is
    RFC 3339 in UTC. `days_left` are whole days by the clock of the process that tells; below 0 it has expired.
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
