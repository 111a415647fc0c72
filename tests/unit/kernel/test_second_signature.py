"""The node checks by itself that a second person has signed, where its own version asks for one.

Whatever a control plane drops, swaps or adds, the first two locks stay shut; what was not signed by two uses up no id.
"""

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import UNSET
from msgspec.structs import replace

from aerodb.actions import catalogue
from aerodb.audit.note import sign_checkpoint
from aerodb.audit.proof import make_proof
from aerodb.audit.record import LaterRecord, encode_record
from aerodb.audit.tree import leaf_hash
from aerodb.errors import AeroError
from aerodb.kernel import locks
from aerodb.kernel.agent import Agent
from aerodb.kernel.node import Node
from aerodb.kernel.seen import LogSeen
from aerodb.protocol import canonical, sshkey
from aerodb.protocol.chain import Chain, changed
from aerodb.protocol.change import ASKED, NOT_ASKED, Change
from aerodb.protocol.cluster import Cluster, Operator, Role
from aerodb.protocol.plan import Order, Outcome, Plan, Second, late_nonce, plan_digest
from aerodb.protocol.signed import open_signed
from aerodb.protocol.sshsig import sign_with_key
from aerodb.rules.explain import explain
from tests.unit.kernel import test_agent
from tests.unit.kernel.test_agent import ADA, LOG_KEY, OTHER, PERSON, STRANGER
from tests.unit.protocol.test_chain import enrol, revoke
from tests.unit.rules.scenes import healthy, reports_of, request_for, snapshot_of

node = test_agent.node
BEN_KEY = Ed25519PrivateKey.from_private_bytes(bytes([7]) * 32)
BEN = Operator(name="ben", role=Role.OPERATOR, ssh_key=sshkey.of_public(BEN_KEY.public_key()).line)
EVE = Operator(name="eve", role=Role.AUDITOR, ssh_key=sshkey.of_public(STRANGER.public_key()).line)
RULE = Change(kind="second-person", name="authority", before=NOT_ASKED, after=ASKED)
ONE = replace(test_agent.CLUSTER, operators=(ADA, BEN, EVE))
TWO = changed(ONE, RULE)
FENCE = catalogue()["fence"]


def plan_under(cluster: Cluster, path: tuple[Cluster, ...], request: str = "") -> tuple[Plan, Order]:
    """Return the plan of a fence of the witness under a version that all have taken, and an unsigned order."""
    digests = tuple(each.digest for each in path)
    versions = digests if len(digests) > 1 else ()
    scene = {name: replace(facts, configuration=digests[-1], versions=versions)
             for name, facts in healthy(cluster).items()}  # fmt: skip
    asked = request_for(FENCE, "w", {"for": "n2"})
    asked = replace(asked, id=request) if request else asked
    snapshot = replace(snapshot_of(scene, cluster), nonce=asked.id, reports=reports_of(scene, cluster, asked.id))
    plan = explain(cluster, FENCE, asked, snapshot)
    reports = {name: each for name, each in snapshot.reports.items() if name != "w"}
    return plan, Order(plan="", signature="", record="", proof="", consistency=(), reports=reports, late={})


def by(name: str, key: Ed25519PrivateKey, text: str) -> Second:
    """Return somebody's second signature over a plan's text."""
    return Second(operator=name, signature=sign_with_key(key, text.encode()))


def signed(
    cluster: Cluster = TWO, path: tuple[Cluster, ...] = (ONE, TWO), *, alone: bool = False, request: str = ""
) -> Order:
    """Return the genuine order of a fence: signed by ada, then by ben, and logged with both."""
    plan, order = plan_under(cluster, path, request)
    text = canonical.encode(plan).decode()
    second = UNSET if alone else by("ben", BEN_KEY, text)
    return logged(replace(order, plan=text, signature=sign_with_key(PERSON, text.encode()), second=second))


def logged(order: Order, **changes: object) -> Order:
    """Return an order with the record of its confirmation, changed, as the only one of the log."""
    plan = canonical.decode(order.plan.encode(), Plan)
    request = plan.request
    record = LaterRecord(
        event="confirmed", at="2026-01-01T00:00:00.000Z", clock="none", request=request.id, operator=request.operator,
        action=request.action, target=request.target, arguments=request.arguments, reason=request.reason,
        configuration=plan.configuration, plan=plan_digest(order.plan), snapshot=plan.snapshot,
        signature=order.signature, second=order.confirmation.seconded,
    )  # fmt: skip
    body = encode_record(replace(record, **changes))
    checkpoint = sign_checkpoint(ONE.origin, 1, leaf_hash(body), LOG_KEY)
    late = {
        name: each for name, each in reports_of(healthy(ONE), ONE, late_nonce(body.decode())).items() if name != "w"
    }
    return replace(order, record=body.decode(), proof=make_proof(0, (), checkpoint), late=late)


GENUINE = signed()


def opened(order: Order, chain: Chain) -> None:
    """Open the first two locks, in the agent's order."""
    plan = locks.signed_plan(chain, "w", order)
    locks.check_form(chain.newest, plan)
    locks.check_logged(chain.newest, plan, order, LogSeen(size=0, checkpoint=""))


BOTH = Chain((ONE, TWO))


def test_two_signatures_open_both_locks() -> None:
    """Of the requester, and of another operator, over one plan, in one record."""
    opened(GENUINE, BOTH)


def _second(name: str, key: Ed25519PrivateKey, text: str = "") -> Callable[[], Order]:
    """Return the order with another second signature, logged as it is."""
    return lambda: logged(replace(GENUINE, second=by(name, key, text or GENUINE.plan)))


