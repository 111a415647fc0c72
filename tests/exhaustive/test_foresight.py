"""What is foreseen of a promotion that is signed ahead is what comes, in every state on file."""

from msgspec.structs import replace

from aerodb.protocol.plan import Result
from aerodb.rules.ahead import FORESEEABLE
from aerodb.rules.explain import explain, failed
from tests.unit.rules.scenes import snapshot_of
from tests.unit.rules.test_ahead import DEMOTE, PROMOTE, ahead, ahead_blind, carried_out, demotions, foreseen_said


def test_what_is_foreseen_is_what_comes() -> None:
    """In every state on file: accepted ahead, every invariant holds once the demotion is really carried out.

    Rejected ahead although the demotion would be accepted, the promotion fails afterwards for the same invariants, but
    for those that the demotion cannot have mended in time: they have to hold before it too.
    """
    accepted = rejected = 0
    for state, scene, cluster, asked, then in demotions():
        plan = ahead(scene, cluster, then)
        before = explain(cluster, DEMOTE, asked, snapshot_of(scene, cluster))
        assert before.accepted >= plan.accepted, state
        if not before.accepted or before.term != plan.term:
            assert {str(each) for each in FORESEEABLE} <= set(failed(plan.verdicts)), state
            continue
        after = carried_out(scene, cluster, asked, before)
        plain = explain(cluster, PROMOTE, replace(then, arguments={}), snapshot_of(after, cluster))
        assert plain.term == plan.term, state
        assert set(failed(plain.verdicts)) <= set(failed(plan.verdicts)), state
        assert foreseen_said(plan).keys() <= FORESEEABLE, state
        if not plan.accepted:
            now = set(failed(ahead_blind(scene, cluster, then).verdicts))
            assert set(failed(plan.verdicts)) - set(failed(plain.verdicts)) <= now - FORESEEABLE, state
        else:
            assert {each.result for each in plain.verdicts} == {Result.HOLDS}, state
            assert foreseen_said(plan) == {each.invariant: each.evidence for each in plain.verdicts
                                           if each.invariant in foreseen_said(plan)}, state  # fmt: skip
            assert plain.loss == plan.loss, state
        accepted, rejected = accepted + plan.accepted, rejected + (not plan.accepted)
    assert accepted > 100
    assert rejected > 20
