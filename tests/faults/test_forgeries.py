"""What a node refuses by itself, though the operator has signed it and the log holds it: forged and stale statements.

The node's own judgement is the last lock: here both others open.
"""

from collections.abc import Callable, Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from aerodb.protocol.authority import Candidacy, Grant, Pledge
from aerodb.protocol.facts import Report
from aerodb.protocol.plan import Request
from aerodb.protocol.signed import Signed, sign
from tests.faults.behind import instance_of
from tests.faults.conftest import Ground
from tests.faults.hostile import Hostile, node_key
from tests.faults.people import new_id

Doctor = Callable[[Hostile, Request], Signed]


@pytest.fixture(scope="module")
def hostile(ground: Ground) -> Iterator[Hostile]:
    """Return a hostile control plane; n2 has pledged to itself, and one pledge of n3's is all that it lacks."""
    running = ground.begin()
    running.api.do("fence", "n2", for_="n2")
    found = Hostile(running)
    yield found
    found.close()
    ground.end()


def _with_pledge(hostile: Hostile, request: Request, *, cluster: str = "", key: str = "n3", term: int = 2) -> Report:
    """Return n3's report as if it had pledged term 2 to n2; the pledge is signed by the key of `key` ("": nobody's)."""
    report = hostile.opened(hostile.report("n3", request.id))
    standing, instance = report.facts.standing, report.facts.instance
    assert instance is not None
    pledge = Pledge(
        epoch=1,
        cluster=cluster or hostile.cluster.id,
        node="n3",
        term=2,
        candidate="n2",
        position=instance.position,
        granted=standing.granted,
        since=(Candidacy(term=2, node="n2"),),
        quorum=1,
    )
    signing = node_key(hostile.running, key) if key else Ed25519PrivateKey.generate()
    promised = replace(standing, pledged=Candidacy(term=term, node="n2"), pledge=sign(pledge, "n3", signing))
    return replace(report, facts=replace(report.facts, standing=promised))


def _forged_report(hostile: Hostile, request: Request) -> Signed:
    return hostile.resigned(_with_pledge(hostile, request), Ed25519PrivateKey.generate())


def _report_by_another(hostile: Hostile, request: Request) -> Signed:
    return hostile.resigned(_with_pledge(hostile, request), node_key(hostile.running, "n1"), "n1")


def _report_about_another(hostile: Hostile, request: Request) -> Signed:
    return hostile.resigned(replace(_with_pledge(hostile, request), node="n1"), node_key(hostile.running, "n3"), "n3")


def _report_of_another_cluster(hostile: Hostile, request: Request) -> Signed:
    return hostile.resigned(replace(_with_pledge(hostile, request), cluster="another"))


def _report_for_another_request(hostile: Hostile, request: Request) -> Signed:
    del request
    return hostile.report("n3", new_id())  # Genuine in every byte, and asked for something else.


def _forged_pledge(hostile: Hostile, request: Request) -> Signed:
    return hostile.resigned(_with_pledge(hostile, request, key=""))


def _pledge_by_another(hostile: Hostile, request: Request) -> Signed:
    genuine = hostile.opened(hostile.report("n2", request.id)).facts.standing
    report = _with_pledge(hostile, request)
    standing = replace(report.facts.standing, pledge=genuine.pledge)
    return hostile.resigned(replace(report, facts=replace(report.facts, standing=standing)))


def _pledge_for_another_cluster(hostile: Hostile, request: Request) -> Signed:
    return hostile.resigned(_with_pledge(hostile, request, cluster="another"))


def _stale_pledge(hostile: Hostile, request: Request) -> Signed:
    """n3 has promised more since: what it pledged before proves nothing now."""
    return hostile.resigned(_with_pledge(hostile, request, term=3))


def _forged_grant(hostile: Hostile, request: Request) -> Signed:
    report = _with_pledge(hostile, request)
    grant = Grant(epoch=1, cluster=hostile.cluster.id, node="n2", term=1, begin=report.facts.standing.lineage[0].begin,
                  lineage=report.facts.standing.lineage, quorum=1, pledges=())  # fmt: skip
    standing = replace(report.facts.standing, grant=sign(grant, "n2", Ed25519PrivateKey.generate()))
    return hostile.resigned(replace(report, facts=replace(report.facts, standing=standing)))


def _nothing_new(hostile: Hostile, request: Request) -> Signed:
    """The genuine report: n3 has pledged nothing, whatever the plan says."""
    return hostile.report("n3", request.id)


@pytest.mark.parametrize(
    ("doctor", "code"),
    [
        (_forged_report, "kernel.report-forged"),
        (_report_by_another, "kernel.report-forged"),
        (_report_about_another, "kernel.report-forged"),
        (_report_of_another_cluster, "kernel.cluster-foreign"),
        (_report_for_another_request, "kernel.report-stale"),
        (_forged_pledge, "kernel.pledge-forged"),
        (_pledge_by_another, "kernel.pledge-forged"),
        (_pledge_for_another_cluster, "kernel.cluster-foreign"),
        (_stale_pledge, "kernel.verdicts-differ"),
        (_forged_grant, "kernel.report-forged"),
        (_nothing_new, "kernel.verdicts-differ"),
    ],
)
def test_a_promotion_that_rests_on_a_lie(hostile: Hostile, doctor: Doctor, code: str) -> None:
    """Signed by the operator, standing in the log, and refused by the node, which is left as it was."""
    before = hostile.running.impostor.facts("n2")
    request = hostile.request("promote", "n2")
    outcome = hostile.send(*hostile.plan(request, {"n3": doctor(hostile, request)}))
    assert (outcome.result, outcome.code) == ("not executed", code), outcome
    after = hostile.running.impostor.facts("n2")
    assert after.standing == before.standing
    assert instance_of(hostile.running, "n2").recovery is True
    if code == "kernel.verdicts-differ":
        assert "election-quorum" in outcome.invariants
