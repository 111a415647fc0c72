"""What is not stable is judged on what the others say after the confirmation; whatever else is shown is refused.

Each way of showing something else is a case; each check that could be dropped is a mutant, and some case accepts it.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace as changed
from typing import NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from aerodb.actions import catalogue
from aerodb.errors import AeroError
from aerodb.protocol import canonical
from aerodb.protocol.authority import Candidacy
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import Report, State
from aerodb.protocol.plan import Order, Request, Result, late_nonce
from aerodb.protocol.signed import Signed, sign
from aerodb.rules.explain import failed
from aerodb.rules.invariants import STABILITY, STATEMENTS, Invariant
from aerodb.rules.late import Judge, judged_late, late_peers
from aerodb.rules.operation import carry_out
from aerodb.rules.view import Peer, View, peer_of
from tests.unit.rules.doing import hands_in, order_in
from tests.unit.rules.scenes import (
    CLUSTER,
    KEYS,
    Scene,
    carried,
    healthy,
    pledged,
    reports_of,
    request_for,
    scenes,
    view_for,
    with_instance,
)
from tests.unit.rules.test_matrix import BREAKERS, PAUSED, accepted

RECORD = '{"event":"confirmed"}'
NONCE = late_nonce(RECORD)
DOWN = with_instance(healthy(), "n1", state=State.STOPPED, recovery=False, senders=())
"""n1 is stopped; n2 and n3 have promised nobody anything."""
ELECTED = pledged(pledged(DOWN, "n2", Candidacy(term=2, node="n2")), "n3", Candidacy(term=2, node="n2"))
START = request_for(catalogue()["start"], "n1", {})
STRANGER = Ed25519PrivateKey.from_private_bytes(b"stranger".ljust(32, b"\0"))


def order_of(late: dict[str, Signed]) -> Order:
    """Return an order with these late reports; nothing else of it is looked at here."""
    return Order(plan="", signature="", record=RECORD, proof="", consistency=(), reports={}, late=late)


def said(scene: Scene, nonce: str = NONCE) -> dict[str, Signed]:
    """Return what n2 and n3 say."""
    return {name: each for name, each in reports_of(scene, nonce=nonce).items() if name != "n1"}


def made(node: str, key: Ed25519PrivateKey, signer: str, **changes: object) -> Signed:
    """Return a report of `node` that promises nothing, signed by `key` as `signer`."""
    report = Report(cluster=CLUSTER.id, node=node, nonce=NONCE, facts=DOWN[node])
    return sign(replace(report, **changes), signer, key)


LIES: dict[str, dict[str, Signed]] = {
    "the truth: n2 has been elected": said(ELECTED),
    "nobody said anything": {},
    "those who know are left out": {"n1": reports_of(DOWN, nonce=NONCE)["n1"]},
    "signed by a stranger": {name: made(name, STRANGER, name) for name in ("n2", "n3")},
    "signed by a stranger in their own name": {name: made(name, STRANGER, "n1") for name in ("n2", "n3")},
    "made before the confirmation, for the plan": said(DOWN, nonce=START.id),
    "made for another confirmation": said(DOWN, nonce=late_nonce('{"event":"confirmed","request":"another"}')),
    "another node's": {"n2": made("n1", KEYS["n1"], "n1"), "n3": made("n1", KEYS["n1"], "n1")},
    "another node speaks for them": {name: made(name, KEYS["n1"], name) for name in ("n2", "n3")},
    "their own, about another node": {name: made(name, KEYS[name], name, facts=DOWN["n1"]) for name in ("n2", "n3")},
    "of another cluster": {name: made(name, KEYS[name], name, cluster="another") for name in ("n2", "n3")},
}
"""What a courier could show in the place of what the nodes say; with none of it may n1 start."""

Opens = Callable[[Cluster, str, Order], dict[str, Peer]]
Judges = Callable[[Judge, dict[str, Peer]], Judge]


class Late(NamedTuple):
    """How late reports are opened, and how they are judged."""

    opens: Opens = late_peers
    judges: Judges = judged_late


def refuses(rules: Late, late: dict[str, Signed], request: Request = START, scene: Scene = DOWN) -> bool:
    """Tell whether a plan that was right when it was made is refused with these late reports."""
    view = view_for(request, scene)
    judge = catalogue()[request.action].judge
    assert not failed(judge(view))
    try:
        peers = rules.opens(CLUSTER, request.target, order_of(late))
    except AeroError:
        return True
    return bool(failed(rules.judges(judge, peers)(view)))


def test_an_old_plan_holds_where_the_others_say_so_again() -> None:
    """However old it is: age alone refuses nothing."""
    assert not refuses(Late(), said(DOWN))


@pytest.mark.parametrize("name", LIES)
def test_what_is_not_said_after_the_confirmation_is_refused(name: str) -> None:
    """Forged, stale, another's, about another, missing: n1 does not start; and the truth forbids it."""
    assert refuses(Late(), LIES[name])


def _read(signed: Signed) -> Report:
    return canonical.decode(signed.document.encode(), Report)


