"""Verifying along the chain: a version counts by what proves it, and nobody confirms past their revocation."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from aerodb.audit.chain import EnvelopeInvalid, along, following, judged_along, open_envelope, verified_chain
from aerodb.audit.logged import Logged
from aerodb.audit.note import sign_checkpoint
from aerodb.audit.proof import make_proof
from aerodb.audit.record import Record, decode_record, encode_record
from aerodb.audit.tree import leaf_hash
from aerodb.audit.trust import Trust
from aerodb.protocol import canonical
from aerodb.protocol.chain import VersionRefused, changed
from aerodb.protocol.change import Change
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.envelope import Envelope
from aerodb.protocol.plan import Order, Outcome, Plan, plan_digest
from aerodb.protocol.signed import sign
from tests.unit.kernel.test_agent import ADA, LOG_KEY, STRANGER
from tests.unit.kernel.test_versions import FENCING, ONE, TAKING, TWO, ordered, text_of, took
from tests.unit.protocol.authenticator import (
    ORIGIN,
    SoftAuthenticator,
    assertion_of,
    bare_assertion,
    enrolling,
    revoking,
)
from tests.unit.protocol.test_chain import enrol, key_of
from tests.unit.rules.scenes import KEYS, healthy


def plan_of(order: Order) -> Plan:
    """Return the plan of an order."""
    return canonical.decode(order.plan.encode(), Plan)


def outcome_of(order: Order, node: str = "w", result: str = "executed") -> Record:
    """Return the record of what a node signed of an order."""
    plan = plan_of(order)
    outcome = Outcome(
        epoch=1, cluster=ONE.id, node=node, request=plan.request.id, plan=plan_digest(order.plan), result=result,  # type: ignore[arg-type]
        established=False, code="", message="", evidence=(),
    )  # fmt: skip
    return replace(
        decode_record(order.record.encode()), event="outcome", signature="", snapshot="", result=result,
        outcome=sign(outcome, node, KEYS[node]),
    )  # fmt: skip


def logged(*records: Record) -> list[tuple[int, bytes]]:
    """Return records as they stand in a log."""
    return list(enumerate(map(encode_record, records)))


CONFIRMED, AFTERWARDS = decode_record(TAKING.record.encode()), decode_record(FENCING.record.encode())
BLOBS = {plan_digest(each.plan): each.plan.encode() for each in (TAKING, FENCING)}
TRUST = Trust(clusters=(ONE,))
GENUINE = along(TRUST, logged(CONFIRMED, outcome_of(TAKING), AFTERWARDS), BLOBS.get)


def test_version_one_alone_leads_to_every_later_version() -> None:
    """What follows is derived from the log, with where in it the node took it, and is trusted like what was given."""
    assert (GENUINE.clusters, GENUINE.derived) == ((ONE,), (TWO,))
    assert GENUINE.takes == {"w": ((1, TWO.digest),)}
    assert (GENUINE.named(TWO.digest), GENUINE.newest) == (TWO, TWO)


UNPROVEN: dict[str, tuple[Record, Record]] = {
    "no outcome": (CONFIRMED, outcome_of(TAKING, result="not executed")),
    "another node's word": (CONFIRMED, outcome_of(TAKING, node="n2")),
    "nobody's word": (CONFIRMED, replace(outcome_of(TAKING), outcome=None)),
    "a signature of another": (replace(CONFIRMED, signature=FENCING.signature), outcome_of(TAKING)),
    "no signature": (replace(CONFIRMED, signature=""), outcome_of(TAKING)),
    "another plan": (replace(CONFIRMED, plan=AFTERWARDS.plan), outcome_of(TAKING)),
    "a plan that is not at hand": (replace(CONFIRMED, plan="sha256:0"), outcome_of(TAKING)),
    "another version before": (replace(CONFIRMED, configuration=TWO.digest), outcome_of(TAKING)),
    "an outcome of another request": (CONFIRMED, replace(outcome_of(FENCING), action="configure")),
}


@pytest.mark.parametrize("name", UNPROVEN)
def test_a_version_that_is_not_proven_is_not_trusted(name: str) -> None:
    """Whoever holds the log's key alone makes no version: an operator's signature and a node's are not theirs."""
    found = along(TRUST, logged(*UNPROVEN[name]), BLOBS.get)
    assert (found.derived, found.takes) == ((), {})


