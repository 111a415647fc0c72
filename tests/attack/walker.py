"""The way out of what a round has left: requests alone, each accepted by its own plan, until a write is acknowledged.

The walker knows what the runbook says and no more: settle what is unfinished, stop whoever serves against their
standing or may still do what nobody waits for, start and attach what is down, renew, elect. An agent that dies on the
way comes back, as its service manager would have it. Where nothing is accepted, the walker lends a hand only as the
verdicts name it, by taking back the setting that they say was changed.
"""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

import psycopg

from aerodb.protocol import canonical
from aerodb.protocol.api import Agreement, Cell, Status
from aerodb.protocol.facts import Facts, Report, State
from tests.attack.clients import GIVEN_UP_SECONDS, insert_in_time
from tests.attack.history import Way
from tests.attack.meddling import Meddling
from tests.attack.person import Person
from tests.attack.processes import Processes
from tests.attack.replays import Replays
from tests.faults.conftest import Running

STEPS_MAX = 45
CONTRADICTS = (Agreement.BEHIND, Agreement.FORKED)
FAR_STEPS = 12
"""After so many steps a setting that the verdicts name is taken back, though there is still something to ask for."""
TRIES_MAX = 3
ASKED_MAX = 4
WORDS_MAX = 200
ROWS_FROM = 900_000_000_000
Wish = tuple[str, str, dict[str, str]]


