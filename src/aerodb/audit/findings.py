"""What was found of a log's meaning: one finding a check, and their sum, which stays small however long the log is.

- A finding *holds*, *fails*, is *unchecked* (what it would take is not at hand), or is *noted*: nothing proves it but
  the control plane's word, and nothing could. What is *told* holds, and everybody who reads the log has to know it.
  What *contradicts* is a node's word, by the log's own signature, that it was another log; only all records together
  tell whether a restoration explains it.
- A log is authentic where each signature in it is checked and holds, and replayed where each plan is. What is unchecked
  is neither, and is never counted as if it were.

Pure: no I/O, no clock.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

from aerodb.protocol.marks import ROOT_BYTES, Mark, mark_of

FindingState = Literal["holds", "fails", "unchecked", "noted", "told", "contradicts"]

REQUEST_ID = "the request's id"
FORM = "the record's form"
ORDER = "the order of events"
CONFIGURATION = "the configuration"
SNAPSHOT = "the snapshot"
PLAN = "the plan"
RULES_OF_PLAN = "the rules"
CONFIRMATION = "the operator's signature"
SECOND = "the second person's signature"
OUTCOME = "the outcome"
LATE = "what was said after the confirmation"
TURN = "its turn"
ENDORSEMENT = "the endorsement"
PERSON = "the person"
RESTORATION = "the log's restoration"
SEEN = "what nodes had seen of the log"

COUNTED = {
    CONFIRMATION: "confirmations",
    SECOND: "second signatures",
    OUTCOME: "outcomes",
    TURN: "turns",
    ENDORSEMENT: "endorsements",
    SNAPSHOT: "reports",
    LATE: "late reports",
    PLAN: "plans",
    SEEN: "checkpoints in reports",
}
"""What is counted where a part holds."""

KEPT_MAX = 50
"""How many failures, and how many kinds of unchecked or noted things, are kept to be shown; all are counted."""


class Contradiction(msgspec.Struct, frozen=True, kw_only=True):
    """A log that a node had seen and that is not this one's beginning; the first and the last record that show it."""

    node: str
    seen: Mark
    kind: Literal["behind", "another"]
    first: int
    last: int

    def widened(self, other: "Contradiction") -> "Contradiction":
        """Return this one, shown by the records of both; of what the two had seen, the larger.

        Where they are as large and not the same, the root is one that no log has: nothing explains them together.
        """
        larger = max(self, other, key=lambda each: each.seen.size)
        if self.seen.size == other.seen.size and self.seen != other.seen:
            larger = msgspec.structs.replace(larger, seen=mark_of(larger.seen.size, bytes(ROOT_BYTES)))
        earlier = min(self, other, key=lambda each: each.first)
        return msgspec.structs.replace(larger, kind=earlier.kind, first=earlier.first, last=max(self.last, other.last))


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one check found of one record.

    `said` is the whole sentence. `count` is how many signatures or plans it is about. `why` groups what is unchecked or
    noted for the same reason.
    """

    state: FindingState
    part: str
    sequence: int
    said: str
    count: int = 1
    why: str = ""
    contradiction: Contradiction | None = None


class Fault(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One failure: which record, which part of it, and what is wrong."""

    sequence: int
    part: str
    why: str


class Unchecked(msgspec.Struct, frozen=True, kw_only=True):
    """What is unchecked, or rests on a word alone, for one reason: how many records, and the first of them."""

    part: str
    why: str
    records: int
    first: int


class Meaning(msgspec.Struct, frozen=True, kw_only=True):
    """The sum of findings: by part how many hold and how many fail; the failures kept; what is unchecked and noted.

    `told` are the sentences that everybody has to know, with the record that each stands in.

    `spans` are the first and the last record that name each trusted configuration, by its digest. `contradictions` are
    what nodes had seen of the log that is no beginning of it, in the order in which the log shows them.
    """

    held: dict[str, int]
    failed: dict[str, int]
    faults: tuple[Fault, ...]
    unchecked: tuple[Unchecked, ...]
    noted: tuple[Unchecked, ...]
    spans: dict[str, tuple[int, int]]
    told: tuple[Fault, ...] = ()
    contradictions: tuple[Contradiction, ...] = ()

    @property
    def whole(self) -> bool:
        """Tell whether everything was checked, and holds."""
        return not self.failed and not self.unchecked

    @property
    def authentic(self) -> bool:
        """Tell whether everything but the replaying of plans was checked, and holds."""
        return {*self.failed, *(gap.part for gap in self.unchecked)} <= {PLAN, RULES_OF_PLAN}

    @property
    def replayed(self) -> bool:
        """Tell whether every plan was computed again, and is the recorded one."""
        return {*self.failed, *(gap.part for gap in self.unchecked)}.isdisjoint(
            {PLAN, RULES_OF_PLAN, SNAPSHOT, CONFIGURATION}
        )