def failures(trust: Trust, sequence: int, record: Record) -> list[str]:
    """Return what is wrong with where a record stands."""
    entry = Logged(sequence=sequence, text=encode_record(record).decode(), record=record)
    return [each.said for each in judged_along(trust, [entry], BLOBS.get) if "could not confirm" in each.said]


def test_a_confirmation_by_who_was_revoked_there_is_invalid() -> None:
    """Logged after its target took the revocation, it fails, though the record names the version before."""
    assert failures(GENUINE, 2, AFTERWARDS) == [
        "w had taken version 2 of the configuration before (record 1), under which ada could not confirm it so any more"
    ]


def test_before_the_revocation_was_taken_it_counted() -> None:
    """Logged before, or for a node that had not taken it, the confirmation stands: keys count as they were there."""
    assert failures(GENUINE, 0, AFTERWARDS) == []
    elsewhere = replace(GENUINE, takes={"n2": ((1, TWO.digest),)})
    assert failures(elsewhere, 2, AFTERWARDS) == []


def test_a_change_of_others_outlives_nothing() -> None:
    """Who could confirm so under the version that the node took since, too, is not called revoked."""
    more = changed(ONE, enrol("zoe"))
    kept = replace(GENUINE, derived=(more,), takes={"w": ((1, more.digest),)})
    assert failures(kept, 2, AFTERWARDS) == []


# Authenticators -------------------------------------------------------------------------------------------------------

WITH_UI = replace(ONE, web="127.0.0.1:7407", web_origin=ORIGIN)
KEY = SoftAuthenticator()
SECOND = changed(WITH_UI, enrolling(KEY, "ada"))
THIRD = changed(SECOND, revoking(KEY, "ada"))
REKEYED = changed(SECOND, Change(kind="re-key", name="ada", before=ADA.ssh_key, after=key_of("anew")))


def found_at(sequence: int, then: Cluster, taken: Cluster, signature: str) -> list[str]:
    """Return what is wrong with where a confirmation by ada under a version stands: her node took another at 1."""
    trust = Trust(clusters=(WITH_UI,), derived=(SECOND, taken), takes={"w": ((1, taken.digest),)})
    return failures(trust, sequence, replace(AFTERWARDS, configuration=then.digest, signature=signature))


def test_a_confirmation_by_a_revoked_authenticator_is_invalid_where_the_revocation_was_taken() -> None:
    """Logged after its target took the revocation it fails, logged before it stands; as for a revoked person."""
    by_key = bare_assertion(KEY.confirms(FENCING.plan.encode()))
    assert len(found_at(2, SECOND, THIRD, by_key)) == 1
    assert found_at(0, SECOND, THIRD, by_key) == []
    other = replace(THIRD, authenticators=(replace(SECOND.enrolled[0], person="bob"),))
    assert len(found_at(2, SECOND, other, by_key)) == 1


def test_a_re_keyed_persons_authenticator_outlives_the_key() -> None:
    """What her old SSH key signs fails from there on; what her authenticator signs does not rest on that key."""
    assert len(found_at(2, SECOND, REKEYED, AFTERWARDS.signature)) == 1
    assert found_at(2, SECOND, REKEYED, bare_assertion(KEY.confirms(FENCING.plan.encode()))) == []


def test_what_was_endorsed_outlives_version_one_nowhere() -> None:
    """Its node would not have acted by it any more: logged after a later version was taken there, it fails."""
    elsewhere = SoftAuthenticator(identity=b"elsewhere")
    said = assertion_of(elsewhere.confirms(FENCING.plan.encode()), ("", ""))
    assert len(found_at(2, WITH_UI, SECOND, said)) == 1
    assert found_at(0, WITH_UI, SECOND, said) == []