class Walker:
    """One walk."""

    def __init__(
        self,
        running: Running,
        person: Person,
        processes: Processes,
        meddling: Meddling,
        replays: Replays,
        gone: str,
    ) -> None:
        """Take no step yet; the host of the node that is `gone` never comes back."""
        self._replays, self._gone = replays, gone
        self._running, self._person, self._processes = running, person, processes
        self._meddling = meddling
        self._tried: Counter[str] = Counter()
        self._asked: Counter[str] = Counter()
        self._steps: list[str] = []
        self._lent: list[str] = []
        self._unstarted: set[str] = set()
        self._row = ROWS_FROM

    # Writing ----------------------------------------------------------------------------------------------------

    def _writes(self) -> str:
        """Return the node at which a write was acknowledged; empty where none was."""
        self._row += 1
        ports = {m.postgres_port: m.name for m in self._running.cluster.members if not m.witness}
        warned: list[object] = []
        with suppress(psycopg.Error):
            connection = psycopg.connect(self._running.layout.dsn(), connect_timeout=2, autocommit=True)
            try:
                connection.pgconn.notice_handler = warned.append
                at = ports[connection.info.port]
                acknowledged = insert_in_time(connection.pgconn, self._row, GIVEN_UP_SECONDS)
                return at if acknowledged is not None and not warned else ""
            finally:
                connection.close()
        return ""

    # Looking ----------------------------------------------------------------------------------------------------

    def _facts(self, status: Status) -> dict[str, Facts]:
        return {
            name: canonical.decode(signed.document.encode(), Report).facts
            for name, signed in status.snapshot.reports.items()
        }

    def _wishes(self, facts: dict[str, Facts]) -> Iterator[Wish]:
        """Yield what the runbook would ask for, the best first."""
        data = self._running.cluster.data_nodes
        holder = holder_of(facts)
        up = [name for name in data if name in facts and _state(facts[name]) is State.RUNNING]
        rogue = [name for name in up if _serves(facts[name]) and name != holder]
        for name in rogue:
            yield "stop", name, {}
        serves = holder in up and _serves(facts[holder]) and facts[holder].standing.role == "primary"
        others = [name for name in data if name != holder]
        if not serves and holder not in up:
            yield "start", holder, {}
        if serves:
            yield from self._gathered(holder, others, facts)
        else:
            yield from self._elected(facts, up)
        for name in data:
            yield "start", name, {}
        if not serves:
            for name in data:
                yield "stop", name, {}

    def _gathered(self, holder: str, others: list[str], facts: dict[str, Facts]) -> Iterator[Wish]:
        for name in others:
            if name in facts and not _streams_from(holder, name, facts):
                yield "follow", name, {"upstream": holder}
        term = facts[holder].standing.granted.term
        beyond = [name for name, each in facts.items() if each.standing.pledged.term > term]
        if beyond:
            yield "renew", holder, {}  # Before more are fenced: one more pledge can be of a log that reaches further.
            for name in self._voters(facts):
                if name != holder:
                    yield "fence", name, {"for": holder}
            yield "renew", holder, {}
        for name in others:
            if name in facts and not _streams_from(holder, name, facts):
                yield "reclone", name, {"upstream": holder}
                yield "stop", name, {}  # One that never gets ready is recloned once it is down.

    def _voters(self, facts: dict[str, Facts]) -> list[str]:
        """Return the members in the order in which to fence them: a log that reaches far, or is unknown, comes last."""

        def rank(name: str) -> tuple[bool, tuple[int, int]]:
            instance = facts[name].instance if name in facts else None
            untold = instance is not None and (instance.position is None or instance.position.term is None)
            return untold, _reach(facts[name]) if name in facts else (0, 0)

        return sorted((member.name for member in self._running.cluster.members), key=rank)

    def _elected(self, facts: dict[str, Facts], up: list[str]) -> Iterator[Wish]:
        for name in up:
            yield "promote", name, {}
        promised = Counter(each.standing.pledged.node for each in facts.values())
        data = [name for name in self._running.cluster.data_nodes if name in facts]
        ranked = sorted(data, key=lambda name: (name in up, _reach(facts[name]), promised[name]), reverse=True)
        for name in [name for name in facts if _state(facts[name]) in {State.STOPPED, State.CRASHED}]:
            yield "start", name, {}
        for candidate in ranked:
            for name in self._voters(facts):
                yield "fence", name, {"for": candidate}

    # Walking ----------------------------------------------------------------------------------------------------

    def walk(self) -> Way:
        """Walk until a write is acknowledged by the primary of the newest grant, or nothing is left to ask for."""
        words: tuple[str, ...] = ()
        for _ in range(STEPS_MAX):
            self._bring_back()
            at = self._writes()
            status = self._person.status()
            if status is None:
                self._steps.append("look: no answer")
                time.sleep(0.5)
                continue
            facts = self._facts(status)
            if not at and self._too_few(facts):
                at = holder_of(facts)
                self._lent.append("too few standbys are left, and a person decides to do without")
            if at and at in facts and facts[at].standing.role == "primary" and at == holder_of(facts):
                return Way(found=True, primary=at, steps=tuple(self._steps), lent=tuple(self._lent))
            words = _words(status.matrix)
            if any(view.agreement in CONTRADICTS for view in status.log_views) and self._accept_log():
                continue
            far = len(self._steps) > FAR_STEPS and self._lend(words)
            if not facts or not (far or self._settle(facts) or self._step(status, facts) or self._lend(words)):
                if self._tried["wait"] >= 8:
                    break
                self._tried["wait"] += 1
                time.sleep(1)
        return Way(found=False, primary="", steps=tuple(self._steps), lent=tuple(self._lent), words=words)

    def _bring_back(self) -> None:
        for member in self._running.cluster.members:
            if member.name != self._gone and not self._processes.alive(member.name):
                self._processes.start_agent(member.name, leave_down=True)

    def _too_few(self, facts: dict[str, Facts]) -> bool:
        """Tell whether all that is left streams from the newest grant's primary, and is less than is waited for."""
        holder, data = holder_of(facts), self._running.cluster.data_nodes
        left = [name for name in data if name not in {self._gone, holder}]
        if self._gone not in data or self._gone == holder or len(left) >= self._running.cluster.quorum:
            return False
        return (
            holder in facts and _serves(facts[holder]) and all(each in facts and _streams(facts[each]) for each in left)
        )

    def _settle(self, facts: dict[str, Facts]) -> bool:
        for name, each in facts.items():
            if each.unfinished is None:
                continue
            request = each.unfinished.request
            if self._asked[request] < ASKED_MAX:
                self._asked[request] += 1
                said = self._outcome(request)
                self._steps.append(f"outcome {each.unfinished.action} {name}: {said}")
                if said == "unknown":
                    time.sleep(1)
                return True
            if "stop the node" in each.unfinished.evidence and not self._tried[f"settle {request}"]:
                self._tried[f"settle {request}"] += 1
                done = self._person.do("stop", name)
                self._steps.append(f"stop {name}, as its evidence says: {done.result if done else 'refused'}")
                self._asked.clear()
                return True
        return False

    def _outcome(self, request: str) -> str:
        """Ask what became of a request; where only the other control plane's log knows it, there, as the page says."""
        said = self._person.outcome(request)
        if said != "input.request-unknown":
            return said
        other = self._replays.other_person()
        if other is None:
            return said
        self._lent.append("a control plane on the other log")
        return other.outcome(request)

    def _step(self, status: Status, facts: dict[str, Facts]) -> bool:
        """Ask for the first wish that its plan accepts, and confirm it; tell whether there was one."""
        cells = {_key(cell.action, cell.node, cell.arguments): cell for cell in status.matrix}
        for limit in range(1, TRIES_MAX + 1):
            for action, node, arguments in self._wishes(facts):
                key = _key(action, node, arguments)
                cell = cells.get(key)
                if cell is None or not cell.accepted or self._tried[key] >= limit:
                    continue
                if self._pointless(action, node, arguments, facts):
                    continue
                self._tried[key] += 1
                claims = ("none", "at most", "cannot be proven") if limit == TRIES_MAX else ("none", "at most")
                done = self._person.do(action, node, claims=claims, **arguments)
                result = "refused" if done is None else done.result or "not confirmed"
                self._steps.append(f"{key}: {result}")
                self._asked.clear()
                if done is not None and done.code == "kernel.postgres-start-failed":
                    self._unstarted.add(node)  # PostgreSQL's own log, which the outcome quotes, names the setting.
                self._settled_after(action)
                return True
        return False

    def _pointless(self, action: str, node: str, arguments: dict[str, str], facts: dict[str, Facts]) -> bool:
        """Tell whether a fence would only say again what the node has pledged."""
        standing = facts[node].standing
        stands = standing.pledge is not None and standing.pledged.term > standing.granted.term
        return action == "fence" and stands and standing.pledged.node == arguments["for"]

    def _settled_after(self, action: str) -> None:
        """Give replication a moment to begin; what comes of it is looked at anyway."""
        if action in {"start", "follow", "promote", "reclone", "renew"}:
            time.sleep(0.4)

    def _accept_log(self) -> bool:
        """Have each node give up, by name, what it saw of a log that does not stand; tell whether one was asked."""
        asked = False
        for node, gap in self._person.gaps().items():
            if self._tried[f"accept-log {node}"] < TRIES_MAX:
                self._tried[f"accept-log {node}"] += 1
                done = self._person.do("accept-log", node, seen=gap["seen"], restored=gap["restored"])
                self._steps.append(f"accept-log {node}: {'refused' if done is None else done.result}")
                asked = True
        if asked:
            for key in [key for key in self._tried if not key.startswith("accept-log")]:
                del self._tried[key]
        return asked

    def _lend(self, words: tuple[str, ...]) -> bool:
        """Take one setting back that the verdicts name, if a hand has changed it; tell whether there was one."""
        text = " ".join(words)
        nodes = self._running.cluster.data_nodes  # A copy of a node has its lines too.
        for node, line in ((node, line) for node in nodes for _, line in self._meddling.lines):
            name = line.partition(" ")[0]
            said = (name in text and f"back on {node}" in text) or (node in self._unstarted and name.startswith("max_"))
            if said and f"{node} {line}" not in self._lent:
                self._meddling.take_back(node, line)
                self._lent.append(f"{node} {line}")
                self._tried.clear()  # What was in vain before may be none now.
                return True
        return False


