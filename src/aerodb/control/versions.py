"""The chain of configurations as the control plane knows it: from its log, and from what nodes sign.

- It decides nothing by it: each node judges by its own version. It says who may call, and under which version a plan is
  made: that of the node which it is for.
- What is known is the founding document and the steps that were confirmed, so it is all in the log. A version is the
  newest once a node has signed that it took it.
"""

import threading
from collections.abc import Iterable, Iterator

from aerodb.audit.makers import VersionMaker, maker_by
from aerodb.audit.record import read_record
from aerodb.audit.search import PAGE_RECORDS_MAX, Query
from aerodb.audit.store import Log, SearchBehind, search
from aerodb.errors import AeroError
from aerodb.logs import say
from aerodb.protocol.chain import Chain, changed, founded
from aerodb.protocol.change import Change, read_step
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import Facts
from aerodb.protocol.plan import Plan, Request
from aerodb.protocol.refusals import PlanNotPending
from aerodb.rules.versions import taken
from aerodb.rules.view import Peer

CONFIGURE = "configure"


class KnownVersions:
    """All versions of one cluster's configuration that are known to have been taken."""

    def __init__(self, founding: Cluster) -> None:
        """Begin with version 1.

        Raises:
            VersionRefused: it is a later version.
        """
        self._lock = threading.Lock()
        self._chain = founded(founding)
        self._changes: dict[str, Change] = {}
        self._makers: dict[str, str] = {}
        self._takes: dict[str, int] = {}

    @property
    def chain(self) -> Chain:
        """Return all versions that are known to have been taken."""
        return self._chain

    @property
    def newest(self) -> Cluster:
        """Return the newest version: who is revoked in it calls no more."""
        return self._chain.newest

    def maker(self, digest: str) -> str:
        """Return the id of the request by which a version was made: the first that was executed, else confirmed."""
        return self._makers.get(digest, "")

    def of(self, facts: Facts) -> Cluster:
        """Return the version that a node judges by."""
        return self._chain.judging(facts.configuration)

    def passed(self, plan: Plan) -> int:
        """Return the version that a plan's node is known to have taken since the plan was made; 0 where none is."""
        under, taken_there = self._chain.named(plan.configuration), self._takes.get(plan.request.target, 1)
        return taken_there if under is not None and taken_there > under.version else 0

    def refuse_passed(self, plan: Plan) -> None:
        """Refuse a confirmation which its node would only refuse, for a version that it is known to have taken since.

        In the log it would be for good: whose key the later version replaced would fail verification by it.

        Raises:
            PlanNotPending: so it is.
        """
        version = self.passed(plan)
        if version:
            raise PlanNotPending(
                f"{plan.request.target} has taken version {version} of the configuration since the plan was made: ask "
                "anew",
                request=plan.request.id,
            )

    def read_back(self, log: Log) -> None:
        """Learn what the log holds of the chain.

        Raises:
            LogUnavailable, VerificationFailed: it cannot be read.
        """
        records = [read_record(data) for _, data in configuring(log)]
        for record in records:
            if record.event == "confirmed":
                self.confirmed(record.asked)
        for record in records:
            if record.outcome is not None and record.result == "executed":
                self.executed(record.asked)

    def confirmed(self, request: Request) -> None:
        """Note which change a request would make, where it is one that changes the configuration."""
        if request.action != CONFIGURE:
            return
        step = read_step(request.arguments.get("change", ""), "arguments.change")
        self._changes[step.digest] = step.change
        self._makers.setdefault(step.digest, request.id)

    def executed(self, request: Request) -> None:
        """Note that a node has taken the version which a request names, where it names one."""
        if request.action != CONFIGURE:
            return
        self.confirmed(request)
        digest = read_step(request.arguments["change"], "arguments.change").digest
        if self._chain.named(digest) is None:
            self._makers[digest] = request.id
        self._follow((digest,))
        after = self._chain.named(digest)
        self._takes[request.target] = max(self._takes.get(request.target, 1), after.version if after else 1)

    def reported(self, everyone: dict[str, Peer]) -> None:
        """Note which versions nodes have taken, by their signed reports."""
        for name, peer in everyone.items():
            path = taken(peer.facts)
            if path == self._chain.path[: len(path)]:
                self._takes[name] = max(self._takes.get(name, 1), len(path))
            if path[: len(self._chain.path)] == self._chain.path:
                self._follow(path)

    def _follow(self, digests: Iterable[str]) -> None:
        """Go on with the versions of these digests, where their changes are known and they follow."""
        with self._lock:
            for digest in digests:
                change = self._changes.get(digest)
                if change is None or self._chain.named(digest) is not None:
                    continue
                try:
                    after = changed(self._chain.newest, change)
                except AeroError:
                    continue
                if after.digest == digest:
                    self._chain = Chain((*self._chain.versions, after))
                    say("the configuration has a new version", version=after.version, digest=digest)


def makers(versions: KnownVersions, chain: Chain, log: Log) -> tuple[VersionMaker, ...]:
    """Return who made each version of a chain after the first, in order.

    Raises:
        VerificationFailed: a record was altered.
    """
    found = (versions.maker(each.digest) for each in chain.versions[1:])
    records = ([read_record(log.record(at)) for at in log.sequences_of(request)] for request in found)
    return tuple(maker_by(next(each for each in those if each.event == "confirmed")) for those in records)


def configuring(log: Log) -> list[tuple[int, bytes]]:
    """Return number and bytes of all records of requests that change the configuration, rising.

    Raises:
        LogUnavailable, VerificationFailed: the log cannot be read.
    """
    return sorted(_pages(log, Query(action=CONFIGURE)))


def _pages(log: Log, query: Query) -> Iterator[tuple[int, bytes]]:
    before: int | None = None
    while True:
        page = _page(log, query, before)
        yield from page
        if len(page) < PAGE_RECORDS_MAX:
            return
        before = page[-1][0]


def _page(log: Log, query: Query, before: int | None) -> list[tuple[int, bytes]]:
    while True:
        try:
            return search(log, query, before)
        except SearchBehind:
            continue  # Each question carries the index on.
