"""An agent's word on requests: signed only under the operator's valid signature, and given once.

The agents here are a witness's: all that is judged and journaled is real, and there is no PostgreSQL to start.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from aerodb.actions import catalogue
from aerodb.audit.note import sign_checkpoint, verifier_key
from aerodb.audit.proof import make_proof
from aerodb.audit.record import Record, encode_record
from aerodb.audit.tree import leaf_hash
from aerodb.errors import AeroError
from aerodb.kernel.agent import Agent
from aerodb.kernel.alone import LOCK
from aerodb.kernel.errors import AgentAlone, Busy, ConfirmationMissing, RequestDuplicate
from aerodb.kernel.hands import NodeHands
from aerodb.kernel.node import Node, NodeFile
from aerodb.kernel.store import Store
from aerodb.protocol import canonical, sshkey
from aerodb.protocol.authority import Standing
from aerodb.protocol.cluster import Operator, Role
from aerodb.protocol.plan import Confirmation, Order, Outcome, Plan, plan_digest
from aerodb.protocol.signed import Signed, open_signed
from aerodb.protocol.sshsig import sign_with_key
from aerodb.rules.arguments import RequestMalformed
from aerodb.rules.explain import LOOK_ID, explain
from aerodb.rules.standing import genesis
from tests.faults.waiting import wait_until
from tests.unit.rules.scenes import KEYS, cluster_of, healthy, reports_of, request_for, snapshot_of

LOG_KEY, PERSON, STRANGER = (Ed25519PrivateKey.from_private_bytes(bytes([each]) * 32) for each in (1, 2, 3))
ADA = Operator(name="ada", role=Role.OPERATOR, ssh_key=sshkey.of_public(PERSON.public_key()).line)
BARE = cluster_of(witness=True)
CLUSTER = replace(BARE, operators=(ADA,), log_key=verifier_key(BARE.origin, LOG_KEY.public_key().public_bytes_raw()))
SCENE = healthy(CLUSTER)
FENCE = catalogue()["fence"]
PLAN = explain(CLUSTER, FENCE, request_for(FENCE, "w", {"for": "n2"}), snapshot_of(SCENE, CLUSTER))
REQUEST = PLAN.request.id
OTHER = "99999999-2222-4333-8444-555555555555"
PATH = "../../../../x"


def order_of(plan: Plan = PLAN, key: Ed25519PrivateKey = PERSON) -> Order:
    """Return the order of a plan, signed with a key, and logged as the only record of the log."""
    plan = plan.sealed()
    text, request = canonical.encode(plan).decode(), plan.request
    signature = sign_with_key(key, text.encode())
    body = encode_record(
        Record(
            event="confirmed", at="2026-01-01T00:00:00.000Z", clock="none", request=request.id,
            operator=request.operator, action=request.action, target=request.target, arguments=request.arguments,
            reason=request.reason, configuration=plan.configuration, plan=plan_digest(text), snapshot=plan.snapshot,
            signature=signature,
        )
    )  # fmt: skip
    checkpoint = sign_checkpoint(CLUSTER.origin, 1, leaf_hash(body), LOG_KEY)
    reports = {name: signed for name, signed in reports_of(SCENE, CLUSTER).items() if name in plan.reports}
    return Order(
        plan=text, signature=signature, record=body.decode(), proof=make_proof(0, (), checkpoint), consistency=(),
        reports=reports, late={},
    )  # fmt: skip


def named(request: str) -> Plan:
    """Return the same plan under another id of its request; its reports are then stale."""
    return replace(PLAN, request=replace(PLAN.request, id=request))


def shown_of(order: Order) -> Confirmation:
    """Return the confirmation that an order carries."""
    return Confirmation(plan=order.plan, signature=order.signature)


GENUINE = order_of()
SHOWN, NOTHING = shown_of(GENUINE), Confirmation(plan="", signature="")


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """Return a new witness's node."""
    Store.create(tmp_path / "state", genesis("w", "n1", witness=True))
    file = NodeFile(name="w", home="", binaries="", account="", starts="no")
    return Node(folder=tmp_path, file=file, cluster=CLUSTER, key=KEYS["w"])


def opened(signed: Signed) -> tuple[str, str]:
    """Return the result and the code of a signed outcome."""
    outcome = open_signed(signed, Outcome, CLUSTER.member("w").public_key)
    return outcome.result, outcome.code


def test_what_is_genuine_is_executed_once(node: Node) -> None:
    """And a second time it is refused, naming the first outcome, which is what is told whenever it is asked for."""
    agent = Agent(node)
    first = agent.run(GENUINE)
    assert opened(first) == ("executed", "")
    with pytest.raises(RequestDuplicate) as error:
        agent.run(GENUINE)
    assert error.value.executed == "executed"
    assert agent.outcome(REQUEST, SHOWN) == first
    assert agent.facts().standing.pledged.term == 2


