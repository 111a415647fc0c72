"""Which configurations are trusted when a log is verified: those that are given, outright, and no others.

- They follow one another: once the log is under a later one, no record names an earlier one. Else whoever holds a key
  that was revoked, and the log's key, could write under the configuration in which it still counted.

Pure: no I/O, no clock.
"""

from collections.abc import Iterator, Mapping
from itertools import combinations

import msgspec

from aerodb.audit.findings import CONFIGURATION, Finding
from aerodb.errors import AeroError
from aerodb.protocol.cluster import Cluster

Span = tuple[int, int]
"""The first and the last of a log's records that name a configuration."""


class TrustMixed(AeroError):
    """Configurations that are given to verify one log with are not of one cluster with one log."""

    code = "input.trust-mixed"
    status = 400
    title = "The configurations to trust do not belong together"


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """The configurations that are trusted outright, the newest first: all of one cluster, with one log."""

    clusters: tuple[Cluster, ...]

    def __post_init__(self) -> None:
        """Refuse what does not belong together.

        Raises:
            TrustMixed: so it is.
        """
        if len({(each.id, each.log_key) for each in self.clusters}) != 1:
            raise TrustMixed("the configurations to trust are not of one cluster with one log", field="cluster")

    @property
    def cluster(self) -> Cluster:
        """Return the newest configuration."""
        return self.clusters[0]

    def named(self, digest: str) -> Cluster | None:
        """Return the trusted configuration with a digest, or None."""
        return next((each for each in self.clusters if each.digest == digest), None)

    def returned(self, spans: Mapping[str, Span]) -> Iterator[Finding]:
        """Yield where the log goes back to an earlier configuration; `spans` are by the configurations' digests."""
        for later, earlier in combinations([each.digest for each in self.clusters], 2):
            if later in spans and earlier in spans and spans[earlier][1] > spans[later][0]:
                last, since = spans[earlier][1], spans[later][0]
                said = f"it names {earlier}, and from record {since} on the log was under the later {later}"
                yield Finding(state="fails", part=CONFIGURATION, sequence=last, said=said)
