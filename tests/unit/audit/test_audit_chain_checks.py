"""The single checks along the chain, each attacked where no other one stands behind it."""

import pytest
from msgspec.structs import replace

from aerodb.audit.chain import EnvelopeInvalid, along, following, made, open_envelope
from aerodb.audit.record import Record, encode_record
from aerodb.audit.trust import Trust, TrustMixed
from aerodb.errors import AeroError
from aerodb.protocol.chain import changed, step_of
from aerodb.protocol.change import Change, step_text
from aerodb.protocol.cluster import Cluster, Operator, Role
from aerodb.protocol.envelope import Envelope
from aerodb.protocol.plan import Confirmation, Order, Plan
from tests.unit.audit.test_audit_chain import (
    AFTERWARDS,
    BLOBS,
    CONFIRMED,
    TRUST,
    enveloped,
    logged,
    outcome_of,
    plan_of,
    proven,
)
from tests.unit.kernel.test_agent import ADA, OTHER, order_of
from tests.unit.kernel.test_versions import FENCING, ONE, TAKING, TWO
from tests.unit.protocol.test_chain import enrol, key_of, revoke

PLAN = plan_of(TAKING)
STEP = step_of(ONE, revoke("ada"))


# What makes a version -------------------------------------------------------------------------------------------------


def asking(**changes: object) -> Plan:
    """Return the plan with its request changed."""
    return replace(PLAN, request=replace(PLAN.request, **changes))


def stepping(**changes: object) -> Plan:
    """Return the plan with what its step says changed."""
    return asking(arguments={"change": step_text(replace(STEP, **changes))})


def made_by(plan: str, signature: str) -> tuple[Plan, Cluster]:
    """Return the plan that a signature confirms, and the version that it makes of version 1."""
    return made(ONE, Confirmation(plan=plan, signature=signature))


SIGNED: dict[str, tuple[Order, str]] = {
    "a rejection": (order_of(replace(PLAN, accepted=False)), "a rejection"),
    "another cluster": (order_of(replace(PLAN, cluster="another")), "to change this version"),
    "another version": (order_of(replace(PLAN, configuration=TWO.digest)), "to change this version"),
    "another action": (order_of(asking(action="fence")), "to change this version"),
    "another number": (order_of(stepping(version=3)), "another version than"),
    "another digest": (order_of(stepping(digest=ONE.digest)), "another version than"),
    "no step": (order_of(asking(arguments={})), "no step"),
    "in another's name": (order_of(asking(operator="eve")), "nobody of the name"),
}


@pytest.mark.parametrize("name", SIGNED)
def test_whatever_else_an_operator_signed_makes_no_version(name: str) -> None:
    """The plan is whole, and signed with the very key that counts: it is no plan of this change to this version."""
    order, why = SIGNED[name]
    with pytest.raises(AeroError, match=why):
        made_by(order.plan, order.signature)


def test_a_plan_that_was_altered_makes_no_version() -> None:
    """Signed as it was altered, it is still not what its own digest says."""
    text = TAKING.plan.replace(f'"term":{PLAN.term}', f'"term":{PLAN.term + 1}', 1)
    assert text != TAKING.plan
    with pytest.raises(EnvelopeInvalid, match="altered"):
        made_by(text, TAKING.signature)


# Envelopes ------------------------------------------------------------------------------------------------------------


def _with_outcome(record: Record) -> Envelope:
    text, proof = proven(record)
    return replace(enveloped(), outcome=text, outcome_proof=proof)


OUTCOMES: dict[str, Record] = {
    "of another request": replace(outcome_of(TAKING), request=OTHER),
    "by another node": outcome_of(TAKING, node="n2"),
    "not executed": outcome_of(TAKING, result="not executed"),
    "of another plan": replace(outcome_of(TAKING), outcome=outcome_of(FENCING).outcome),
}


@pytest.mark.parametrize("name", OUTCOMES)
def test_an_outcome_that_stands_in_the_log_proves_no_other_one(name: str) -> None:
    """Proven to be on record, it is held to the request, the node and the plan all the same."""
    with pytest.raises(EnvelopeInvalid):
        open_envelope(ONE, _with_outcome(OUTCOMES[name]))