INVALID: list[tuple[str, Order]] = [
    ("kernel.not-logged", replace(GENUINE, proof="")),
    ("kernel.not-logged", replace(GENUINE, record="{}")),
    ("kernel.plan-altered", replace(GENUINE, reports={})),
    ("kernel.plan-rejected", order_of(replace(PLAN, accepted=False))),
    ("input.malformed", order_of(replace(PLAN, request=replace(PLAN.request, reason=" ")))),
    ("input.malformed", order_of(replace(PLAN, request=replace(PLAN.request, arguments={})))),
    ("input.action-unknown", order_of(replace(PLAN, request=replace(PLAN.request, action="fly")))),
    ("kernel.verdicts-differ", order_of(replace(PLAN, verdicts=()))),
]


@pytest.mark.parametrize(("code", "order"), INVALID, ids=[f"{at}-{code}" for at, (code, _) in enumerate(INVALID)])
def test_the_first_signed_answer_is_the_last(node: Node, code: str, order: Order) -> None:
    """A refusal under a valid signature uses the request up: the same request, whole, is never executed afterwards."""
    agent = Agent(node)
    first = agent.run(order)
    assert opened(first) == ("not executed", code)
    with pytest.raises(RequestDuplicate) as error:
        agent.run(GENUINE)
    assert error.value.executed == "not executed"
    assert agent.outcome(REQUEST, SHOWN) == first
    assert agent.facts().standing.pledged.term == 1


UNSIGNED: list[tuple[str, Order]] = [
    ("kernel.signature-invalid", replace(GENUINE, signature="x")),
    ("kernel.signature-invalid", order_of(key=STRANGER)),
    ("kernel.plan-foreign", order_of(replace(PLAN, cluster="another"))),
    ("kernel.plan-foreign", order_of(replace(PLAN, configuration="another"))),
    ("kernel.plan-altered", replace(GENUINE, plan=canonical.encode(replace(PLAN, term=7)).decode())),
    ("kernel.operator-refused", order_of(replace(PLAN, request=replace(PLAN.request, operator="eve")))),
    ("input.not-canonical", replace(GENUINE, plan="{}")),
]


@pytest.mark.parametrize(("code", "order"), UNSIGNED, ids=[f"{at}-{code}" for at, (code, _) in enumerate(UNSIGNED)])
def test_what_no_operator_signed_uses_nothing_up(node: Node, code: str, order: Order) -> None:
    """Anybody could have sent it: it is refused without a signed word, and the genuine order is executed later."""
    agent = Agent(node)
    with pytest.raises(AeroError) as error:
        agent.run(order)
    assert error.value.code == code
    assert agent.facts().entries == 0
    assert opened(agent.run(GENUINE)) == ("executed", "")


@pytest.mark.parametrize("request_id", [PATH, "", "x", f"A{REQUEST[1:]}", f"{REQUEST}\n", LOOK_ID])
def test_an_id_of_another_form_names_no_file(node: Node, request_id: str) -> None:
    """However it is signed and logged, it is refused before anything is written; asked for, too."""
    agent = Agent(node)
    before = _files(node.folder)
    with pytest.raises(RequestMalformed):
        agent.run(order_of(named(request_id)))
    with pytest.raises(RequestMalformed):
        agent.outcome(request_id, SHOWN)
    assert _files(node.folder) == before


@pytest.mark.parametrize("request_id", [PATH, "", LOOK_ID])
def test_the_store_itself_refuses_it(node: Node, request_id: str) -> None:
    """Whoever calls it: no entry is written under a name that is no request's id."""
    store, before = Store(node.state), _files(node.folder)
    signed = Agent(node).outcome(OTHER, shown_of(order_of(named(OTHER))))
    after = _files(node.folder)
    writes: list[Callable[[], None]] = [
        lambda: store.begin(request_id, "", SCENE["w"]),
        lambda: store.mark(request_id),
        lambda: store.end(request_id, signed),
    ]
    for write in writes:
        with pytest.raises(RequestMalformed):
            write()
    assert before <= after == _files(node.folder)


def _files(folder: Path) -> set[str]:
    return {str(path) for path in folder.parent.rglob("*")}


def test_a_request_that_was_never_sent_never_runs(node: Node) -> None:
    """Asked for before it came, it is not executed, and that stays so when it comes."""
    agent = Agent(node)
    assert opened(agent.outcome(REQUEST, SHOWN)) == ("not executed", "kernel.request-unknown")
    with pytest.raises(RequestDuplicate):
        agent.run(GENUINE)