def _opens_if(check: Callable[[str, Signed, Report, Cluster], bool]) -> Opens:
    """Return what opens reports by `check` alone, and takes whatever passes."""

    def opens(cluster: Cluster, target: str, order: Order) -> dict[str, Peer]:
        found = {}
        for name, signed in order.late.items():
            if name == target:
                continue
            if not check(name, signed, _read(signed), cluster):
                raise AeroError("refused")
            found[name] = peer_of(cluster, _read(signed).facts)
        return found

    return opens


def _genuine(name: str, signed: Signed) -> bool:
    try:
        late_peers(CLUSTER, "n1", order_of({name: signed}))
    except AeroError as error:
        return error.code != "kernel.report-forged"
    return True


def _with_silent_as_planned(judge: Judge, late: dict[str, Peer]) -> Judge:
    """Take what a silent peer said for the plan for what it says now."""

    def both(view: View) -> tuple[object, ...]:
        return judged_late(judge, {**view.peers, **late})(view)

    return both  # type: ignore[return-value]


MUTANTS: dict[str, Late] = {
    "any signature": Late(opens=_opens_if(lambda name, _, read, cluster: (
        (read.nonce, read.node, read.cluster, read.facts.node) == (NONCE, name, cluster.id, name)))),
    "any nonce": Late(opens=_opens_if(lambda name, signed, *_: _genuine(name, signed))),
    "any nonce of a request": Late(opens=_opens_if(
        lambda name, signed, read, _: _genuine(name, signed) and read.nonce in {NONCE, START.id})),
    "any cluster and node": Late(opens=_opens_if(lambda _, signed, read, __: signed.signer == read.node
                                                 and read.nonce == NONCE and read.facts.node in KEYS)),
    "silence is what the plan knew": Late(judges=_with_silent_as_planned),
    "nothing is judged late": Late(judges=lambda judge, _: judge),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTANTS)
def test_every_dropped_check_is_noticed(name: str) -> None:
    """A mutant that has lost one check lets n1 start by some lie."""
    mutant = MUTANTS[name]
    assert not refuses(mutant, said(DOWN))
    assert not all(refuses(mutant, late) for late in LIES.values())


def test_every_invariant_says_which_kind_it_is() -> None:
    """None is left out, so a new one cannot be taken for stable by oversight."""
    assert set(STABILITY) == set(Invariant) == set(STATEMENTS)


OWN = {(name, Invariant.RUNNING_FITS) for name in catalogue() if name != "reclone"} | {
    (name, invariant) for name in ("demote", "renew") for invariant in (Invariant.TERM_RISES, Invariant.POSITION_KNOWN)
}
"""What an action judges of its target alone, which is looked at when it judges, though another asks it of a peer."""
PAIRS = [
    (name, invariant)
    for name, action in catalogue().items()
    for invariant in action.invariants
    if STABILITY[invariant] == "unstable" and (name, invariant) not in OWN
]


def _broken_late(name: str, invariant: Invariant) -> Iterator[tuple[View, dict[str, Peer]]]:
    """Yield views in which everything held, and what the peers say of the same cluster now."""
    for request, scene in _held(name):
        view = view_for(request, scene)
        for late in _broken(request, scene, invariant):
            restored = {**late, request.target: scene[request.target]}
            yield view, view_for(request, restored).peers


def _broken(request: Request, scene: Scene, invariant: Invariant) -> Iterator[Scene]:
    """Yield the scene with an invariant broken, with a higher promise, and without what one node says."""
    yield from BREAKERS[invariant](scene, request)
    yield from BREAKERS[Invariant.NO_HIGHER_GRANT](scene, request)
    yield from ({node: facts for node, facts in scene.items() if node != gone} for gone in scene)
    yield from (with_instance(scene, node, keeping=PAUSED) for node in scene if scene[node].instance is not None)


def _held(name: str) -> Iterator[tuple[Request, Scene]]:
    """Yield requests in scenes in which everything holds; in some of them the target's own log tells nothing."""
    judge = catalogue()[name].judge
    for request, scene_name in accepted(name):
        scene = scenes()[scene_name]
        yield request, scene
        if scene[request.target].instance is not None:
            untold = with_instance(scene, request.target, state=State.CRASHED, position=None, receiver=None)
            for other in (untold, carried(scene, request.target)):
                if not failed(judge(view_for(request, other))):
                    yield request, other


@pytest.mark.parametrize(("name", "invariant"), PAIRS)
def test_every_unstable_invariant_of_every_action_is_judged_late(name: str, invariant: Invariant) -> None:
    """What held when the plan was made refuses by its own verdict, where the peers say otherwise now."""
    judge = catalogue()[name].judge
    for view, late in _broken_late(name, invariant):
        assert not failed(judge(view))
        verdicts = {each.invariant: each for each in judged_late(judge, late)(view)}
        assert tuple(verdicts) == catalogue()[name].invariants
        if verdicts[invariant].result is not Result.HOLDS:
            assert verdicts[invariant].evidence.startswith("after the confirmation: ")
            return
    pytest.fail(f"{invariant} of {name} is never refused late")


