"""What the records of one request mean, judged one after another: the one judge of folder, export, evidence and pages.

- A request is asked once, confirmed at most once and only after it was planned, and has an outcome only after it was
  confirmed. A plan that was declined or lapsed is never confirmed. Refusals may come at any time, and change nothing.
- One that comes after another request is executed only once its turn has come, which is recorded in between.
- Where its configuration asks for a second person, a plan is signed first by who asked, and then confirmed by another
  operator: the confirmation holds both signatures. Nowhere else is one signed first.
- Each record is judged under the configuration that it names, where that is trusted; else it is unchecked, and said so.
- A confirmation is the enrolled operator's signature over exactly the recorded plan; the plan is computed again from
  its snapshot, whose reports are their nodes'; an outcome is signed by the target; late reports were made for the
  logged confirmation, and are those that the outcome names.
- "Not executed", where no agent signed it, is the control plane's word that nothing was ever sent; an agent's
  "executed" for the same request shows that word to be false.
- That a plan was declined or lapsed, and who signed in and out, is the control plane's word; yet only who is enrolled
  declines or signs in, nobody declines another's plan, and nobody signs out of what they had not signed in to.

Pure: no I/O, no clock; records and blobs are passed in.
"""

from collections.abc import Iterable, Iterator

from aerodb.actions import needs_second
from aerodb.audit import findings as part
from aerodb.audit.checks import (
    Asked,
    Unfounded,
    check_confirmation,
    check_endorsement,
    check_outcome,
    check_plan,
    check_recorded,
    check_second,
    check_snapshot,
    computed_again,
    enrolled,
    may_sign,
    names,
)
from aerodb.audit.contradictions import Whole, seen_then
from aerodb.audit.findings import Finding
from aerodb.audit.logged import Logged, checked, failed, gap, held, noted, refused, unless
from aerodb.audit.record import Record, out_of_place
from aerodb.audit.restoration import restoration
from aerodb.audit.search import instant
from aerodb.audit.sentences import replayed_so, signed_so
from aerodb.audit.trust import Trust
from aerodb.audit.turns import TurnCheck
from aerodb.audit.verify import BlobOf
from aerodb.errors import AeroError
from aerodb.past.held import RulesOther
from aerodb.protocol import canonical
from aerodb.protocol.cluster import Cluster, read_configuration
from aerodb.protocol.formats import MadeLater
from aerodb.protocol.plan import Outcome, Snapshot, late_nonce
from aerodb.protocol.signed import Signed
from aerodb.rules.explain import LOOK_ID, REQUEST_ID
from aerodb.rules.late import digests
from aerodb.rules.view import Peer

_AFTER: dict[str, tuple[str, ...]] = {
    "": ("requested", "rejected"),
    "requested": ("signed", "confirmed", "declined", "lapsed"),
    "signed": ("confirmed", "declined", "lapsed"),
    "rejected": (),
    "declined": (),
    "lapsed": (),
    "confirmed": ("triggered", "outcome", "established"),
    "triggered": ("outcome", "established"),
    "outcome": ("established",),
    "established": ("established", "outcome"),
}
"""Which record of a request may follow which; refusals are left out, for they may come at any time."""

_ABOUT_PEOPLE = ("endorsed", "read", "refused", "signed-in", "signed-out")
"""The events of records that are about a person and no request."""

_INSIDE_MAX = 64
"""How many of a person's newest sessions are remembered, so that memory stays flat: more than ever go on at once."""


def judged(trust: Trust, entries: Iterable[Logged], blob: BlobOf, whole: Whole | None = None) -> Iterator[Finding]:
    """Yield what holds of all the records of one request (or of all that are of none), in the log's order.

    `blob` gives what a digest names: bytes that have this digest. `whole` is the log, where it is at hand as a whole.
    """
    story = _Story(trust, blob, whole)
    for entry in entries:
        yield from story.take(entry)