UNCONFIRMED: list[tuple[str, Confirmation]] = [
    ("nothing", NOTHING),
    ("another's signature", shown_of(order_of(key=STRANGER))),
    ("another request", shown_of(order_of(named(OTHER)))),
    ("another cluster", shown_of(order_of(replace(PLAN, cluster="another")))),
    ("another node", shown_of(order_of(replace(PLAN, request=replace(PLAN.request, target="n2"))))),
    ("nobody enrolled", shown_of(order_of(replace(PLAN, request=replace(PLAN.request, operator="eve"))))),
    (
        "an altered plan",
        Confirmation(plan=canonical.encode(replace(PLAN, term=7)).decode(), signature=GENUINE.signature),
    ),
    ("no plan", Confirmation(plan="{}", signature=GENUINE.signature)),
]


@pytest.mark.parametrize("shown", [each for _, each in UNCONFIRMED], ids=[name for name, _ in UNCONFIRMED])
def test_no_id_is_used_up_without_an_operators_signature(node: Node, shown: Confirmation) -> None:
    """Whoever asks what became of it: nothing is kept and nothing promised, and the genuine order is executed once."""
    agent = Agent(node)
    before = _files(node.folder)
    with pytest.raises(ConfirmationMissing) as error:
        agent.outcome(REQUEST, shown)
    assert error.value.executed == "unknown"
    assert _files(node.folder) == before
    assert agent.facts().entries == 0
    assert opened(agent.run(GENUINE)) == ("executed", "")
    with pytest.raises(RequestDuplicate):
        agent.run(GENUINE)


def test_a_confirmation_of_another_time_is_enough_to_never_run(node: Node) -> None:
    """Under another configuration, by somebody who is revoked now: what they confirmed can be ended all the same."""
    order = order_of(replace(PLAN, configuration="another"))
    revoked = replace(node, cluster=replace(node.cluster, operators=(replace(ADA, revoked=True),)))
    assert opened(Agent(revoked).outcome(REQUEST, shown_of(order))) == ("not executed", "kernel.request-unknown")


HELD_SECONDS_MAX = 600
"""Against hanging alone."""


class HeldHands(NodeHands):
    """Hands that write a standing only when they are let."""

    reached, let = threading.Event(), threading.Event()

    def write_standing(self, standing: Standing) -> None:
        """Wait, then write."""
        self.reached.set()
        assert self.let.wait(HELD_SECONDS_MAX)
        super().write_standing(standing)


@pytest.fixture
def held(node: Node) -> "tuple[Agent, threading.Thread, list[Signed]]":
    """Return an agent in the midst of the genuine order, the thread that waits for it, and where its answer comes."""
    HeldHands.reached.clear()
    HeldHands.let.clear()
    agent, answers = Agent(node, HeldHands), list[Signed]()
    working = threading.Thread(target=lambda: answers.append(agent.run(GENUINE)))
    working.start()
    assert HeldHands.reached.wait(HELD_SECONDS_MAX)
    return agent, working, answers


def test_while_one_is_under_way(held: tuple[Agent, threading.Thread, list[Signed]]) -> None:
    """Another request is refused and used up; the same one is refused and not; neither is said to be not executed."""
    agent, working, answers = held
    assert opened(agent.run(order_of(named(OTHER)))) == ("not executed", "kernel.busy")
    with pytest.raises(RequestDuplicate) as error:
        agent.run(GENUINE)
    assert error.value.executed == "unknown"
    with pytest.raises(Busy):
        agent.outcome(REQUEST, SHOWN)
    unfinished = agent.facts().unfinished
    assert unfinished is not None
    assert unfinished.result == "unknown"
    HeldHands.let.set()
    working.join()
    assert opened(answers[0]) == ("executed", "")
    assert opened(agent.outcome(OTHER, NOTHING)) == ("not executed", "kernel.busy")


def test_an_agent_that_ends_waits_for_its_operation(held: tuple[Agent, threading.Thread, list[Signed]]) -> None:
    """It takes no order any more, and has ended only when the operation under way has its answer."""
    agent, working, answers = held
    ending = threading.Thread(target=agent.end)
    ending.start()
    wait_until(lambda: agent._turns.ending)
    assert opened(agent.run(order_of(named(OTHER)))) == ("not executed", "kernel.agent-ending")
    assert ending.is_alive()
    HeldHands.let.set()
    ending.join()
    working.join()
    assert opened(answers[0]) == ("executed", "")


def test_there_is_one_agent_a_node(node: Node) -> None:
    """A second one is refused for as long as the first lives, also while that one ends; it is told which process."""
    first = Agent(node)
    with pytest.raises(AgentAlone, match=rf"another agent \(process {os.getpid()}\) is at work"):
        Agent(node)
    assert (node.state / LOCK).read_text() == f"{os.getpid()}\n"
    first.end()
    with pytest.raises(AgentAlone):
        Agent(node)
