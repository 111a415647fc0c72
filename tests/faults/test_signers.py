"""Whose signature counts: at the control plane, and at a node, whoever carries the order to it."""

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from aerodb.protocol.cluster import Cluster, Operator, Role
from aerodb.protocol.facts import State
from aerodb.transport.errors import Refused
from tests.faults.behind import instance_of
from tests.faults.conftest import Ground, Running
from tests.faults.hostile import Hostile
from tests.faults.people import Api, new_id


def test_the_same_courier_with_the_truth_is_obeyed(fresh: Running) -> None:
    """Whoever carries it: what is signed, logged and proven is executed. No lie, no refusal."""
    fresh.api.do("fence", "n3", for_="n2")
    fresh.api.do("fence", "n2", for_="n2")
    hostile = Hostile(fresh)
    plan, snapshot = hostile.plan(hostile.request("promote", "n2"))
    assert plan.accepted
    order = hostile.order(plan, snapshot)
    assert fresh.impostor.run("n2", order).result == "executed"
    with pytest.raises(Refused) as error:
        fresh.impostor.run("n2", order)
    assert (error.value.code, error.value.executed) == ("kernel.request-duplicate", "executed")
    hostile.close()


def _operators(change: Callable[[Operator], Operator | None]) -> Callable[[Cluster], Cluster]:
    def changed(cluster: Cluster) -> Cluster:
        people = (change(person) if person.name == "operator" else person for person in cluster.operators)
        return replace(cluster, operators=tuple(person for person in people if person is not None))

    return changed


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param(lambda person: replace(person, revoked=True), "control.caller-revoked", id="revoked"),
        pytest.param(lambda _: None, "control.caller-unknown", id="unknown"),
        pytest.param(lambda person: replace(person, role=Role.AUDITOR), "control.role-denied", id="auditor"),
        pytest.param(lambda person: replace(person, ssh_key=""), "", id="no key"),
    ],
)
def test_who_may_not_sign(ground: Ground, change: Callable[[Operator], Operator | None], code: str) -> None:
    """The control plane refuses them, and records it; a node refuses their signature, whoever carries the order."""
    running = ground.begin(_operators(change))
    auditor = Api(running.layout, "auditor")
    if code:
        request = new_id()
        with pytest.raises(Refused) as error:
            running.api.ask("stop", "n3", request)
        assert (error.value.code, error.value.executed) == (code, "not executed")
        assert (auditor.events(request), auditor.codes(request)) == (["refused"], [code])
    hostile = Hostile(running)
    plan, snapshot = hostile.plan(hostile.request("stop", "n3"))
    assert plan.accepted
    with pytest.raises(Refused) as refused:
        hostile.send(plan, snapshot)
    assert refused.value.code == "kernel.operator-refused"
    hostile.close()
    assert instance_of(running, "n3").state is State.RUNNING
    assert running.impostor.facts("n3").entries == 0
    ground.end()


def test_a_node_with_a_foreign_key_counts_as_silent(fresh: Running) -> None:
    """An agent that signs with another key than the configuration's is not believed by the control plane either."""
    fresh.api.do("fence", "n3", for_="n2")
    fresh.stage.kill("n3")
    path = fresh.layout.node("n3") / "node.key"
    path.write_bytes(
        Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    fresh.stage.start_agent("n3", leave_down=True)
    fresh.stage.wait_for("n3")
    snapshot = fresh.api.status().snapshot
    assert "n3" not in snapshot.reports
    assert "cannot be verified" in snapshot.missing["n3"]
    rejected = fresh.api.ask("promote", "n2")
    assert not rejected.accepted
