"""Which configurations are trusted when a log is verified: those that are given, outright, and what follows from them.

- What follows is derived from the log itself, version by version (`aerodb.audit.chain`), with where in it each node
  took which. Nothing else is trusted.
- From where a node has taken a version, nobody confirms there who could not under that version.
- They follow one another: once the log is under a later one, no record names an earlier one. Else whoever holds a key
  that was revoked, and the log's key, could write under the configuration in which it still counted.

Pure: no I/O, no clock.
"""

from collections.abc import Iterator, Mapping
from itertools import combinations

import msgspec

from aerodb.audit.findings import CONFIGURATION, CONFIRMATION, Finding
from aerodb.audit.record import Record
from aerodb.errors import AeroError
from aerodb.protocol.cluster import Cluster, Role

Span = tuple[int, int]
"""The first and the last of a log's records that name a configuration."""

Take = tuple[int, str]
"""At which record of the log a node had taken a version, and that version's digest."""


class TrustMixed(AeroError):
    """Configurations that are given to verify one log with are not of one cluster with one log."""

    code = "input.trust-mixed"
    status = 400
    title = "The configurations to trust do not belong together"


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """The configurations that are trusted outright, the newest first: all of one cluster, with one log.

    `derived` are the versions that follow from them; `takes` says by node at which record it took which, rising.
    """

    clusters: tuple[Cluster, ...]
    derived: tuple[Cluster, ...] = ()
    takes: dict[str, tuple[Take, ...]] = msgspec.field(default_factory=dict)

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

    @property
    def newest(self) -> Cluster:
        """Return the newest version that is trusted, given or derived."""
        return self.derived[-1] if self.derived else self.cluster

    def named(self, digest: str) -> Cluster | None:
        """Return the trusted configuration with a digest, or None."""
        return next((each for each in (*self.clusters, *self.derived) if each.digest == digest), None)

    def taken(self, node: str, sequence: int) -> tuple[int, Cluster] | None:
        """Return which version a node had taken before a record of the log, and at which one; None: none by the log."""
        before = [(at, digest) for at, digest in self.takes.get(node, ()) if at < sequence]
        found = self.named(before[-1][1]) if before else None
        return None if found is None else (before[-1][0], found)

    def outlived(self, sequence: int, record: Record) -> Iterator[Finding]:
        """Yield where a confirmation is of somebody who, where it was sent, could not confirm so any more."""
        then, last = self.named(record.configuration), self.taken(record.target, sequence)
        if record.event != "confirmed" or then is None or last is None or last[1].version <= then.version:
            return
        at, now = last
        signers = (record.operator, *((record.seconded.operator,) if record.seconded else ()))
        for name in signers:
            person, before = now.operator(name), then.operator(name)
            acts = person is not None and not person.revoked and person.role is Role.OPERATOR
            if person is None or before is None or not acts or person.ssh_key != before.ssh_key:
                said = (
                    f"{record.target} had taken version {now.version} of the configuration before (record {at}), under "
                    f"which {name} could not confirm it so any more"
                )
                yield Finding(state="fails", part=CONFIRMATION, sequence=sequence, said=said)

    def returned(self, spans: Mapping[str, Span]) -> Iterator[Finding]:
        """Yield where the log goes back to an earlier configuration; `spans` are by the configurations' digests."""
        for later, earlier in combinations(dict.fromkeys(each.digest for each in self.clusters), 2):
            if later in spans and earlier in spans and spans[earlier][1] > spans[later][0]:
                last, since = spans[earlier][1], spans[later][0]
                said = f"it names {earlier}, and from record {since} on the log was under the later {later}"
                yield Finding(state="fails", part=CONFIGURATION, sequence=last, said=said)
