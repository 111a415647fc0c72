"""A node and the chain: what it takes is durable and whole, and from then on it judges by it alone."""

import pytest
from msgspec.structs import replace

from aerodb.actions import catalogue
from aerodb.kernel.agent import Agent
from aerodb.kernel.errors import OperatorRefused, RequestDuplicate, VersionsUnreadable
from aerodb.kernel.node import Node
from aerodb.kernel.versions import TakenVersions
from aerodb.protocol import canonical
from aerodb.protocol.chain import VersionRefused, changed, step_of
from aerodb.protocol.change import step_text
from aerodb.protocol.cluster import Cluster, Operator, Role
from aerodb.protocol.plan import Order, Outcome, late_nonce
from aerodb.protocol.signed import Signed, open_signed
from aerodb.rules.explain import explain
from tests.unit.kernel import test_agent
from tests.unit.kernel.test_agent import ADA, NOTHING, OTHER, order_of, shown_of
from tests.unit.protocol.test_chain import enrol, key_of, revoke
from tests.unit.rules.scenes import Scene, healthy, reports_of, request_for, snapshot_of

node = test_agent.node
BOB = Operator(name="bob", role=Role.OPERATOR, ssh_key=key_of("bob"))
ONE = replace(test_agent.CLUSTER, operators=(ADA, BOB))
TWO = changed(ONE, revoke("ada"))
THREE = changed(TWO, enrol("zoe"))


def text_of(cluster: Cluster) -> str:
    """Return a version's document."""
    return canonical.encode(cluster).decode()


def took(scene: Scene, name: str, *path: Cluster) -> Scene:
    """Return a scene in which a node has taken versions."""
    digests = tuple(each.digest for each in path)
    return {**scene, name: replace(scene[name], configuration=digests[-1], versions=digests)}


AFTER = took(healthy(ONE), "n1", ONE, TWO)


def ordered(action: str, arguments: dict[str, str], scene: Scene, cluster: Cluster = ONE, request: str = "") -> Order:
    """Return the order to the witness, signed by ada and logged, with what the others say before and after."""
    asked = request_for(catalogue()[action], "w", arguments)
    if request:
        asked = replace(asked, id=request)
    snapshot = replace(snapshot_of(scene, cluster), nonce=asked.id, reports=reports_of(scene, cluster, asked.id))
    plan = explain(cluster, catalogue()[action], asked, snapshot)
    order = order_of(plan)
    peers = {name: facts for name, facts in scene.items() if name != "w"}
    return replace(
        order,
        reports={name: each for name, each in snapshot.reports.items() if name != "w"},
        late=reports_of(peers, cluster, late_nonce(order.record)),
    )


TAKING = ordered("configure", {"change": step_text(step_of(ONE, revoke("ada")))}, AFTER)
FENCING = ordered("fence", {"for": "n2"}, AFTER, request=OTHER)


@pytest.fixture
def witness(node: Node) -> Node:
    """Return a new witness's node whose version 1 enrols two operators."""
    return replace(node, cluster=ONE)


def opened(signed: Signed) -> Outcome:
    """Return a signed outcome."""
    return open_signed(signed, Outcome, ONE.member("w").public_key)


def test_a_version_is_taken_and_judged_by(witness: Node) -> None:
    """The node's next report names it; what the revoked person signed before is refused, and their next is nothing."""
    agent = Agent(witness)
    outcome = opened(agent.run(TAKING))
    assert (outcome.result, outcome.code) == ("executed", "")
    assert (agent.facts().configuration, agent.facts().versions) == (TWO.digest, (ONE.digest, TWO.digest))
    refused = opened(agent.run(FENCING))
    assert (refused.result, refused.code) == ("not executed", "kernel.version-passed")
    scene = took(AFTER, "w", ONE, TWO)
    with pytest.raises(OperatorRefused, match="revoked"):
        agent.run(ordered("fence", {"for": "n2"}, scene, TWO, "77777777-2222-4333-8444-555555555555"))


def test_it_is_taken_once(witness: Node) -> None:
    """The same order again is a duplicate, though the node has another version by now; its outcome is the first one."""
    agent = Agent(witness)
    first = agent.run(TAKING)
    with pytest.raises(RequestDuplicate) as error:
        agent.run(TAKING)
    assert error.value.executed == "executed"
    assert agent.outcome(opened(first).request, NOTHING) == first