# Envelopes ------------------------------------------------------------------------------------------------------------


def proven(record: Record) -> tuple[str, str]:
    """Return a record's text, and its proof as the only record of the log."""
    body = encode_record(record)
    return body.decode(), make_proof(0, (), sign_checkpoint(ONE.origin, 1, leaf_hash(body), LOG_KEY))


def enveloped(order: Order = TAKING) -> Envelope:
    """Return the version that an order made, in its envelope."""
    outcome, outcome_proof = proven(outcome_of(order))
    return Envelope(
        document=text_of(TWO), plan=order.plan, signature=order.signature, record=order.record, proof=order.proof,
        outcome=outcome, outcome_proof=outcome_proof,
    )  # fmt: skip


def _stranger(envelope: Envelope) -> Envelope:
    body = envelope.record.encode()
    forged = make_proof(0, (), sign_checkpoint(ONE.origin, 1, leaf_hash(body), STRANGER))
    return replace(envelope, proof=forged)


FORGED: dict[str, Callable[[Envelope], Envelope]] = {
    "another document": lambda each: replace(each, document=text_of(changed(ONE, enrol("zoe")))),
    "no document": lambda each: replace(each, document="{}"),
    "another plan": lambda each: replace(each, plan=FENCING.plan),
    "another signature": lambda each: replace(each, signature=FENCING.signature),
    "another record": lambda each: replace(each, record=FENCING.record, proof=FENCING.proof),
    "no proof": lambda each: replace(each, proof=""),
    "a proof by another log": _stranger,
    "another outcome": lambda each: replace(each, outcome=proven(outcome_of(FENCING))[0]),
    "an outcome of no agent": lambda each: replace(each, outcome=each.record, outcome_proof=each.proof),
    "an outcome that does not stand in the log": lambda each: replace(each, outcome_proof=each.proof),
    "an outcome of another node": lambda each: replace(each, outcome=proven(outcome_of(TAKING, "n2"))[0]),
}


def test_an_envelope_proves_its_version() -> None:
    """From version 1 and the envelope alone the version is computed, and where in the log it was taken."""
    assert open_envelope(ONE, enveloped()) == (TWO, 0)
    assert verified_chain(ONE, [enveloped()]).newest == TWO
    assert open_envelope(ONE, replace(enveloped(), outcome="", outcome_proof=""))[1] == -1


@pytest.mark.parametrize("name", FORGED)
def test_an_envelope_with_any_part_of_another_proves_nothing(name: str) -> None:
    """Each part is held to the others: none can be left out, or be taken from elsewhere."""
    with pytest.raises(EnvelopeInvalid) as error:
        open_envelope(ONE, FORGED[name](enveloped()))
    assert (error.value.code, "version 2" in error.value.message) == ("control.envelope-invalid", True)


def test_a_revoked_person_makes_no_version() -> None:
    """Signed by somebody whom the version before had revoked, an envelope proves nothing."""
    scene = took(took(healthy(ONE), "n1", ONE, TWO), "w", ONE, TWO)
    order = ordered("fence", {"for": "n2"}, scene, TWO)
    with pytest.raises(EnvelopeInvalid):
        open_envelope(TWO, replace(enveloped(order), document=text_of(changed(TWO, enrol("zoe")))))


def test_a_chain_begins_with_version_one() -> None:
    """A later version is no beginning, and an envelope that follows nothing trusted is refused."""
    with pytest.raises(VersionRefused):
        verified_chain(TWO, [])
    with pytest.raises(EnvelopeInvalid, match="follows none"):
        following(Trust(clusters=(replace(ONE, name="other"),)), [enveloped()], [])
    found = following(TRUST, [enveloped()], [enveloped()])
    assert (found.derived, set(found.takes)) == ((TWO,), {"w"})
