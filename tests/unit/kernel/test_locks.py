"""The first two locks: an order that is genuine in every part opens them; with any one part changed they stay shut.

Each case changes one part, and the lock's one check of it answers with its own code: a check that is dropped is missed
by name.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from aerodb.actions import catalogue
from aerodb.audit.note import sign_checkpoint, verifier_key
from aerodb.audit.proof import make_proof
from aerodb.audit.record import Record, encode_record
from aerodb.audit.tree import consistency_path, frontier_of, hashes_of, inclusion_path, leaf_hash
from aerodb.errors import AeroError
from aerodb.kernel import locks
from aerodb.kernel.seen import Seen
from aerodb.protocol import canonical, sshkey
from aerodb.protocol.cluster import Cluster, Operator, Role
from aerodb.protocol.plan import Order, Plan, plan_digest
from aerodb.protocol.sshsig import sign_with_key
from aerodb.rules.explain import explain
from tests.unit.rules.scenes import CLUSTER, healthy, reports_of, request_for, snapshot_of

LOG_KEY, PERSON = (Ed25519PrivateKey.from_private_bytes(bytes([each]) * 32) for each in (1, 2))
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes([3]) * 32)
ADA = Operator(name="ada", role=Role.OPERATOR, ssh_key=sshkey.of_public(PERSON.public_key()).line)
OURS = replace(CLUSTER, operators=(ADA,), log_key=verifier_key(CLUSTER.origin, LOG_KEY.public_key().public_bytes_raw()))
EARLIER = (b"a", b"b", b"c")
"""What the log held before the confirmation; the node has seen it."""


def root_of(leaves: list[bytes]) -> bytes:
    """Return the root of a log with these leaves."""
    return frontier_of(hashes_of(leaves), len(leaves)).root()


SEEN = Seen(size=3, checkpoint=sign_checkpoint(OURS.origin, 3, root_of([leaf_hash(each) for each in EARLIER]), LOG_KEY))


@dataclass(frozen=True, kw_only=True)
class Case:
    """An order, and everything that it is checked against."""

    cluster: Cluster
    node: str
    order: Order
    seen: Seen


def order_of(plan: Plan, /, *, key: Ed25519PrivateKey = PERSON, log_key: Ed25519PrivateKey = LOG_KEY,
             earlier: tuple[bytes, ...] = EARLIER, **changes: object) -> Order:  # fmt: skip
    """Return the genuine order of a plan, logged as the newest record; `changes` are to the record."""
    text = canonical.encode(plan).decode()
    signature = sign_with_key(key, text.encode())
    request = plan.request
    record = Record(
        event="confirmed", at="2026-01-01T00:00:00.000Z", clock="none", request=request.id, operator=request.operator,
        action=request.action, target=request.target, arguments=request.arguments, reason=request.reason,
        configuration=plan.configuration, plan=plan_digest(text), snapshot=plan.snapshot, signature=signature,
    )  # fmt: skip
    body = encode_record(replace(record, **changes))
    leaves = [leaf_hash(each) for each in (*earlier, body)]
    size, hash_of = len(leaves), hashes_of(leaves)
    checkpoint = sign_checkpoint(OURS.origin, size, root_of(leaves), log_key)
    path = consistency_path(hash_of, 3, size) if size >= 3 else ()
    return Order(
        plan=text,
        signature=signature,
        record=body.decode(),
        proof=make_proof(size - 1, inclusion_path(hash_of, size - 1, size), checkpoint),
        consistency=tuple(base64.b64encode(each).decode() for each in path),
        reports={name: each for name, each in reports_of(healthy(OURS), OURS).items() if name in plan.reports},
        late={},
    )


PLAN = explain(OURS, catalogue()["stop"], request_for(catalogue()["stop"], "n3", {}), snapshot_of(healthy(OURS), OURS))
GENUINE = Case(cluster=OURS, node="n3", order=order_of(PLAN), seen=SEEN)


def opened(case: Case) -> Seen:
    """Open the locks, in the agent's order."""
    plan = locks.open_plan(case.cluster, case.node, case.order.plan)
    locks.check_signed(case.cluster, plan, case.order)
    locks.check_form(case.cluster, plan)
    locks.check_reports(plan, case.order)
    return locks.check_logged(case.cluster, plan, case.order, case.seen)


