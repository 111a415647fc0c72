"""The turn of a request that comes after another one, as the log shows it.

- Such a request is signed before the one that it comes after, and executed once that one is: never by its confirmation
  alone. Between its confirmation and its outcome stands the one record that its turn has come.
- That record holds what the earlier request's node signed: that it executed that very request, and not that this was
  found out afterwards.
- The plan that this signature names is of the earlier request, and names this one and its plan's digest. It was made
  after this one was confirmed, and the same outcome stands in that request's own records. Only a whole log holds these.
- Whoever executed it judged by reports that were made once its turn had come; the earlier request's node was among
  those who reported, and had pledged exactly what this one is about.

Pure: no I/O, no clock; records and blobs are passed in.
"""

from collections.abc import Iterator

from aerodb.audit import findings as part
from aerodb.audit.checks import Unfounded, read_plan
from aerodb.audit.contradictions import Whole
from aerodb.audit.findings import Finding
from aerodb.audit.logged import Logged, checked, failed, noted, unless
from aerodb.audit.record import Record
from aerodb.audit.sentences import turned_so
from aerodb.audit.verify import BlobOf
from aerodb.protocol.ahead import AFTER, THEN, Earlier, Later
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.plan import Outcome
from aerodb.protocol.signed import open_signed
from aerodb.rules.ahead import earlier_of
from aerodb.rules.view import Peer

UNTOLD = "that the plan of the request before it names this one, and that its own records agree, only a whole log shows"


def earlier_named(record: Record) -> Earlier:
    """Return the request that the one of a record comes after.

    Raises:
        Unfounded: it comes after none.
        SequenceMalformed: it does not name it as it must.
    """
    earlier = earlier_of(record.asked)
    if earlier is None:
        raise Unfounded("the request comes after no other one")
    return earlier


def check_turn(cluster: Cluster, record: Record) -> Outcome:
    """Return what the earlier request's node signed, by a record that the turn of the one after it has come.

    Raises:
        Unfounded: it did not sign there that it executed exactly that request, when it executed it.
        DocumentForged, NotCanonical, NodeUnknown, SequenceMalformed: it did not sign it, or nobody is named who could.
    """
    earlier, signed = earlier_named(record), record.outcome
    if signed is None:
        raise Unfounded(f"nothing that {earlier.target} signed is in it")
    outcome = open_signed(signed, Outcome, cluster.member(earlier.target).public_key)
    said = (outcome.cluster, outcome.node, outcome.request, signed.signer)
    if said != (cluster.id, earlier.target, earlier.request, earlier.target):
        raise Unfounded(f"what {earlier.target} signed is not of its request {earlier.request}, or not in its own name")
    if outcome.result != "executed" or outcome.established:
        found = ", found out afterwards" if outcome.established else ""
        raise Unfounded(f"{earlier.target} signed of {earlier.words}: {outcome.result}{found}")
    return outcome


class TurnCheck:
    """What is known of one request's turn: a fixed number of values. `text` is the record that it came, once it is."""

    def __init__(self, blob: BlobOf, whole: Whole | None) -> None:
        """Keep where to look up what a digest names, and the log where it is at hand as a whole."""
        self._blob, self._whole = blob, whole
        self.text = ""

    def awaited(self, record: Record) -> bool:
        """Tell whether the request of a record waits for its turn: until then nothing is asked of anybody for it."""
        return AFTER in record.arguments and not self.text

    def come(self, cluster: Cluster, entry: Logged, first: Record, confirmed: int) -> Iterator[Finding]:
        """Yield what holds of the record that a request's turn has come.

        `first` is the request's first record, `confirmed` the number of its confirmation.
        """
        if entry.record.plan != first.plan:
            yield failed(entry, part.PLAN, "it is of another plan than the one that was recorded")
        yield checked(entry, part.TURN, lambda: self._come(cluster, entry, confirmed))
        if self._whole is None:
            yield noted(entry, part.TURN, UNTOLD)

    def _come(self, cluster: Cluster, entry: Logged, confirmed: int) -> str:
        outcome, earlier = check_turn(cluster, entry.record), earlier_named(entry.record)
        if self._whole is not None:
            self._check_names(entry.record, earlier, outcome)
            _check_logged(self._whole, entry, earlier, confirmed)
        return turned_so(entry, earlier)

    def _check_names(self, record: Record, earlier: Earlier, outcome: Outcome) -> None:
        """Check that the plan which was executed is of the earlier request, and names this one."""
        data = self._blob(outcome.plan) if outcome.plan else None
        if data is None:
            raise Unfounded(f"the plan of {earlier.words} is not in the log")
        asked = read_plan(data.decode()).request
        this = str(Later(request=record.request, plan=record.plan))
        named = (asked.id, asked.action, asked.target, asked.arguments.get(THEN))
        if named != (earlier.request, earlier.action, earlier.target, this):
            raise Unfounded(f"the plan that {earlier.target} executed is not to {earlier.words} and then this")

    def executed(self, entry: Logged, heard: dict[str, Peer] | None) -> Iterator[Finding]:
        """Yield what is missing where the request of a record was executed; `heard` is what its node judged by."""
        if self.awaited(entry.record):
            yield failed(entry, part.ORDER, "it was executed, and the log does not say that its turn had come")
        elif self.text and heard is not None:
            yield from unless(entry, part.LATE, lambda: self._check_pledged(entry.record, heard))

    def _check_pledged(self, record: Record, heard: dict[str, Peer]) -> None:
        """Check that the earlier request's node reported, and had pledged the plan's term to this node."""
        earlier, term = earlier_named(record), read_plan((self._blob(record.plan) or b"").decode()).term
        peer = heard.get(earlier.target)
        if peer is None or peer.pledge is None:
            raise Unfounded(f"{earlier.target} did not report a pledge once it had executed {earlier.words}")
        if (peer.pledge.term, peer.pledge.candidate) != (term, record.target):
            raise Unfounded(f"{earlier.target} reported another pledge than term {term} for {record.target}")


def _check_logged(whole: Whole, entry: Logged, earlier: Earlier, confirmed: int) -> None:
    """Check that the log holds the same outcome among the earlier request's records, and those after this was signed.

    `confirmed` is the number of this one's confirmation.
    """
    planned, same = -1, False
    for sequence, record in whole.records_of(earlier.request):
        if record.event == "requested" and planned < 0:
            planned = sequence
        if record.event == "outcome" and sequence < entry.sequence:
            same = same or record.outcome == entry.record.outcome
    if not same:
        raise Unfounded(f"the log holds no such outcome of {earlier.words} before it")
    if planned < confirmed:
        raise Unfounded(f"{earlier.words} was planned before this was confirmed")
