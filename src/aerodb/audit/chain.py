"""Verifying along the chain: from version 1, which is trusted outright, to every later version by what proves it.

- Who signed a version is judged by the version before: an operator of it, with the key that it enrols; and a second
  person, where that version asks for one for anything.
- The confirmation stands in the log, and what the plan names is exactly the change that the version makes.
- Where the node's outcome is at hand, the node signed that it took the version by this very plan.

Pure: no I/O, no clock.
"""

from collections.abc import Iterable, Iterator, Mapping

import msgspec
from msgspec.structs import replace

from aerodb.actions import second_of
from aerodb.audit.checks import Asked, check_confirmation, check_outcome
from aerodb.audit.contradictions import Whole
from aerodb.audit.findings import Finding
from aerodb.audit.logged import Logged
from aerodb.audit.meaning import judged
from aerodb.audit.proof import open_proof
from aerodb.audit.record import Record, decode_record, read_record
from aerodb.audit.trust import Take, Trust
from aerodb.audit.verify import BlobOf
from aerodb.errors import AeroError
from aerodb.protocol import canonical
from aerodb.protocol.chain import Chain, changed, founded, opened
from aerodb.protocol.change import read_step
from aerodb.protocol.cluster import Cluster, read_configuration
from aerodb.protocol.envelope import Envelope
from aerodb.protocol.plan import Confirmation, Plan, plan_digest, plan_in

CONFIGURE = "configure"
_MARK = b'"action":"configure"'


class EnvelopeInvalid(AeroError):
    """What is said to prove a version of the configuration does not; the message says which part, of which version."""

    code = "control.envelope-invalid"
    status = 409
    title = "A version of the configuration is not proven"


def made(before: Cluster, signed: Confirmation) -> tuple[Plan, Cluster]:
    """Return the plan that `signed` confirms, and the version that it makes of `before`.

    Raises:
        AeroError: it is no plan to change this version, or nobody has confirmed it who may under this version.
    """
    plan = plan_in(signed.plan)
    if not plan.intact() or not plan.accepted:
        raise EnvelopeInvalid("the plan is altered, or a rejection")
    if (plan.cluster, plan.configuration, plan.request.action) != (before.id, before.digest, CONFIGURE):
        raise EnvelopeInvalid("the plan was not made to change this version of the configuration")
    step = read_step(plan.request.arguments.get("change", ""), "change")
    after = changed(before, step.change)
    if (after.version, after.digest) != (step.version, step.digest):
        raise EnvelopeInvalid("the plan names another version than its change makes")
    check_confirmation(before, plan.request.operator, signed.plan, signed.signature)
    second_of(before, plan.request, signed)
    return plan, after


def open_envelope(before: Cluster, envelope: Envelope) -> tuple[Cluster, int]:
    """Return the version in an envelope, if everything proves it, and where in the log a node had taken it (-1: not).

    Raises:
        EnvelopeInvalid: it is not proven to follow `before`; the message says what is wrong.
    """
    try:
        after = opened(before, envelope.document)
        plan, signed = made(before, _confirmed_in(envelope))
        if signed.digest != after.digest:
            raise EnvelopeInvalid("the plan that was signed is of another version")
        _check_logged(before, plan, envelope)
        at = _taken_at(before, plan, envelope)
    except (AeroError, UnicodeError) as error:
        said = error.message if isinstance(error, AeroError) else str(error)
        raise EnvelopeInvalid(f"version {before.version + 1} of the configuration is not proven: {said}") from error
    return after, at


def _confirmed_in(envelope: Envelope) -> Confirmation:
    second = envelope.second or msgspec.UNSET
    return Confirmation(plan=envelope.plan, signature=envelope.signature, second=second)


def _check_logged(before: Cluster, plan: Plan, envelope: Envelope) -> None:
    record = decode_record(canonical.utf8(envelope.record))
    signatures = (record.signature, record.seconded)
    said = (record.event, record.request, record.plan, signatures, record.configuration)
    wanted = (envelope.signature, envelope.second)
    if said != ("confirmed", plan.request.id, plan_digest(envelope.plan), wanted, before.digest):
        raise EnvelopeInvalid("the record is not that of the confirmation")
    open_proof(envelope.proof, before.log_key, canonical.utf8(envelope.record))