@pytest.mark.parametrize("part", [each for each in Envelope.__struct_fields__ if each != "kind"])
def test_what_is_no_unicode_proves_nothing(part: str) -> None:
    """Whichever part of an envelope it is in, it is refused by name, as anything else that is wrong."""
    with pytest.raises(EnvelopeInvalid, match=r"version 2 of the configuration is not proven: .{8}"):
        open_envelope(ONE, replace(enveloped(), **{part: "\ud800"}))


def test_a_version_is_not_said_to_be_taken_where_nothing_shows_it() -> None:
    """An envelope without the node's outcome makes the version trusted, and outlives nobody's confirmation."""
    untaken = replace(enveloped(), outcome="", outcome_proof="")
    found = following(TRUST, [untaken], [])
    assert (found.derived, found.takes) == ((TWO,), {})
    assert following(TRUST, [enveloped()], []).takes == {"w": ((0, TWO.digest),)}


# Along a log ----------------------------------------------------------------------------------------------------------


def test_the_log_leads_to_every_version_that_it_proves() -> None:
    """Each version once, each take at its place, whoever confirmed first; what is not of it is not even read."""
    again, body = replace(CONFIRMED, signature="x"), b'{"is":"no record"}'
    records = logged(CONFIRMED, again, outcome_of(TAKING), AFTERWARDS, outcome_of(FENCING))
    found = along(TRUST, [*records, (5, body), (6, encode_record(outcome_of(TAKING)))], BLOBS.get)
    assert (found.clusters, found.derived) == ((ONE,), (TWO,))
    assert found.takes == {"w": ((2, TWO.digest), (6, TWO.digest))}


TAKEN = outcome_of(TAKING)
UNFOUNDED: dict[str, list[Record]] = {
    "never confirmed": [TAKEN],
    "confirmed afterwards": [TAKEN, CONFIRMED],
    "only asked for": [replace(CONFIRMED, event="requested"), TAKEN],
    "refused": [CONFIRMED, replace(TAKEN, event="refused")],
    "recorded as not executed": [CONFIRMED, replace(TAKEN, result="not executed")],
    "recorded of another node": [CONFIRMED, replace(TAKEN, target="n2")],
    "under another id": [replace(CONFIRMED, request=OTHER), replace(TAKEN, request=OTHER)],
    "without its outcome": [CONFIRMED, replace(TAKEN, outcome=None)],
}


@pytest.mark.parametrize("name", UNFOUNDED)
def test_what_the_records_do_not_say_together_makes_no_version(name: str) -> None:
    """Each part is genuine, and signed by whom it must be; it does not say what it must where it stands."""
    found = along(TRUST, logged(*UNFOUNDED[name]), BLOBS.get)
    assert (found.derived, found.takes) == ((), {})


def test_what_is_no_text_makes_no_version() -> None:
    """A plan on record that is no Unicode is passed over: its own record is judged like any other."""
    found = along(TRUST, logged(CONFIRMED, TAKEN), lambda _: b"\xff")
    assert (found.derived, found.takes) == ((), {})


# Trust ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"id": "another"}, {"log_key": "another"}, {"id": "another", "log_key": "another"}])
def test_configurations_of_two_clusters_or_logs_are_not_trusted_together(change: dict[str, str]) -> None:
    """Else what one cluster's people confirmed would count in the other's log."""
    with pytest.raises(TrustMixed) as error:
        Trust(clusters=(ONE, replace(ONE, **change)))
    assert error.value.code == "input.trust-mixed"


def test_the_newest_is_the_last_that_follows_else_the_first_that_was_given() -> None:
    """Whatever is given is the newest first; what follows comes after all of it."""
    later = replace(ONE, quorum=0)
    assert (Trust(clusters=(later, ONE)).cluster, Trust(clusters=(later, ONE)).newest) == (later, later)
    assert Trust(clusters=(ONE,), derived=(TWO, THREE)).newest == THREE
    assert Trust(clusters=(ONE,)).newest == ONE


