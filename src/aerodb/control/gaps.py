"""What is not in the log any more, by what nodes hold: a statement for people, and what an acceptance is held to.

- Nothing is believed of a node but what it signs, and of a checkpoint but the log's own signature.
- A request is lost where a node's journal knows it and the log knows no outcome of it: its record is gone, or its end.
- Looking changes nothing.
"""

from collections.abc import Iterator
from contextlib import suppress

from aerodb.actions import gap_of
from aerodb.audit.note import stated_size
from aerodb.audit.record import read_record
from aerodb.audit.store import Log
from aerodb.control.agents import Agents
from aerodb.control.comparison import Comparisons
from aerodb.control.errors import GapMistaken
from aerodb.control.roles import Right, require
from aerodb.errors import AeroError
from aerodb.protocol.api import Agreement, GapFound, LostRequest
from aerodb.protocol.cluster import Cluster, Operator
from aerodb.protocol.holdings import Holdings, open_holdings
from aerodb.protocol.plan import Request
from aerodb.protocol.signed import Signed
from aerodb.rules.explain import LOOK_ID

LOST_MAX = 200
"""How many lost requests are listed with what their nodes hold of them; the rest is counted."""
_ENDS = ("outcome", "established")


class Gaps:
    """Holds the log against what nodes hold."""

    def __init__(self, cluster: Cluster, agents: Agents, log: Log, comparisons: Comparisons) -> None:
        """Keep what to compare."""
        self._cluster, self._agents, self._log, self._comparisons = cluster, agents, log, comparisons

    def check(self, request: Request) -> None:
        """Refuse to plan that a node gives up more than the request names: the log lacks what it saw before that, too.

        Raises:
            GapMistaken: so it is; it is not recorded.
            AeroError: the node does not say what it saw.
        """
        gap, target = gap_of(request), request.target
        if gap is None:
            return
        holdings = self._opened(target, self._agents.holdings(target, LOOK_ID))
        within = next((text for text in holdings.checkpoints if stated_size(text) <= gap.restored.size), "")
        if within and self._comparisons.how(target, within).agreement is not Agreement.CONSISTENT:
            mistaken = GapMistaken(
                f"this log is not the one of which {target} had seen {stated_size(within)} records: more than the "
                f"{gap.restored.size} that are named as restored may be the same; name fewer",
                field="arguments.restored",
            )
            mistaken.recorded = True
            raise mistaken

    def _opened(self, node: str, signed: Signed) -> Holdings:
        return open_holdings(self._cluster, node, signed, LOOK_ID)

    def found(self, person: Operator) -> GapFound:
        """Return what nodes hold and the log lacks.

        Raises:
            CallerRefused: the person may not read the audit log.
        """
        require(person, Right.READ_AUDIT)
        said, missing = self._agents.all_holdings(LOOK_ID)
        opened = dict[str, Holdings]()
        for name, signed in said.items():
            try:
                opened[name] = self._opened(name, signed)
            except AeroError as error:
                missing[name] = f"{error.code}: {error.message}"
        self._comparisons.said({name: each.checkpoints[0] if each.checkpoints else "" for name, each in opened.items()})
        lost = [(node, request, known) for node, each in opened.items() for request, known in self._lost(each)]
        listed = tuple(self._held(lost[:LOST_MAX]))
        return GapFound(
            nonce=LOOK_ID,
            holdings={name: said[name] for name in opened},
            missing=missing,
            kept={name: self._kept(each) for name, each in opened.items()},
            lost=listed,
            left_out=len(lost) - len(listed),
        )

    def holder_of(self, request: str) -> str | None:
        """Return the node whose journal holds a request of whose end the log knows nothing; None where none says so."""
        said, _ = self._agents.all_holdings(LOOK_ID)
        for name, signed in said.items():
            with suppress(AeroError):
                if request in self._opened(name, signed).requests:
                    return name
        return None

    def _kept(self, holdings: Holdings) -> int | None:
        for number, text in enumerate(holdings.checkpoints):
            if self._comparisons.how(holdings.node, text).agreement is Agreement.CONSISTENT:
                return number
        return None

    def _lost(self, holdings: Holdings) -> Iterator[tuple[str, str]]:
        """Yield each request of a node's journal whose end the log does not know, and the last that it knows of it."""
        for request in holdings.requests:
            events = [read_record(self._log.record(each)).event for each in self._log.sequences_of(request)]
            if not any(event in _ENDS for event in events):
                yield request, next((event for event in reversed(events) if event != "refused"), "")

    def _held(self, lost: list[tuple[str, str, str]]) -> Iterator[LostRequest]:
        for node, request, known in lost:
            with suppress(AeroError):  # Of a node that falls silent meanwhile they are counted.
                yield LostRequest(node=node, log=known, held=self._agents.held(node, request))