def test_it_is_not_taken_where_the_primary_moved_on_meanwhile(witness: Node) -> None:
    """Judged late: the primary that stated the version when the plan was made must state it after the confirmation."""
    silent = replace(TAKING, late={name: each for name, each in TAKING.late.items() if name != "n1"})
    outcome = opened(Agent(witness).run(silent))
    assert (outcome.result, outcome.invariants) == ("not executed", ("primary-first",))
    assert TakenVersions(witness.state, ONE).chain.newest == ONE


def test_an_id_is_used_up_by_the_key_that_counted_then(witness: Node) -> None:
    """Whose key was revoked since can still have their own request of then ruled out, and nobody else's."""
    agent = Agent(witness)
    agent.run(TAKING)
    assert opened(agent.outcome(OTHER, shown_of(FENCING))).result == "not executed"


def test_what_is_taken_is_still_there_when_the_agent_comes_back(witness: Node) -> None:
    """The chain is read again from the disk, from version 1 on."""
    Agent(witness).run(TAKING)
    assert TakenVersions(witness.state, ONE).chain.path == (ONE.digest, TWO.digest)


def test_a_crash_leaves_the_old_chain_or_the_new_one(witness: Node) -> None:
    """Killed after any system call of the write, the node has taken the version, or has not: never anything else."""
    fresh = TakenVersions(witness.state, ONE)
    fresh.take(text_of(TWO))
    whole = (witness.state / "configuration.json").read_bytes()
    (witness.state / "configuration.json").unlink()
    beside = witness.state / ".configuration.json.new"
    for length in range(0, len(whole) + 1, 97):  # What a killed write leaves beside it is never read.
        beside.write_bytes(whole[:length])
        assert TakenVersions(witness.state, ONE).chain.newest == ONE
    again = TakenVersions(witness.state, ONE)
    again.take(text_of(TWO))
    assert TakenVersions(witness.state, ONE).chain.newest == TWO


def test_a_full_disk_changes_nothing(witness: Node) -> None:
    """Where it cannot be written down it is not taken, in memory no more than on the disk."""
    versions = TakenVersions(witness.state, ONE)
    beside = witness.state / ".configuration.json.new"
    beside.mkdir()  # What is to be written has no place.
    with pytest.raises(OSError, match="directory"):
        versions.take(text_of(TWO))
    assert versions.chain.newest == ONE
    beside.rmdir()
    assert TakenVersions(witness.state, ONE).chain.newest == ONE


@pytest.mark.parametrize("what", ["a byte", "the end", "another founding", "a version left out"])
def test_a_damaged_chain_is_an_error(witness: Node, what: str) -> None:
    """What does not follow from version 1, version by version, is no configuration: the node does not begin anew."""
    versions = TakenVersions(witness.state, ONE)
    versions.take(text_of(TWO))
    versions.take(text_of(THREE))
    path = witness.state / "configuration.json"
    data = path.read_bytes()
    founding = ONE
    if what == "a byte":
        path.write_bytes(data.replace(b"revoked", b"revokee", 1))
    elif what == "the end":
        path.write_bytes(data[:-20])
    elif what == "another founding":
        founding = replace(ONE, name="other")
    else:
        path.write_bytes(canonical.encode({"documents": [text_of(THREE)]}))
    with pytest.raises(VersionsUnreadable) as error:
        Agent(replace(witness, cluster=founding))
    assert error.value.code == "kernel.versions-unreadable"


def test_a_version_that_does_not_follow_is_not_written(witness: Node) -> None:
    """The file is left alone by a step over one, a step back, and another version of the same number."""
    versions = TakenVersions(witness.state, ONE)
    versions.take(text_of(TWO))
    before = (witness.state / "configuration.json").read_bytes()
    for document in (text_of(TWO), text_of(ONE), text_of(changed(ONE, enrol("yan"))), "{}"):
        with pytest.raises(VersionRefused):
            versions.take(document)
    assert (witness.state / "configuration.json").read_bytes() == before


def test_a_later_version_is_nothing_to_begin_with(witness: Node) -> None:
    """A node's own cluster.json is version 1: a later one in its place would be trusted without being verified."""
    with pytest.raises(VersionsUnreadable, match="only version 1"):
        Agent(replace(witness, cluster=TWO))
