"""The control plane and the chain: it follows what nodes sign, and nothing that does not follow."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from aerodb.actions import action_named
from aerodb.audit.record import read_record
from aerodb.audit.store import Log
from aerodb.control.meters import Meters
from aerodb.control.record import Became, Recorder
from aerodb.control.versions import KnownVersions
from aerodb.protocol import canonical
from aerodb.protocol.chain import changed
from aerodb.protocol.change import Change
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.plan import Confirmation, Plan, Request, Snapshot, plan_digest
from aerodb.protocol.signed import Signed
from aerodb.rules.explain import explain
from aerodb.rules.view import peer_of
from tests.unit.protocol.test_chain import enrol, founding, revoke
from tests.unit.rules.scenes import healthy, request_for, snapshot_of
from tests.unit.rules.test_versions import OTHER_TWO, THREE, TWO, configure, having

ONE = founding()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    """Return a new log."""
    made = Log.create(tmp_path / "log", ONE.origin, Ed25519PrivateKey.generate())
    yield made
    made.close()


def asked(before: Cluster, change: Change, request: str) -> Request:
    """Return a request that changes the configuration, under an id of its own."""
    return replace(configure("n1", before, change), id=request)


FIRST = asked(ONE, revoke("bob"), "00000001-2222-4333-8444-555555555555")
SECOND = asked(TWO, enrol("zoe"), "00000002-2222-4333-8444-555555555555")
FORK = asked(ONE, enrol("mallory"), "00000003-2222-4333-8444-555555555555")


def test_what_was_executed_is_the_newest_and_the_rest_is_not() -> None:
    """A version counts once a node signed that it took it; one that was only confirmed does not."""
    versions = KnownVersions(ONE)
    versions.confirmed(FIRST)
    assert versions.newest == ONE
    versions.executed(FIRST)
    versions.executed(SECOND)
    assert versions.chain.path == (ONE.digest, TWO.digest, THREE.digest)
    assert versions.maker(TWO.digest) == FIRST.id


def test_a_fork_does_not_take_the_place_of_what_is_known() -> None:
    """Of two versions of one number the control plane stays with the one that it knew to be taken."""
    versions = KnownVersions(ONE)
    versions.executed(FIRST)
    versions.executed(FORK)
    assert versions.newest == TWO
    versions.reported({"n3": peer_of(ONE, having(healthy(ONE), n3=OTHER_TWO)["n3"])})
    assert versions.newest == TWO


def test_what_nodes_report_is_followed_as_far_as_its_changes_are_known() -> None:
    """An outcome that was lost is made good by a signed report, but only for changes that were confirmed."""
    versions, scene = KnownVersions(ONE), having(healthy(ONE), n1=THREE)
    everyone = {"n1": peer_of(ONE, scene["n1"])}
    versions.reported(everyone)
    assert versions.newest == ONE
    versions.confirmed(FIRST)
    versions.reported(everyone)
    assert versions.newest == TWO
    versions.confirmed(SECOND)
    versions.reported(everyone)
    assert versions.newest == THREE
    assert versions.of(scene["n1"]) == THREE
    assert versions.of(scene["n2"]) == ONE


def planned(recorder: Recorder, request: Request, cluster: Cluster, snapshot: Snapshot) -> tuple[Plan, str]:
    """Record a request's plan, made under a version; return it and its text."""
    plan = explain(cluster, action_named(request.action), request, snapshot)
    text = canonical.encode(plan).decode()
    recorder.planned(plan, text, canonical.encode(snapshot), ())
    return plan, text


def test_a_new_process_knows_what_the_log_holds(log: Log) -> None:
    """The log is the control plane's only state: the chain is read back from it, in the order in which it was made."""
    recorder = Recorder(log, canonical.encode(ONE), Meters(log))
    scene = healthy(ONE)
    for request, cluster in ((FIRST, ONE), (SECOND, TWO)):
        snapshot = snapshot_of(having(scene, n1=cluster) if cluster is not ONE else scene, ONE)
        plan = replace(explain_under(request, cluster, snapshot), request=request)
        text = canonical.encode(plan).decode()
        recorder.planned(plan, text, canonical.encode(snapshot), ())
        recorder.confirmed(plan, Confirmation(plan=text, signature="x"), touch=False)
        recorder.versions.executed(request)
        became = Became(result="executed", signed=Signed(document="{}", signer="n1", signature=""), code="", message="")
        recorder.outcome(request, plan_digest(text), became, established=False)
    again = KnownVersions(ONE)
    again.read_back(log)
    assert again.chain.path == (ONE.digest, TWO.digest, THREE.digest)
    assert (again.maker(TWO.digest), again.maker(THREE.digest)) == (FIRST.id, SECOND.id)


def explain_under(request: Request, cluster: Cluster, snapshot: Snapshot) -> Plan:
    """Return the plan of a request as it would be under a version."""
    plain = replace(request, id=snapshot.nonce)
    return explain(cluster, action_named(request.action), plain, snapshot)


def test_a_record_names_the_version_that_its_plan_was_made_under(log: Log) -> None:
    """A plan for a node that is behind stays under that node's version; what is of no plan is under the newest."""
    recorder = Recorder(log, canonical.encode(ONE), Meters(log))
    recorder.versions.executed(FIRST)
    snapshot = snapshot_of(having(healthy(ONE), n1=TWO), ONE)
    request = request_for(action_named("fence"), "n3", {"for": "n2"})
    plan, text = planned(recorder, request, ONE, snapshot)
    recorder.confirmed(plan, Confirmation(plan=text, signature="x"), touch=False)
    recorder.signed("ada", "in", {})
    configurations = [read_record(log.record(at)).configuration for at in range(3)]
    assert configurations == [ONE.digest, ONE.digest, TWO.digest]
    assert log.blob(TWO.digest) == canonical.encode(TWO)


def test_an_unknown_change_is_nothing() -> None:
    """A digest under which no confirmed change is known is followed nowhere."""
    versions = KnownVersions(ONE)
    stranger = changed(ONE, enrol("yan"))
    versions.reported({"n1": peer_of(ONE, replace(healthy(ONE)["n1"], configuration=stranger.digest))})
    assert versions.newest == ONE
