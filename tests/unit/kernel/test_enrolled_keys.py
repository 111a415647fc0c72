"""A node and authenticators: it acts by what its own version of the configuration enrols, and by nothing beside it."""

import pytest
from msgspec.structs import replace

from aerodb.actions import catalogue
from aerodb.audit.note import sign_checkpoint
from aerodb.audit.proof import make_proof
from aerodb.audit.record import decode_record, encode_record
from aerodb.audit.tree import leaf_hash
from aerodb.kernel.agent import Agent
from aerodb.kernel.errors import ConfirmationMissing, SignatureRefused
from aerodb.kernel.node import Node
from aerodb.kernel.versions import TakenVersions
from aerodb.protocol.chain import changed
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.plan import Order, late_nonce
from aerodb.rules.explain import explain
from tests.unit.kernel import test_agent
from tests.unit.kernel.test_agent import LOG_KEY, OTHER, PERSON, order_of, shown_of
from tests.unit.kernel.test_versions import ONE as BARE
from tests.unit.kernel.test_versions import opened, text_of, took
from tests.unit.protocol.authenticator import (
    ORIGIN,
    SoftAuthenticator,
    assertion_of,
    bare_assertion,
    endorsed,
    endorsement_of,
    enrolling,
    revoking,
)
from tests.unit.protocol.test_chain import enrol
from tests.unit.rules.scenes import Scene, healthy, reports_of, request_for, snapshot_of

node = test_agent.node
ONE = replace(BARE, web="127.0.0.1:7407", web_origin=ORIGIN)
KEY, BOBS = SoftAuthenticator(), SoftAuthenticator("EdDSA", identity=b"bobs")
TWO = changed(ONE, enrolling(KEY, "ada"))
THREE = changed(TWO, enrolling(BOBS, "bob"))
FOUR = changed(THREE, revoking(KEY, "ada"))
PATH = (ONE, TWO, THREE, FOUR)


def ordered(cluster: Cluster, scene: Scene, request: str = "") -> Order:
    """Return the order to fence the witness for n2, made under a version, signed by ada's SSH key and logged."""
    asked = request_for(catalogue()["fence"], "w", {"for": "n2"})
    asked = replace(asked, id=request) if request else asked
    snapshot = replace(snapshot_of(scene, cluster), nonce=asked.id, reports=reports_of(scene, cluster, asked.id))
    order = order_of(explain(cluster, catalogue()["fence"], asked, snapshot))
    reports = {name: each for name, each in snapshot.reports.items() if name != "w"}
    return carried(replace(order, reports=reports), order.signature, scene, cluster)


def carried(order: Order, signature: str, scene: Scene, cluster: Cluster) -> Order:
    """Return an order with another confirmation, logged under the log's own key, as who holds that can."""
    body = encode_record(replace(decode_record(order.record.encode()), signature=signature))
    checkpoint = sign_checkpoint(cluster.origin, 1, leaf_hash(body), LOG_KEY)
    peers = {name: facts for name, facts in scene.items() if name != "w"}
    return replace(
        order, signature=signature, record=body.decode(), proof=make_proof(0, (), checkpoint),
        late=reports_of(peers, cluster, late_nonce(body.decode())),
    )  # fmt: skip


def confirmed(version: int, signature: str = "", key: SoftAuthenticator = KEY, request: str = "") -> Order:
    """Return the order under a version that all have taken, confirmed as told: else by an authenticator."""
    path = PATH[:version]
    scene = healthy(ONE)
    for name in scene:
        scene = took(scene, name, *path) if version > 1 else scene
    order = ordered(path[-1], scene, request)
    said = signature or bare_assertion(key.confirms(order.plan.encode()))
    return carried(order, said, scene, path[-1])


def agent_at(node: Node, version: int) -> Agent:
    """Return a witness's agent that has taken the versions up to one."""
    taken = TakenVersions(node.state, ONE)
    for each in PATH[len(taken.chain.versions) : version]:
        taken.take(text_of(each))
    return Agent(replace(node, cluster=ONE))