class Tally:
    """Adds up findings."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._held: dict[str, int] = {}
        self._failed: dict[str, int] = {}
        self._faults: list[Fault] = []
        self._gaps: dict[FindingState, dict[tuple[str, str], Unchecked]] = {"unchecked": {}, "noted": {}}
        self._spans: dict[str, tuple[int, int]] = {}
        self._told: list[Fault] = []
        self._contradictions: dict[tuple[str, Mark], Contradiction] = {}

    def under(self, configuration: str, first: int, last: int) -> None:
        """Note that records from `first` to `last` name a trusted configuration; others are not noted."""
        known = self._spans.get(configuration, (first, last))
        self._spans[configuration] = (min(known[0], first), max(known[1], last))

    def add(self, finding: Finding) -> None:
        """Count one finding."""
        if finding.state == "holds":
            self._held[finding.part] = self._held.get(finding.part, 0) + finding.count
        elif finding.state == "fails":
            self._failed[finding.part] = self._failed.get(finding.part, 0) + 1
            self._keep((Fault(sequence=finding.sequence, part=finding.part, why=finding.said),))
        elif finding.state == "told":
            self._told.append(Fault(sequence=finding.sequence, part=finding.part, why=finding.said))
        elif finding.contradiction is not None:
            self._contradict(finding.contradiction)
        else:
            gap = Unchecked(part=finding.part, why=finding.why, records=1, first=finding.sequence)
            self._widen(finding.state, gap)

    def merge(self, found: Meaning) -> None:
        """Count what somebody else has added up."""
        for into, counts in ((self._held, found.held), (self._failed, found.failed)):
            for part, count in counts.items():
                into[part] = into.get(part, 0) + count
        self._keep(found.faults)
        self._told += found.told
        for configuration, span in found.spans.items():
            self.under(configuration, *span)
        for contradiction in found.contradictions:
            self._contradict(contradiction)
        for gap in found.unchecked:
            self._widen("unchecked", gap)
        for gap in found.noted:
            self._widen("noted", gap)

    def _keep(self, faults: Iterable[Fault]) -> None:
        """Keep the first failures in the log's order."""
        self._faults += faults
        if len(self._faults) > 2 * KEPT_MAX:
            self._faults = sorted(self._faults)[:KEPT_MAX]

    def _contradict(self, found: Contradiction) -> None:
        """Keep a contradiction: a node's of one log as one; of one node's more than can be kept, as one too."""
        key = (found.node, found.seen)
        if key not in self._contradictions and len(self._contradictions) >= KEPT_MAX:
            key = next((each for each in self._contradictions if each[0] == found.node), key)
        known = self._contradictions.get(key, found)
        self._contradictions[key] = known.widened(found)

    def _widen(self, state: FindingState, gap: Unchecked) -> None:
        gaps = self._gaps[state]
        key = (gap.part, gap.why)
        if key not in gaps and len(gaps) >= KEPT_MAX:
            key = (gap.part, "for reasons that are too many to be listed")
        known = gaps.get(key, Unchecked(part=key[0], why=key[1], records=0, first=gap.first))
        records, first = known.records + gap.records, min(known.first, gap.first)
        gaps[key] = Unchecked(part=key[0], why=key[1], records=records, first=first)

    def sum(self) -> Meaning:
        """Return everything that was counted."""

        def listed(state: FindingState) -> tuple[Unchecked, ...]:
            return tuple(sorted(self._gaps[state].values(), key=lambda gap: (gap.first, gap.part, gap.why)))

        return Meaning(
            held=dict(sorted(self._held.items())),
            failed=dict(sorted(self._failed.items())),
            faults=tuple(sorted(self._faults)[:KEPT_MAX]),
            unchecked=listed("unchecked"),
            noted=listed("noted"),
            spans=dict(sorted(self._spans.items())),
            told=tuple(sorted(self._told)),
            contradictions=tuple(sorted(self._contradictions.values(), key=lambda each: (each.first, each.node))),
        )