class _Story:
    """What is known of one request so far: a fixed number of values, however many records it has."""

    def __init__(self, trust: Trust, blob: BlobOf, whole: Whole | None) -> None:
        self._trust, self._blob, self._whole = trust, blob, whole
        self._last = ""
        self._first: Record | None = None
        self._signature = ""
        self._confirmed, self._confirmed_at = "", -1
        self._turn = TurnCheck(blob, whole)
        self._heard: dict[str, Peer] | None = None
        self._ended = False
        self._signed = ""
        self._denied = False
        self._late: dict[str, str] | None = None
        self._inside: dict[str, list[dict[str, str]]] = {}
        self._restored = False

    def take(self, entry: Logged) -> Iterator[Finding]:
        """Yield what holds of the next record."""
        event = entry.record.event
        stray = out_of_place(entry.record)
        if stray:
            yield failed(entry, part.FORM, f"{', '.join(stray)} say nothing in a record of {event}")
        if instant(entry.record.at) is None:
            yield failed(entry, part.FORM, "its time is none")
        yield from self._placed(entry)
        cluster = self._trust.named(entry.record.configuration)
        if cluster is None:
            yield self._untrusted(entry)
        if event == "refused":
            yield noted(entry, part.ORDER, f"refused, as the control plane recorded it ({entry.record.code})")
        elif event == "read":
            yield noted(entry, part.ORDER, "a sensitive reading, as the control plane recorded it")
        elif event == "endorsed":
            yield from self._endorsed(cluster, entry)
        elif event in ("signed-in", "signed-out"):
            yield from self._signed_in_or_out(cluster, entry)
        else:
            yield from self._stepped(cluster, entry)

    def _stepped(self, cluster: Cluster | None, entry: Logged) -> Iterator[Finding]:
        """Yield what holds of a step in a request's life, and note that it was taken."""
        event, record = entry.record.event, entry.record
        planned = event in ("requested", "rejected")
        self._first = self._first or record
        if cluster is not None:
            if planned:
                yield from self._planned(cluster, entry)
            elif event in ("signed", "confirmed"):
                yield checked(entry, part.CONFIRMATION, lambda: self._confirmation(cluster, entry))
                if event == "confirmed":
                    yield from self._seconded(cluster, entry)
            elif event in ("outcome", "established"):
                yield from self._outcome(cluster, entry)
            elif event == "triggered":
                yield from self._turn.come(cluster, entry, self._first, self._confirmed_at)
            else:
                yield from self._let_go(cluster, entry)
        if event == "signed":
            self._signature = record.signature
        if event == "confirmed" and not self._confirmed:
            self._confirmed, self._confirmed_at = entry.text, entry.sequence
        if event == "triggered" and not self._turn.text:
            self._turn.text = entry.text
        self._last, self._ended = event, self._ended or event == "outcome"

    # Where a record stands ------------------------------------------------------------------------------------------

    def _placed(self, entry: Logged) -> Iterator[Finding]:
        """Yield what is wrong with where a record stands among those of its request."""
        record, last = entry.record, self._last
        if record.request == "":
            if record.event not in _ABOUT_PEOPLE:
                yield failed(entry, part.REQUEST_ID, f"it is {record.event}, and names no request")
            return
        if not REQUEST_ID.fullmatch(record.request) or (record.request == LOOK_ID and record.event != "refused"):
            yield failed(entry, part.REQUEST_ID, "it is none that a request may have")
        if record.event == "refused":
            return
        if last and record.event in ("requested", "rejected"):
            yield failed(entry, part.REQUEST_ID, f"it was used before: {record.event} after {last}")
        elif record.event not in _AFTER.get(last, ()) or (record.event == "outcome" and self._ended):
            yield failed(entry, part.ORDER, f"{record.event} does not follow {last or 'nothing'}")
        if self._first is not None and record.asked != self._first.asked:
            yield failed(entry, part.REQUEST_ID, "the record is of another request of the same id")

    def _untrusted(self, entry: Logged) -> Finding:
        """Return what is to be said of a record whose configuration is none of those that are trusted."""
        digest = entry.record.configuration
        data = self._blob(digest) if digest else None
        why = f"made under the configuration {digest}, which is not one of those trusted here"
        if data is None:
            return gap(entry, part.CONFIGURATION, why if digest else "it names no configuration")
        try:
            found = read_configuration(data)
        except MadeLater as error:
            return gap(entry, part.CONFIGURATION, error.message)
        except canonical.NotCanonical as error:
            return failed(entry, part.CONFIGURATION, f"{digest} is none: {error.message}")
        own = self._trust.cluster
        if (found.id, found.log_key) != (own.id, own.log_key):
            return failed(entry, part.CONFIGURATION, f"{digest} is of another cluster or log: {found.id}")
        return gap(entry, part.CONFIGURATION, why)

    def _text(self, digest: str) -> str:
        data = self._blob(digest) if digest else None
        if data is None:
            raise Unfounded(f"the record names {digest or 'none'}, and that is not at hand")
        return data.decode()

    # Plans ----------------------------------------------------------------------------------------------------------

    def _planned(self, cluster: Cluster, entry: Logged) -> Iterator[Finding]:
        """Yield what holds of a plan's snapshot, and of the plan."""
        record = entry.record
        try:
            snapshot, everyone = check_snapshot(cluster, self._text(record.snapshot), record.request)
        except (AeroError, UnicodeError) as error:
            yield refused(entry, part.SNAPSHOT, error)
            return
        silent = f" {', '.join(snapshot.missing)} did not report." if snapshot.missing else ""
        said = f"Each report in the snapshot is signed by its own node: {names(snapshot.reports)}.{silent}"
        yield held(entry, part.SNAPSHOT, said, len(everyone))
        yield from self._seen(cluster, entry, everyone)
        yield self._plan(cluster, entry, snapshot, everyone)

    def _seen(self, cluster: Cluster, entry: Logged, everyone: dict[str, Peer]) -> Iterator[Finding]:
        """Yield how what nodes had seen of the log when they reported stands to it."""
        seen = {name: peer.facts.checkpoint for name, peer in everyone.items()}
        return seen_then(entry, seen, cluster.log_key, self._whole)

    def _plan(self, cluster: Cluster, entry: Logged, snapshot: Snapshot, everyone: dict[str, Peer]) -> Finding:
        """Return whether the plan is what the rules make of its snapshot."""
        record = entry.record
        try:
            text = self._text(record.plan)
            plan = check_plan(text, record)
            if computed_again(cluster, plan, snapshot, everyone) != text:
                raise Unfounded("computed again from the snapshot by the rules that made it, it is another")
        except RulesOther as error:
            return gap(entry, part.RULES_OF_PLAN, error.message)
        except (AeroError, UnicodeError) as error:
            return refused(entry, part.PLAN, error)
        return held(entry, part.PLAN, replayed_so(plan, text, record))

    # Confirmations --------------------------------------------------------------------------------------------------

    def _confirmation(self, cluster: Cluster, entry: Logged) -> str:
        record, first = entry.record, self._first or entry.record
        named = (record.plan, record.snapshot, record.configuration)
        if named != (first.plan, first.snapshot, first.configuration):
            raise Unfounded("it is of another plan, snapshot or configuration than the one that was recorded")
        confirmed = check_confirmation(cluster, record.operator, self._text(record.plan), record.signature)
        if confirmed.proof.touch != record.touch:
            raise Unfounded("whether a key was touched is recorded otherwise")
        if record.event == "signed" and not needs_second(cluster, record.asked):
            raise Unfounded("it awaits a second person, and the configuration asks for none here")
        return signed_so(entry, record.operator, confirmed, cluster, touched=record.touch)

    def _seconded(self, cluster: Cluster, entry: Logged) -> Iterator[Finding]:
        """Yield what holds of a confirmation's second signature: that it is there where it is due, and nowhere else."""
        record = entry.record
        try:
            proven = check_second(cluster, record, self._text(record.plan))
        except (AeroError, UnicodeError) as error:
            yield failed(entry, part.SECOND, str(error))
            return
        if proven is None:
            return
        if record.signature != self._signature:
            yield failed(entry, part.SECOND, f"it holds another signature of {record.operator} than was logged first")
        second = record.seconded.operator if record.seconded is not None else ""
        yield held(entry, part.SECOND, signed_so(entry, second, proven, cluster, touched=record.second_touched))

    def _let_go(self, cluster: Cluster, entry: Logged) -> Iterator[Finding]:
        """Yield what holds of a plan that was declined or lapsed, which nobody signs."""
        record, first = entry.record, self._first or entry.record
        if record.plan != first.plan:
            yield failed(entry, part.PLAN, "it is of another plan than the one that was recorded")
        if record.event == "declined":
            if record.configuration != first.configuration:  # Only the process that made a plan takes a word on it.
                yield failed(entry, part.CONFIGURATION, "it is another one than the plan was made under")
            yield from unless(entry, part.PERSON, lambda: may_sign(cluster, record.operator))
        why = f"{record.event}, as the control plane recorded it; it can no longer be confirmed"
        yield noted(entry, part.ORDER, why)

    # People ---------------------------------------------------------------------------------------------------------

    def _signed_in_or_out(self, cluster: Cluster | None, entry: Logged) -> Iterator[Finding]:
        """Yield what holds of a session's begin or end, which nobody signs."""
        record = entry.record
        if cluster is not None:
            stranger = tuple(unless(entry, part.PERSON, lambda: enrolled(cluster, record.operator)))
            yield from stranger
            if not stranger:
                yield from self._session(entry, self._inside.setdefault(record.operator, []))
        yield noted(entry, part.ORDER, f"{record.event}, as the control plane recorded it")

    def _session(self, entry: Logged, inside: list[dict[str, str]]) -> Iterator[Finding]:
        """Yield whether a person signs out of what they had not signed in to; `inside` is what they had."""
        session = entry.record.arguments
        if entry.record.event == "signed-in":
            inside.append(session)
            del inside[:-_INSIDE_MAX]
        elif session in inside:
            inside.remove(session)
        else:
            yield failed(entry, part.ORDER, f"{entry.record.operator} had not signed in to this session")

    def _endorsed(self, cluster: Cluster | None, entry: Logged) -> Iterator[Finding]:
        """Yield what holds of an endorsement, which is of a person and no request."""
        if cluster is not None:
            yield checked(entry, part.ENDORSEMENT, lambda: self._endorsement(cluster, entry))

    def _endorsement(self, cluster: Cluster, entry: Logged) -> str:
        person = entry.record.operator
        check_endorsement(cluster, entry.record, self._text(entry.record.endorsement))
        return f"Record {entry.sequence}: {person} endorsed an authenticator with their enrolled SSH key."

    # Outcomes -------------------------------------------------------------------------------------------------------

    def _outcome(self, cluster: Cluster, entry: Logged) -> Iterator[Finding]:
        """Yield what holds of an outcome, and of what the peers said before it."""
        record = entry.record
        signed, reported = record.outcome, None
        if record.late:
            late, reported = self._reports_late(cluster, entry)
            yield from late
            self._late = reported
        elif record.event == "outcome" and not self._turn.awaited(record):
            yield failed(entry, part.LATE, f"the log lacks what the peers of {record.target} said")
        if signed is None:
            yield self._unsigned(entry)
            return
        try:
            outcome = self._signed_outcome(cluster, entry, signed)
        except (AeroError, UnicodeError) as error:
            yield failed(entry, part.OUTCOME, str(error))
            return
        found = ", found out afterwards" if outcome.established else ""
        said = f"{outcome.result}{found}, signed by the agent of {record.target} for this plan"
        yield held(entry, part.OUTCOME, f"Record {entry.sequence}: {said}.")
        if outcome.result == "executed" and not self._restored and (told := restoration(record)):
            self._restored = True
            yield Finding(state="told", part=part.RESTORATION, sequence=entry.sequence, said=told)
        if outcome.result == "executed":
            yield from self._turn.executed(entry, self._heard)
        yield from self._judged_late(entry, outcome, reported)

    def _unsigned(self, entry: Logged) -> Finding:
        record = entry.record
        if record.result not in ("not executed", "unknown") or record.event == "established":
            said = record.result or "nothing"
            return failed(entry, part.OUTCOME, f"it is recorded as {record.event}, {said}, and no agent signed it")
        self._denied = self._denied or record.result == "not executed"
        if self._denied and self._signed == "executed":
            return failed(entry, part.OUTCOME, f"it is recorded as not executed, and {record.target} signed executed")
        why = f"{record.result}, as the control plane recorded it; no agent signed it"
        return noted(entry, part.OUTCOME, why)

    def _signed_outcome(self, cluster: Cluster, entry: Logged, signed: Signed) -> Outcome:
        record, first = entry.record, self._first or entry.record
        if record.plan != first.plan:
            raise Unfounded("it is of another plan than the one that was recorded")
        asked = Asked(first.request, first.target, record.plan)
        outcome = check_outcome(cluster, asked, record.result, signed)
        check_recorded(record, outcome)
        if self._signed not in ("", "unknown", outcome.result):
            raise Unfounded(f"{record.target} signed {outcome.result}, and had signed {self._signed} before")
        self._signed = outcome.result
        if self._denied and outcome.result == "executed":
            raise Unfounded(f"{record.target} signed executed, and it had been recorded as not executed")
        return outcome

    # What was said late ---------------------------------------------------------------------------------------------

    def _reports_late(self, cluster: Cluster, entry: Logged) -> tuple[list[Finding], dict[str, str] | None]:
        """Return what holds of the reports that were made after the confirmation, and their digests where they hold.

        Once the request's turn has come they are made after the record of that.
        """
        since = self._turn.text or self._confirmed
        try:
            said, everyone = check_snapshot(cluster, self._text(entry.record.late), late_nonce(since))
        except MadeLater as error:
            return [gap(entry, part.LATE, error.message)], None
        except (AeroError, UnicodeError) as error:
            what = "turn" if self._turn.text else "confirmation"
            return [failed(entry, part.LATE, f"it was not made for this {what}, or not signed: {error}")], None
        self._heard = everyone
        silent = f" {', '.join(said.missing)} did not report." if said.missing else ""
        after = "after its turn had come" if self._turn.text else "after that confirmation"
        text = f"Made {after}, and signed by its own node: the report of each of {names(said.reports)}."
        found = [held(entry, part.LATE, text + silent, len(said.reports)), *self._seen(cluster, entry, everyone)]
        return found, digests(said.reports)

    def _judged_late(self, entry: Logged, outcome: Outcome, reported: dict[str, str] | None) -> Iterator[Finding]:
        """Yield whether an agent judged by the late reports that the log holds: those, and no others."""
        record, known = entry.record, self._late if reported is None else reported
        executed = outcome.result == "executed"
        if known is None and outcome.late and record.event == "established":
            # The control plane ended before it could record them; the agent's signature still names each.
            yield noted(entry, part.LATE, "named by an outcome that was found out afterwards, and not in the log")
        elif known is not None and outcome.late != known and (executed or outcome.late):
            if outcome.established and not outcome.late:
                return  # What is established afterwards rests on the node's journal and its PostgreSQL.
            yield failed(entry, part.OUTCOME, f"{record.target} judged by other late reports than the log holds")