def refused(agent: Agent, order: Order, why: str) -> None:
    """Show that the agent executes nothing by an order, for this reason, and keeps nothing of it."""
    with pytest.raises(SignatureRefused, match=why) as error:
        agent.run(order)
    assert error.value.executed == "not executed"
    assert agent.facts().standing.pledged.term == 1


def test_a_node_acts_by_what_it_has_enrolled(node: Node) -> None:
    """The assertion is all that is shown: the key is that of the node's own version."""
    assert opened(agent_at(node, 2).run(confirmed(2))).result == "executed"


def endorsement_over(order: Order) -> str:
    """Return a genuine confirmation of an order by an authenticator that ada's own SSH key endorsed."""
    document = endorsement_of(KEY, cluster=ONE.id, operator="ada")
    return assertion_of(KEY.confirms(order.plan.encode()), endorsed(document, PERSON))


def test_under_version_one_an_endorsement_counts_as_it_did(node: Node) -> None:
    """A cluster that is being upgraded goes on working."""
    assert opened(agent_at(node, 1).run(confirmed(1, endorsement_over(confirmed(1))))).result == "executed"


@pytest.mark.parametrize("version", [2, 3])
def test_an_endorsement_is_nothing_to_a_node_with_a_later_version(node: Node, version: int) -> None:
    """Genuine, by ada's own SSH key, and of the very authenticator that is enrolled."""
    refused(agent_at(node, version), confirmed(version, endorsement_over(confirmed(version))), "on an endorsement")


def test_another_persons_authenticator_confirms_nothing_of_mine(node: Node) -> None:
    """Nor does one that names mine and is signed by theirs."""
    agent = agent_at(node, 3)
    refused(agent, confirmed(3, key=BOBS), "is bob's, not ada's")
    plan = confirmed(3).plan.encode()
    refused(agent, confirmed(3, bare_assertion(BOBS.confirms(plan), credential=KEY.credential)), "not the credential's")


def test_a_revoked_one_confirms_where_its_revocation_is_not_taken_yet(node: Node) -> None:
    """A node that is behind judges by its own version, as it does of people."""
    assert opened(agent_at(node, 3).run(confirmed(3))).result == "executed"


def test_a_revoked_one_confirms_nothing_once_the_node_has_taken_that(node: Node) -> None:
    """What it confirmed under the version before is refused for good; under the new one it is no signature at all."""
    agent = agent_at(node, 4)
    passed = agent.run(confirmed(3, request=OTHER))
    assert (opened(passed).result, opened(passed).code) == ("not executed", "kernel.version-passed")
    refused(agent, confirmed(4), "is revoked in version 4")


def test_a_version_that_the_node_has_not_taken_enrols_nothing_there(node: Node) -> None:
    """Enrolled on the primary, an authenticator is nothing to a node that is behind, though the order names it."""
    agent = agent_at(node, 1)
    refused(agent, confirmed(1), "version 1 of the configuration enrols none")
    order = confirmed(2)
    with pytest.raises(Exception, match=r"configuration|enrols none") as error:
        agent.run(order)
    assert error.value.executed == "not executed"  # type: ignore[attr-defined]
    assert agent.facts().standing.pledged.term == 1


def test_an_id_is_used_up_by_an_authenticator_that_counted_then_alone(node: Node) -> None:
    """One that was revoked before the plan was made rules nothing out; one that counted then does."""
    agent, request = agent_at(node, 4), "88888888-2222-4333-8444-555555555555"
    with pytest.raises(ConfirmationMissing, match="is revoked"):
        agent.outcome(OTHER, shown_of(confirmed(4, request=OTHER)))
    assert opened(agent.outcome(request, shown_of(confirmed(3, request=request)))).result == "not executed"


def test_other_changes_leave_it(node: Node) -> None:
    """Enrolled once, it confirms under each later version in which it is not revoked."""
    assert changed(THREE, enrol("zoe")).enrolled == THREE.enrolled
    assert opened(agent_at(node, 3).run(confirmed(3))).result == "executed"
