"""The first two locks: an order that is genuine in every part opens them; with any one part changed they stay shut.

Each case changes one part, and the lock's one check of it answers with its own code: a check that is dropped is missed
by name.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from aerodb.actions import catalogue
from aerodb.audit.cosignature import cosign, cosigned_by, cosigners, with_lines
from aerodb.audit.note import open_checkpoint, sign_checkpoint, signature_line, verifier_key
from aerodb.audit.proof import make_proof
from aerodb.audit.record import Record, encode_record
from aerodb.audit.tree import consistency_path, frontier_of, hashes_of, inclusion_path, leaf_hash
from aerodb.errors import AeroError
from aerodb.kernel import locks
from aerodb.kernel.node import Node, NodeFile
from aerodb.kernel.seen import LogSeen
from aerodb.kernel.vouching import vouched, vouched_for
from aerodb.protocol import canonical, sshkey
from aerodb.protocol.cluster import Cluster, Cosigning, Operator, Role
from aerodb.protocol.plan import Order, Plan, plan_digest
from aerodb.protocol.signed import public_text
from aerodb.protocol.sshsig import sign_with_key
from aerodb.protocol.vkey import COSIGNATURE
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


SEEN = LogSeen(
    size=3, checkpoint=sign_checkpoint(OURS.origin, 3, root_of([leaf_hash(each) for each in EARLIER]), LOG_KEY)
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """An order, and everything that it is checked against."""

    cluster: Cluster
    node: str
    order: Order
    seen: LogSeen


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


def opened(case: Case) -> LogSeen:
    """Open the locks, in the agent's order."""
    plan = locks.open_plan(case.cluster, case.node, case.order.plan)
    locks.check_signed(case.cluster, plan, case.order)
    locks.check_form(case.cluster, plan)
    locks.check_reports(plan, case.order)
    return locks.check_logged(case.cluster, plan, case.order, case.seen)


def test_what_is_genuine_opens_both() -> None:
    """And the checkpoint that it came under is the newest that the node has now seen."""
    assert opened(GENUINE).size == 4
    never_shown = replace_case(seen=LogSeen(size=0, checkpoint=""), order=replace(GENUINE.order, consistency=()))
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
    "other rules": (_plan(rules="aerodb-rules/0"), "control.rules-apart"),
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


# What log witnesses must have cosigned --------------------------------------------------------------------------------

W1, W2 = (Ed25519PrivateKey.from_private_bytes(bytes([each]) * 32) for each in (11, 12))
NODE = Ed25519PrivateKey.from_private_bytes(bytes([13]) * 32)


def _vkey(name: str, key: Ed25519PrivateKey) -> str:
    return verifier_key(name, key.public_key().public_bytes_raw(), COSIGNATURE)


def watched(demanded: int) -> Cluster:
    """Return a configuration that names two log witnesses, and demands so many cosignatures."""
    return replace(OURS, cosigning=Cosigning(witnesses=(_vkey("w/1", W1), _vkey("w/2", W2)), demanded=demanded))


def seen_with(demanded: int, *lines: Callable[[str], str]) -> LogSeen:
    """Open the locks of an order whose checkpoint has these more lines; return what the node then remembers."""
    cluster = watched(demanded)
    order = order_of(replace(PLAN, configuration=cluster.digest).sealed())
    checkpoint = order.proof.partition("\n\n")[2]
    proof = with_lines(order.proof, [line(checkpoint) for line in lines])
    return opened(Case(cluster=cluster, node="n3", order=replace(order, proof=proof), seen=SEEN))


def _by(name: str, key: Ed25519PrivateKey, seconds: int = 5) -> Callable[[str], str]:
    return lambda checkpoint: cosign(checkpoint, name, key, seconds)


def _old(_: str) -> str:
    """A genuine cosignature of the first witness, of the checkpoint that the node saw before."""
    return cosign(SEEN.checkpoint, "w/1", W1, 5)


