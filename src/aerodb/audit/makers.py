"""Who made a version of the configuration, by the record of the confirmation. Pure: no I/O, no clock."""

from dataclasses import dataclass

from aerodb.audit.record import Record


@dataclass(frozen=True, kw_only=True)
class VersionMaker:
    """Who confirmed the request by which a version was made, on which node, when by the log's clock, and why.

    `operator` names both people where two signed.
    """

    request: str
    operator: str
    target: str
    at: str
    reason: str


def maker_by(confirmed: Record) -> VersionMaker:
    """Return who made a version, by the record of the confirmation."""
    return VersionMaker(
        request=confirmed.request, operator=confirmed.people, target=confirmed.target, at=confirmed.at,
        reason=confirmed.reason,
    )  # fmt: skip