def _taken_at(before: Cluster, plan: Plan, envelope: Envelope) -> int:
    """Return at which record the node's signed outcome stands; -1 where none is shown."""
    if not envelope.outcome:
        return -1
    record = decode_record(canonical.utf8(envelope.outcome))
    if record.outcome is None or record.request != plan.request.id:
        raise EnvelopeInvalid("the outcome is of another request, or no agent signed it")
    asked = Asked(plan.request.id, plan.request.target, plan_digest(envelope.plan))
    check_outcome(before, asked, "executed", record.outcome)
    return open_proof(envelope.outcome_proof, before.log_key, canonical.utf8(envelope.outcome)).index


def verified_chain(founding: Cluster, envelopes: Iterable[Envelope]) -> Chain:
    """Return the chain that envelopes prove, from the founding document on.

    Raises:
        VersionRefused: what is given as the founding document is a later version.
        EnvelopeInvalid: an envelope does not prove its version.
    """
    chain = founded(founding)
    for envelope in envelopes:
        chain = Chain((*chain.versions, open_envelope(chain.newest, envelope)[0]))
    return chain


def following(trust: Trust, chain: Iterable[Envelope], taken: Iterable[Envelope]) -> Trust:
    """Return what is trusted with the versions that envelopes prove; `taken` are takes of versions that others made.

    Raises:
        EnvelopeInvalid: a version does not follow from what is trusted, or is not proven.
    """
    takes: dict[str, list[Take]] = {}
    for envelope in (*chain, *taken):
        before = trust.named(_previous(envelope))
        if before is None:
            raise EnvelopeInvalid("a version of the configuration follows none that is trusted")
        after, at = open_envelope(before, envelope)
        if trust.named(after.digest) is None:
            trust = replace(trust, derived=(*trust.derived, after))
        if at >= 0:
            target = plan_in(envelope.plan).request.target
            takes.setdefault(target, []).append((at, after.digest))
    return replace(trust, takes={node: tuple(sorted(found)) for node, found in takes.items()})


def _previous(envelope: Envelope) -> str:
    return read_configuration(canonical.utf8(envelope.document)).previous


# Along a whole log ----------------------------------------------------------------------------------------------------


def along(trust: Trust, records: Iterable[tuple[int, bytes]], blob: BlobOf) -> Trust:
    """Return what is trusted with the versions that a log's records prove, and where each node took which.

    `records` are numbers and bytes, rising. What does not prove a version is passed over here: its own records are
    judged like any others, and those that name it are then of no trusted configuration.
    """
    known = {each.digest: each for each in trust.clusters}
    confirmed: dict[str, Record] = {}
    takes: dict[str, tuple[Take, ...]] = {}
    for sequence, body in records:
        if _MARK not in body:
            continue
        record = read_record(body)
        if record.event == "confirmed":
            confirmed.setdefault(record.request, record)
        elif record.event in ("outcome", "established") and record.result == "executed":
            after = _made_by(known, confirmed.get(record.request), record, blob)
            if after is not None:
                known.setdefault(after.digest, after)
                takes[record.target] = (*takes.get(record.target, ()), (sequence, after.digest))
    own = {each.digest for each in trust.clusters}
    return replace(trust, derived=tuple(each for each in known.values() if each.digest not in own), takes=takes)


def _made_by(known: Mapping[str, Cluster], confirmed: Record | None, record: Record, blob: BlobOf) -> Cluster | None:
    """Return the version that a request made, if its confirmation and its node's outcome prove that."""
    before = known.get(confirmed.configuration) if confirmed is not None else None
    text = blob(confirmed.plan) if confirmed is not None else None
    if before is None or text is None or confirmed is None or record.outcome is None:
        return None
    try:
        second = confirmed.seconded or msgspec.UNSET
        plan, after = made(before, Confirmation(plan=text.decode(), signature=confirmed.signature, second=second))
        asked = Asked(plan.request.id, plan.request.target, plan_digest(text.decode()))
        check_outcome(before, asked, "executed", record.outcome)
    except (AeroError, UnicodeError):
        return None
    return after if (record.request, record.target) == (plan.request.id, plan.request.target) else None


def judged_along(
    trust: Trust, entries: Iterable[Logged], blob: BlobOf, whole: Whole | None = None
) -> Iterator[Finding]:
    """Yield what holds of all the records of one request, as `judged` does, each at its place in the log."""
    outlived: list[Finding] = []

    def passed() -> Iterator[Logged]:
        for entry in entries:
            outlived.extend(trust.outlived(entry.sequence, entry.record))
            yield entry

    yield from judged(trust, passed(), blob, whole)
    yield from outlived