def _plain(checkpoint: str) -> str:
    """The log's own signature under the witness's name and id."""
    line = cosign(checkpoint, "w/1", W1, 5)
    identity = base64.b64decode(line.split()[2])[:4]
    return signature_line("w/1", identity, bytes(8) + LOG_KEY.sign(checkpoint.encode()))


BY_1, BY_2 = _by("w/1", W1), _by("w/2", W2)


@pytest.mark.parametrize(
    ("demanded", "lines", "missing"),
    [
        (1, (), ("w/1", "w/2")),
        (2, (BY_1,), ("w/2",)),
        (2, (BY_2, _by("w/3", STRANGER)), ("w/1",)),  # By nobody whom the configuration names.
        (2, (BY_1, _by("w/2", W1)), ("w/2",)),  # The one witness's key under the other's name.
        (2, (BY_1, BY_1), ("w/1",)),  # One witness, twice.
        (2, (BY_1, _by("w/1", W1, 6)), ("w/1",)),
        (1, (_old,), ("w/1",)),
        (1, (_plain,), ("w/1",)),
        (0, (_old,), ("w/1",)),  # Nobody is demanded, and a signature that is said to be a witness's is none.
    ],
)
def test_too_few_log_witnesses(
    demanded: int, lines: tuple[Callable[[str], str], ...], missing: tuple[str, ...]
) -> None:
    """The order is refused with a code of its own, nothing is executed, and whoever is missing is named."""
    with pytest.raises(AeroError) as error:
        seen_with(demanded, *lines)
    assert (error.value.code, error.value.executed) == ("kernel.cosignatures-missing", "not executed")
    assert all(name in error.value.message for name in missing), error.value.message


@pytest.mark.parametrize("lines", [(BY_1, BY_2), (BY_2, BY_1), (_by("w/3", STRANGER), BY_2, _by("x", STRANGER), BY_1)])
def test_as_many_log_witnesses_as_are_demanded(lines: tuple[Callable[[str], str], ...]) -> None:
    """In any order, and beside whoever else signed: the node remembers what it checked, in one form, and no more."""
    assert seen_with(2, *lines) == seen_with(2, BY_1, BY_2)
    assert seen_with(2, *lines).checkpoint.count("\u2014 ") == 3


def test_nobody_is_demanded_by_default() -> None:
    """Nor where witnesses are named and none is demanded; who cosigned all the same is remembered."""
    assert opened(GENUINE).checkpoint.count("\u2014 ") == 1
    assert seen_with(0).checkpoint.count("\u2014 ") == 1
    assert seen_with(0, BY_2).checkpoint.count("\u2014 ") == 2
    assert seen_with(1, BY_2).checkpoint.count("\u2014 ") == 2


def _node(name: str, cluster: Cluster) -> Node:
    file = NodeFile(name=name, home="", binaries="", account="", starts="no")
    return Node(folder=Path(), file=file, cluster=cluster, key=NODE)


def test_a_node_cosigns_what_it_has_just_checked() -> None:
    """Whoever holds the configuration tells by whom; the log's own signature and the witnesses' stand beside it."""
    cluster = watched(1)
    members = tuple(
        replace(each, public_key=public_text(NODE)) if each.name == "n3" else each for each in cluster.members
    )
    cluster = replace(cluster, members=members)
    seen = seen_with(1, BY_2)
    own = vouched(_node("n3", cluster), seen)
    assert open_checkpoint(own.checkpoint, cluster.log_key).size == own.size == 4
    assert [each.name for each in cosigned_by(own.checkpoint, cosigners(cluster))] == [
        "w/2", f"aerodb.node/{cluster.id}/n3",
    ]  # fmt: skip
    assert vouched_for(cluster, own) == ("the log of 4 records was cosigned by w/2",)
    assert vouched_for(OURS, seen) == ()


def test_a_node_whose_name_cannot_stand_in_a_note_cosigns_nothing() -> None:
    """Its orders are taken all the same."""
    members = (replace(OURS.members[0], name="a node"), *OURS.members[1:])
    seen = opened(GENUINE)
    assert vouched(_node("a node", replace(OURS, members=members)), seen) == seen