THREE = changed(TWO, enrol("zoe"))
REROLED = changed(ONE, Change(kind="re-role", name="ada", before="operator", after="auditor"))
REKEYED = changed(ONE, Change(kind="re-key", name="ada", before=ADA.ssh_key, after=key_of("new")))
KEPT = changed(ONE, enrol("zoe"))


def outlived(now: Cluster, record: Record = CONFIRMED, sequence: int = 2, at: int = 1) -> list[int | None]:
    """Return where a confirmation is outlived by a version that the witness took at a record."""
    derived = (TWO, THREE, now) if now not in (TWO, THREE) else (TWO, THREE)
    trust = Trust(clusters=(ONE,), derived=derived, takes={"w": ((at, now.digest),)})
    return [each.sequence for each in trust.outlived(sequence, record)]


@pytest.mark.parametrize("now", [TWO, REROLED, REKEYED], ids=["revoked", "no operator", "another key"])
def test_who_could_not_confirm_so_any_more_is_named(now: Cluster) -> None:
    """By a revocation, another role or another key, from the record at which the node had taken it; not before."""
    assert outlived(now) == [2]
    assert (outlived(now, sequence=1), outlived(now, sequence=0)) == ([], [])


def test_of_several_versions_that_a_node_took_the_last_one_before_counts() -> None:
    """A later take makes nobody's earlier confirmation invalid."""
    trust = Trust(clusters=(ONE,), derived=(KEPT, TWO), takes={"w": ((1, KEPT.digest), (5, TWO.digest))})
    assert trust.taken("w", 5) == (1, KEPT)
    assert trust.taken("w", 6) == (5, TWO)
    assert (trust.taken("w", 1), trust.taken("n1", 9)) == (None, None)
    assert [bool(list(trust.outlived(at, CONFIRMED))) for at in (4, 5, 6)] == [False, False, True]


@pytest.mark.parametrize(
    ("record", "now"),
    [
        (CONFIRMED, KEPT),
        (replace(CONFIRMED, event="requested"), TWO),
        (replace(CONFIRMED, configuration="sha256:other"), TWO),
        (replace(CONFIRMED, configuration=TWO.digest, operator="bob"), TWO),
        (replace(CONFIRMED, configuration=THREE.digest, operator="zoe"), TWO),
    ],
    ids=["as before", "no confirmation", "under no trusted one", "under the same", "under a later one"],
)
def test_nothing_else_is_outlived(record: Record, now: Cluster) -> None:
    """Only a confirmation under an earlier version than the node's, by somebody to whom that version matters."""
    assert outlived(now, record) == []


def test_who_was_not_there_yet_or_is_there_no_more_could_not_confirm() -> None:
    """Whoever the record names is held to both versions: nobody of the name in either of them is no way out."""
    newcomer = replace(CONFIRMED, operator="zoe")
    assert outlived(KEPT, newcomer) == [2]
    gone = replace(KEPT, operators=(Operator(name="bob", role=Role.OPERATOR, ssh_key=key_of("bob")),))
    assert outlived(gone) == [2]


def test_a_log_never_goes_back_to_an_earlier_configuration() -> None:
    """Once a record names the later one, a record that names the earlier is what is wrong, with its place."""
    later = replace(ONE, quorum=0)
    trust = Trust(clusters=(later, ONE))

    def returned(**spans: tuple[int, int]) -> list[tuple[int | None, str]]:
        found = {"later": later.digest, "earlier": ONE.digest}
        told = trust.returned({found[name]: span for name, span in spans.items()})
        return [(each.sequence, each.state) for each in told]

    assert returned(later=(3, 9), earlier=(0, 5)) == [(5, "fails")]
    assert returned(later=(3, 4), earlier=(5, 5)) == [(5, "fails")]
    assert returned(later=(6, 9), earlier=(0, 5)) == []
    assert returned(later=(5, 9), earlier=(0, 5)) == []
    assert (returned(later=(0, 9)), returned(earlier=(0, 9)), returned()) == ([], [], [])
    (told,) = trust.returned({later.digest: (3, 9), ONE.digest: (0, 5)})
    assert "from record 3 on" in told.said
