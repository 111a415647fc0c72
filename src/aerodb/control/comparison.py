"""What nodes, people and the log's own head have seen of the log, held against the log as it is.

- Only what the log's own key signed counts, whoever shows it. So nobody can stop a cluster by a lie.
- A node's newest word counts; one that falls silent takes nothing back, and agrees with nothing.
- Silence blocks nothing: an outage is when nodes are silent.
- A log that is behind or forked is not made longer by plans and refusals of plans: what it lost may come back.
"""

import threading
from collections.abc import Mapping

from aerodb.actions import gap_of
from aerodb.audit.comparison import check_comparisons, compared, comparison_sentences, path_texts, silent_comparison
from aerodb.audit.cosignature import bare
from aerodb.audit.note import CheckpointForged, open_checkpoint
from aerodb.audit.restoration import misnamed
from aerodb.audit.store import Log, LogUnavailable
from aerodb.control.errors import GapMistaken
from aerodb.control.meters import Meters
from aerodb.control.roles import Right, require
from aerodb.errors import AeroError, VerificationFailed
from aerodb.logs import say
from aerodb.protocol.api import Agreement, Compared, Comparison, Shown
from aerodb.protocol.cluster import Cluster, Operator
from aerodb.protocol.marks import Gap
from aerodb.protocol.plan import Request
from aerodb.rules.arguments import RequestMalformed
from aerodb.rules.view import Peer

HEAD = "the control plane's own record of it (log.head)"
CONFLICTS_MAX = 64
"""How many checkpoints that people showed are kept, each of which the log's key signed and the log does not extend."""

AGREES = (Agreement.CONSISTENT, Agreement.NOTHING)
CONFLICTS = (Agreement.BEHIND, Agreement.FORKED)