def _swapped() -> Order:
    """Return the order with the two signatures, and the two names, the other way round."""
    first = Second(operator="ada", signature=GENUINE.signature)
    found = GENUINE.confirmation.seconded
    assert found is not None
    return logged(replace(GENUINE, signature=found.signature, second=first))


THREE = changed(TWO, enrol("zoe"))
FOUR = changed(THREE, revoke("ben"))
CASES: dict[str, tuple[Callable[[], Order], str]] = {
    "dropped": (lambda: replace(GENUINE, second=UNSET), "kernel.second-missing"),
    "dropped, and logged so": (lambda: logged(replace(GENUINE, second=UNSET)), "kernel.second-missing"),
    "never there": (lambda: signed(alone=True), "kernel.second-missing"),
    "the requester twice": (_second("ada", PERSON), "kernel.second-refused"),
    "the requester in another's name": (_second("ben", PERSON), "kernel.second-refused"),
    "a stranger in the second's name": (_second("ben", STRANGER), "kernel.second-refused"),
    "an auditor": (_second("eve", STRANGER), "kernel.second-refused"),
    "nobody enrolled": (_second("mallory", STRANGER), "kernel.second-refused"),
    "over another request's plan": (_second("ben", BEN_KEY, signed(request=OTHER).plan), "kernel.second-refused"),
    "swapped": (_swapped, "kernel.signature-invalid"),
    "revoked in the version of the plan": (lambda: signed(FOUR, (ONE, TWO, THREE, FOUR)), "kernel.second-refused"),
    "another than was logged": (
        lambda: replace(GENUINE, record=logged(GENUINE, second=by("ben", STRANGER, "")).record,
                        proof=logged(GENUINE, second=by("ben", STRANGER, "")).proof),
        "kernel.not-logged",
    ),
    "not logged": (lambda: logged(GENUINE, second=None), "kernel.not-logged"),
    "signed first, and no more": (lambda: logged(GENUINE, event="signed"), "kernel.not-logged"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_with_any_one_part_changed_they_stay_shut(name: str) -> None:
    """Each by the code of the check that it misses; nothing is executed."""
    make, code = CASES[name]
    with pytest.raises(AeroError) as error:
        opened(make(), Chain((ONE, TWO, THREE, FOUR)) if "version" in name else BOTH)
    assert (error.value.code, error.value.executed) == (code, "not executed")


def test_a_second_signature_that_nobody_asks_for_is_refused() -> None:
    """Under the version before the rule there is none, in an order no more than in a record."""
    alone = signed(ONE, (ONE,), alone=True)
    plan = locks.signed_plan(Chain((ONE,)), "w", alone)
    assert plan.request.operator == "ada"
    with pytest.raises(AeroError) as error:
        locks.signed_plan(Chain((ONE,)), "w", replace(alone, second=by("ben", BEN_KEY, alone.plan)))
    assert error.value.code == "kernel.second-refused"


@pytest.fixture
def witness(node: Node) -> Agent:
    """Return the agent of a new witness that has taken the version which asks."""
    agent = Agent(replace(node, cluster=ONE))
    agent._versions.take(canonical.encode(TWO).decode())
    return agent


def result(agent: Agent, order: Order) -> tuple[str, str]:
    """Run an order; return the result and the code that the node signed."""
    outcome = open_signed(agent.run(order), Outcome, ONE.member("w").public_key)
    return outcome.result, outcome.code


def _lately(order: Order) -> Order:
    """Return an order whose late reports are of nodes that have taken what the witness has."""
    scene = {name: replace(facts, configuration=TWO.digest, versions=(ONE.digest, TWO.digest))
             for name, facts in healthy(TWO).items()}  # fmt: skip
    late = reports_of(scene, TWO, late_nonce(order.record))
    return replace(order, late={name: each for name, each in late.items() if name != "w"})


def test_a_node_acts_by_two_signatures_and_one_uses_nothing_up(witness: Agent) -> None:
    """Orders that one person signed are no answer to anything: the genuine one is run after them, once."""
    for name in ("dropped", "the requester twice", "over another request's plan", "swapped"):
        with pytest.raises(AeroError):
            witness.run(CASES[name][0]())
    assert result(witness, _lately(GENUINE)) == ("executed", "")
    assert witness.facts().standing.pledged.node == "n2"


def test_an_order_of_the_version_before_is_answered_and_not_run(witness: Agent) -> None:
    """One person signed it when that was enough: the node says, signed, that it has moved on."""
    assert result(witness, signed(ONE, (ONE,), alone=True)) == ("not executed", "kernel.version-passed")


def test_an_id_is_used_up_for_two_signatures_alone(witness: Agent) -> None:
    """Whoever shows the requester's alone is promised nothing, since by that nothing could ever run."""
    request = canonical.decode(GENUINE.plan.encode(), Plan).request.id
    with pytest.raises(AeroError) as error:
        witness.outcome(request, replace(GENUINE.confirmation, second=UNSET))
    assert error.value.code == "kernel.confirmation-missing"
    found = open_signed(witness.outcome(request, GENUINE.confirmation), Outcome, ONE.member("w").public_key)
    assert (found.result, found.code) == ("not executed", "kernel.request-unknown")


def test_what_a_version_asks_outlives_no_other_version() -> None:
    """The version's digest is in what both sign: a second signature under one counts under no other."""
    other = signed(THREE, (ONE, TWO, THREE))
    assert plan_digest(other.plan) != plan_digest(GENUINE.plan)
    found = GENUINE.confirmation.seconded
    assert found is not None
    with pytest.raises(AeroError) as error:
        opened(logged(replace(other, second=found)), Chain((ONE, TWO, THREE)))
    assert error.value.code == "kernel.second-refused"
