"""What one node's observer keeps for people: the journal of events, the standbys' lag, durations, and the metrics.

The agent works without any of it: no decision reads what is kept here.
"""

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from aerodb.kernel.events.durations import Durations
from aerodb.kernel.events.journal import EventJournal
from aerodb.kernel.events.lags import Lags
from aerodb.kernel.events.watch import Sight, Watch
from aerodb.kernel.looking import Looking
from aerodb.kernel.node import Node
from aerodb.protocol.events import EventPage, Sighting
from aerodb.protocol.facts import Facts
from aerodb.transport import counts, expiry
from aerodb.transport.metrics import exposition

if TYPE_CHECKING:
    from prometheus_client import Metric  # Only annotated here: an agent that nobody scrapes never loads it.


class NodeObserved:
    """The observations of one agent's node."""

    def __init__(self, agent: Looking, node: Node) -> None:
        """Open the journal of events; the first look comes later.

        Raises:
            PostgresMissing, FolderClosed: PostgreSQL's programs cannot be found, or run.
        """
        self.journal = EventJournal(node.events, node.name)
        self._lags = Lags()
        self._durations = Durations()
        self._agent = agent
        self._sight = Sight(agent)
        self._every_seconds = node.file.watches_every_seconds

    def start(self, asked_to_end: threading.Event) -> None:
        """Watch the node, unless its node.json says never, until `asked_to_end` is set."""
        if self._every_seconds:
            watch = Watch(self._sight, self.journal, self._lags, self._every_seconds, self._seen)
            watch.start(asked_to_end)

    def _seen(self, sighting: Sighting) -> None:
        self._durations.saw(sighting)
        if sighting.facts is not None:
            self._agent.remember(sighting.facts)

    def told(self, facts: Facts) -> Facts:
        """Return facts for a report, with since when what deviates in them was seen to."""
        return self._durations.told(facts)

    def page(self, since: int, count: int) -> EventPage:
        """Return at most `count` events after sequence number `since`, and the samples of lag."""
        lags = self._lags.samples  # Read first, so that no sample is newer than the events of the page.
        return msgspec.structs.replace(self.journal.page(since, count), lags=lags)

    def metrics(self) -> bytes:
        """Look once, and return what was seen in Prometheus' text format."""
        from aerodb.kernel.metrics import families  # noqa: PLC0415 - an agent that nobody scrapes never loads it.

        sighting = self._sight.glance()

        def everything() -> Iterator["Metric"]:
            yield from families(sighting, self.journal.last, self._agent.unfinished)
            yield from counts.families()
            yield from expiry.families()

        return exposition(everything)