@pytest.mark.parametrize("name", catalogue())
def test_what_is_stable_is_not_asked_again(name: str) -> None:
    """Whatever the peers say late, or nobody: a stable invariant has the plan's reports' verdict."""
    judge = catalogue()[name].judge
    for request, scene_name in accepted(name):
        view = view_for(request, scenes()[scene_name])
        before = {each.invariant: each for each in judge(view)}
        for each in judged_late(judge, {})(view):
            if STABILITY[Invariant(each.invariant)] == "stable":
                assert each == before[each.invariant]


def test_what_does_not_hold_in_the_plan_is_not_mended_late() -> None:
    """The plan's reports are judged as ever: a later word of a peer's makes no verdict hold that did not."""
    judge = catalogue()["start"].judge
    view, later = view_for(START, ELECTED), view_for(START, DOWN).peers
    assert Invariant.NO_HIGHER_GRANT in failed(judged_late(judge, later)(view))


PROMOTE = request_for(catalogue()["promote"], "n2", {})
FENCED = pledged(pledged(DOWN, "n3", Candidacy(term=2, node="n2")), "n2", Candidacy(term=2, node="n2"))
"""n2 and n3 have pledged term 2 to n2; n1 is down, and has promised nothing."""


def _promotion_with(late: Scene, scene: Scene = FENCED) -> tuple[Result, str]:
    """Return the late verdict on the pledges that a promotion of n2 rests on."""
    judge, peers = catalogue()["promote"].judge, view_for(PROMOTE, {**late, "n2": scene["n2"]}).peers
    verdicts = judged_late(judge, peers)(view_for(PROMOTE, scene))
    assert set(failed(verdicts)) <= {Invariant.PLEDGES_KEPT}, "a pledge is never taken back, even by silence"
    found = next(each for each in verdicts if each.invariant == Invariant.PLEDGES_KEPT)
    return found.result, found.evidence


def test_a_pledge_stands_and_whether_it_is_kept_is_asked_again() -> None:
    """Its maker's later report decides: kept, broken, overtaken by another, or silent and so unknown."""
    assert _promotion_with(FENCED)[0] is Result.HOLDS
    promoted = with_instance(FENCED, "n3", recovery=False)
    assert _promotion_with(promoted)[0] is Result.VIOLATED
    overtaken = pledged(FENCED, "n3", Candidacy(term=3, node="n1"))
    result, evidence = _promotion_with(overtaken)
    assert (result, "n3 has pledged term 3 to n1 since" in evidence) == (Result.VIOLATED, True)
    silent = {name: facts for name, facts in FENCED.items() if name != "n3"}
    result, evidence = _promotion_with(silent)
    assert (result, "n3 did not report" in evidence) == (Result.UNKNOWN, True)


def test_a_pledger_that_is_not_needed_may_be_silent() -> None:
    """The pledges of those who speak suffice: an outage that goes on does not hold up its own end."""
    all_three = pledged(FENCED, "n1", Candidacy(term=2, node="n2"))
    silent = {name: facts for name, facts in all_three.items() if name != "n1"}
    assert _promotion_with(silent, all_three)[0] is Result.HOLDS


@pytest.mark.parametrize("late", ["as planned", "silent", "not asked"])
def test_a_standby_starts_attached_only_where_that_is_proven_late_too(late: str) -> None:
    """The plan's reports prove its upstream; where that one is silent after the confirmation, it starts detached."""
    scene = with_instance(healthy(), "n3", state=State.STOPPED, receiver=None)
    order, hands = order_in(scene, "start", "n3"), hands_in(scene, "n3")
    said = {name: peer for name, peer in order.view.peers.items() if name != "n1" or late == "as planned"}
    carry_out(catalogue()["start"], hands, changed(order, late=None if late == "not asked" else said))
    assert hands.standing().upstream == (None if late == "silent" else "n1")


def _result(request: Request, scene: Scene, invariant: Invariant) -> Result:
    """Return how one invariant of a request stands in a scene."""
    verdicts = catalogue()[request.action].judge(view_for(request, scene))
    return next(each.result for each in verdicts if each.invariant == invariant)


def test_who_did_not_report_is_unknown_and_no_witness_to_anything() -> None:
    """A majority that is silent has neither promised nor refused; a source that is silent neither runs nor is down."""
    alone = {"n1": DOWN["n1"]}
    assert _result(START, alone, Invariant.NO_HIGHER_GRANT) is Result.UNKNOWN
    reclone = request_for(catalogue()["reclone"], "n3", {"upstream": "n1"})
    for silent in ({name: healthy()[name] for name in ("n2", "n3")},
                   with_instance(healthy(), "n1", state=State.UNREACHABLE)):  # fmt: skip
        assert _result(reclone, silent, Invariant.RUNNING_FITS) is Result.UNKNOWN
    assert (
        _result(reclone, with_instance(healthy(), "n1", state=State.STOPPED), Invariant.RUNNING_FITS) is Result.VIOLATED
    )