def holder_of(facts: dict[str, Facts]) -> str:
    """Return who holds the newest grant that anybody knows."""
    return max((each.standing.granted for each in facts.values()), key=lambda each: each.term).node


def _key(action: str, node: str, arguments: dict[str, str]) -> str:
    return " ".join((action, node, *arguments.values()))


def _state(facts: Facts) -> State | None:
    return facts.instance.state if facts.instance else None


def _serves(facts: Facts) -> bool:
    return facts.instance is not None and facts.instance.recovery is False


def _streams(facts: Facts) -> bool:
    receiver = facts.instance.receiver if facts.instance else None
    return receiver is not None and receiver.status == "streaming"


def _streams_from(holder: str, name: str, facts: dict[str, Facts]) -> bool:
    """Tell whether a node streams from the holder, be it by way of others; a ring of standbys does not."""
    passed = {name}
    while name in facts and _streams(facts[name]):
        upstream = facts[name].standing.upstream
        if upstream == holder:
            return True
        if upstream is None or upstream in passed:
            return False
        passed.add(name := upstream)
    return False


def _reach(facts: Facts) -> tuple[int, int]:
    position = facts.instance.position if facts.instance else None
    return (position.term or 0, position.lsn.value) if position else (0, 0)


def _words(cells: tuple[Cell, ...]) -> tuple[str, ...]:
    """Return what forbids each action, in the product's own words, once each."""
    found = dict.fromkeys(
        f"{_key(cell.action, cell.node, cell.arguments)}: {verdict.invariant}: {verdict.evidence}"
        for cell in cells
        for verdict in cell.failed
        if verdict.invariant != "running-fits"
    )
    return tuple(found)[:WORDS_MAX]