def test_what_is_genuine_opens_both() -> None:
    """And the checkpoint that it came under is the newest that the node has now seen."""
    assert opened(GENUINE).size == 4
    never_shown = replace_case(seen=Seen(size=0, checkpoint=""), order=replace(GENUINE.order, consistency=()))
    assert opened(never_shown).size == 4


def replace_case(**changes: object) -> Case:
    """Return the genuine case with parts changed."""
    return Case(**{**GENUINE.__dict__, **changes})


def _order(**changes: object) -> Callable[[], Case]:
    return lambda: replace_case(order=replace(GENUINE.order, **changes))


def _plan(*, sealed: bool = True, **changes: object) -> Callable[[], Case]:
    """Return a case with a plan changed, and signed and logged as it then is."""

    def case() -> Case:
        plan = replace(PLAN, **changes)
        return replace_case(order=order_of(plan.sealed() if sealed else plan))

    return case


def _logged(**changes: object) -> Callable[[], Case]:
    return lambda: replace_case(order=order_of(PLAN, **changes))  # type: ignore[arg-type]


def _person(**changes: object) -> Callable[[], Case]:
    """Return a case in which the operator's entry differs, in the plan's configuration too."""

    def case() -> Case:
        cluster = replace(OURS, operators=(replace(ADA, **changes),))
        order = order_of(replace(PLAN, configuration=cluster.digest).sealed())
        return replace_case(cluster=cluster, order=order)

    return case


CASES: dict[str, tuple[Callable[[], Case], str]] = {
    "the plan's own digest": (_plan(sealed=False, term=9), "kernel.plan-altered"),
    "another cluster": (_plan(cluster="other"), "kernel.plan-foreign"),
    "another configuration": (_plan(configuration="sha256:other"), "kernel.plan-foreign"),
    "other rules": (_plan(rules="aerodb-rules/0"), "kernel.plan-foreign"),
    "another node": (lambda: replace_case(node="n2"), "kernel.plan-foreign"),
    "a rejection": (_plan(accepted=False), "kernel.plan-rejected"),
    "nobody enrolled": (_person(name="eve"), "kernel.operator-refused"),
    "revoked": (_person(revoked=True), "kernel.operator-refused"),
    "an auditor": (_person(role=Role.AUDITOR), "kernel.operator-refused"),
    "no key": (_person(ssh_key=""), "kernel.operator-refused"),
    "another's key": (_logged(key=STRANGER), "kernel.signature-invalid"),
    "no signature": (_order(signature=""), "kernel.signature-invalid"),
    "reports left out": (_order(reports={}), "kernel.plan-altered"),
    "a report changed": (
        _order(reports={**GENUINE.order.reports, "n1": replace(GENUINE.order.reports["n1"], document="{}")}),
        "kernel.plan-altered",
    ),
    "no record": (_order(record=""), "kernel.not-logged"),
    "no proof": (_order(proof=""), "kernel.not-logged"),
    "another's log": (_logged(log_key=STRANGER), "kernel.not-logged"),
    "another event": (_logged(event="requested"), "kernel.not-logged"),
    "another request": (_logged(request="22222222-2222-4333-8444-555555555555"), "kernel.not-logged"),
    "another plan": (_logged(plan="sha256:" + "0" * 64), "kernel.not-logged"),
    "another signature": (_logged(signature="x"), "kernel.not-logged"),
    "another record": (_order(record=order_of(PLAN, reason="another").record), "kernel.not-logged"),
    "a log that is shorter": (_logged(earlier=(b"a",)), "kernel.log-rewritten"),
    "a log that is another": (_logged(earlier=(b"a", b"b", b"d")), "kernel.log-rewritten"),
    "no consistency": (_order(consistency=()), "kernel.log-rewritten"),
    "consistency that is not base64": (_order(consistency=("?",)), "kernel.log-rewritten"),
}


@pytest.mark.parametrize("name", CASES)
def test_each_part_is_checked(name: str) -> None:
    """One part is changed, and the order is refused with that check's code."""
    case, code = CASES[name]
    with pytest.raises(AeroError) as error:
        opened(case())
    assert (error.value.code, error.value.executed) == (code, "not executed")
