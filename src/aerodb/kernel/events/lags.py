"""The lag of the standbys, sampled at each look of a primary's agent: only in memory, bounded, for people to see.

An agent that restarts has no earlier samples; the journal of events says that nobody looked in between.
"""

import datetime as dt

from aerodb.protocol.events import Sighting
from aerodb.protocol.facts import Instance, Sender, State
from aerodb.protocol.lags import LagSample, StandbyLag, coarsened
from aerodb.protocol.lsn import Lsn


def _behind(end: Lsn | None, reached: Lsn | None) -> int | None:
    return None if end is None or reached is None else max(end - reached, 0)


def _standby(sender: Sender, end: Lsn | None) -> StandbyLag:
    return StandbyLag(
        node=sender.node, flush_bytes=_behind(end, sender.flushed), replay_bytes=_behind(end, sender.replayed)
    )


class Lags:
    """The samples of one node. One thread looks; any may read."""

    def __init__(self) -> None:
        """Begin with none."""
        self._samples: tuple[LagSample, ...] = ()
        self._missed = 0

    @property
    def samples(self) -> tuple[LagSample, ...]:
        """Return the samples, the oldest first."""
        return self._samples

    def look(self, sighting: Sighting, events: int) -> None:
        """Take a sample from one look if the node is a primary; `events` is the journal's newest sequence number."""
        instance = sighting.facts.instance if sighting.facts else None
        if sighting.facts is None or (instance is not None and instance.state is State.UNREACHABLE):
            self._missed += bool(self._samples)
        elif instance is not None and instance.state is State.RUNNING and instance.recovery is False:
            self._samples = coarsened((*self._samples, self._sample(instance, events)))
            self._missed = 0

    def _sample(self, instance: Instance, events: int) -> LagSample:
        position = instance.position
        end = position.lsn if position else None
        return LagSample(
            looks=1,
            missed=self._missed,
            events=events,
            term=position.term if position else None,
            lsn=end,
            at=dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            standbys=tuple(sorted((_standby(each, end) for each in instance.senders), key=lambda lag: lag.node)),
        )