class Comparisons:
    """Who has seen which part of the log, as far as this process was told. Safe to use from several threads."""

    def __init__(self, cluster: Cluster, log: Log, meters: Meters) -> None:
        """Begin with what the log's head says; nobody is asked yet."""
        self._cluster, self._log, self._meters = cluster, log, meters
        self._lock = threading.Lock()
        self._nodes: dict[str, str] = {}
        self._others = {HEAD: log.lost} if log.lost else {}
        self._told = frozenset[Comparison]()
        self._tell(self.now({}))

    def reported(self, everyone: Mapping[str, Peer]) -> tuple[Comparison, ...]:
        """Take what nodes report now; return how everyone stands to the log, those that are silent as unknown."""
        return self.said({name: peer.facts.checkpoint for name, peer in everyone.items()})

    def said(self, seen: Mapping[str, str]) -> tuple[Comparison, ...]:
        """Take what nodes say now that they have seen, by name; return how everyone stands, the others as unknown."""
        with self._lock:
            self._nodes.update(seen)
        found = self.now(seen)
        self._tell(found)
        return found

    def now(self, answering: Mapping[str, object]) -> tuple[Comparison, ...]:
        """Return how everyone stands to the log; a node that is not `answering` is unknown, unless it contradicted."""
        with self._lock:
            nodes, others = dict(self._nodes), dict(self._others)
        checkpoint = self._log.checkpoint
        found = []
        for name in (member.name for member in self._cluster.members):
            each = self._compared(name, nodes[name], checkpoint) if name in nodes else silent_comparison(name)
            found.append(each if name in answering or each.agreement in CONFLICTS else silent_comparison(name))
        return (*found, *(self._compared(who, seen, checkpoint) for who, seen in others.items()))

    def _compared(self, who: str, seen: str, checkpoint: str) -> Comparison:
        log = open_checkpoint(checkpoint, self._log.verifier_key)
        try:
            path = self._path(seen, log.size) or ()
        except (LogUnavailable, VerificationFailed):  # The log is damaged or out of reach, which says nothing of forks.
            return silent_comparison(who)
        return compared(who, seen, log, path, self._log.verifier_key)

    def _path(self, seen: str, size: int) -> tuple[bytes, ...] | None:
        """Return the path from a checkpoint to the log at `size`; None where it is none, or is of a longer log."""
        try:
            old = open_checkpoint(seen, self._log.verifier_key)
        except CheckpointForged:
            return None
        return self._log.consistency(old.size, size) if old.size <= size else None

    def check(self, everyone: Mapping[str, Peer] | None = None) -> None:
        """Refuse to plan or to confirm anything by a log that does not extend what somebody has seen.

        `everyone` are nodes that report now. The refusal is not recorded: such a log is not made longer by it.

        Raises:
            LogForked, LogBehind: naming who has seen what.
        """
        comparisons = self.now({}) if everyone is None else self.reported(everyone)
        try:
            check_comparisons(comparisons, self._log.size)
        except AeroError as error:
            error.recorded = True
            raise

    def check_request(self, request: Request, everyone: Mapping[str, Peer] | None = None) -> None:
        """Refuse to plan or to confirm a request by a log that contradicts what was seen: but the one that settles it.

        That one needs the contradiction that it names: its target has seen what this log does not extend, and the log
        begins with what is named as restored. What others have seen is for requests of their own.

        Raises:
            LogForked, LogBehind: as `check` does.
            GapMistaken: there is no such gap.
        """
        gap = gap_of(request)
        if gap is None:
            self.check(everyone)
            return
        if everyone is not None:
            self.reported(everyone)
        try:
            self._check_gap(request.target, gap)
        except GapMistaken as error:
            error.recorded = True
            raise

    def _check_gap(self, target: str, gap: Gap) -> None:
        with self._lock:
            seen = self._nodes.get(target, "")
        if self.how(target, seen).agreement not in CONFLICTS:
            raise GapMistaken(f"this log extends what {target} has seen of it: there is nothing to give up")
        size = self._log.size
        if misnamed(gap, size, self._log.root_at):
            raise GapMistaken(f"this log of {size} records does not begin with {gap.restored}", field="restored")

    def how(self, who: str, seen: str) -> Comparison:
        """Return how a checkpoint that somebody saw ("": none) stands to the log as it is now."""
        return self._compared(who, seen, self._log.checkpoint)

    def compare(self, person: Operator, shown: Shown) -> Compared:
        """Return the newest checkpoint, and the proof that it extends each of those that a person shows.

        What it does not extend is remembered, and refused by from now on: for as long as this process lives, or until
        the same person shows one that it does extend.

        Raises:
            CallerRefused: the person may not look.
            RequestMalformed: a name is no node's.
        """
        require(person, Right.LOOK)
        known = {"", *(member.name for member in self._cluster.members)}
        if not known.issuperset(shown.checkpoints):
            raise RequestMalformed("each checkpoint stands under the name of its node", field="checkpoints")
        checkpoint, paths = self._log.checkpoint, {}
        size = open_checkpoint(checkpoint, self._log.verifier_key).size
        for who, seen in shown.checkpoints.items():
            self._keep(f"{person.name}, who shows {who}'s" if who else f"{person.name}'s profile", seen, checkpoint)
            path = self._path(seen, size)
            if path is not None:
                paths[who] = path_texts(path)
        restored = shown.restored if shown.restored is not None and shown.restored <= size else None
        beginning = () if restored is None else path_texts(self._log.consistency(restored, size))
        return Compared(checkpoint=checkpoint, paths=paths, restored=beginning)

    def _keep(self, who: str, seen: str, checkpoint: str) -> None:
        """Remember a checkpoint of which the log is no extension, once; one that it extends takes that one's place."""
        agreement = self._compared(who, seen, checkpoint).agreement
        if agreement is Agreement.CONSISTENT:
            with self._lock:
                self._others.pop(who, None)
        if agreement not in CONFLICTS:
            return
        with self._lock:
            known = {self._signed(text) for text in (*self._nodes.values(), *self._others.values())}
            if self._signed(seen) not in known and len(self._others) < CONFLICTS_MAX:
                self._others[who] = seen
        self._tell(self.now({}))

    def _signed(self, text: str) -> str:
        """Return a checkpoint as the log signed it, whoever cosigned it; what is none as it is."""
        try:
            return bare(text, self._log.verifier_key)
        except CheckpointForged:
            return text

    def _tell(self, comparisons: tuple[Comparison, ...]) -> None:
        """Say in the service's log, once each, who has seen what the log does not have."""
        with self._lock:
            fresh = [each for each in comparisons if each.agreement in CONFLICTS and each not in self._told]
            self._told = frozenset(each for each in comparisons if each.agreement in CONFLICTS)
        self._meters.contradicted(len(self._told))
        for _, text in comparison_sentences(fresh, self._log.size):
            say("the audit log contradicts what was seen of it", found=text)
