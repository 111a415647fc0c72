"""What is remembered of the synchronous policy: seen weaker, it stays until nothing of that is left."""

from msgspec.structs import replace

from aerodb.actions import catalogue
from aerodb.protocol.authority import Candidacy
from aerodb.protocol.facts import Facts, State
from aerodb.protocol.lsn import Lsn
from aerodb.rules.election import commit_quorum, pledges_for
from aerodb.rules.policy import may_have_acknowledged_alone, remembered
from aerodb.rules.standing import granted
from tests.unit.rules.scenes import (
    Scene,
    grant_of,
    healthy,
    pledged,
    request_for,
    switched,
    view_for,
    with_instance,
    with_standing,
)

WEAK = ("synchronous_standby_names",)


def _n1(scene: Scene) -> Facts:
    return scene["n1"]


def _weakened(**changes: object) -> Scene:
    return with_instance(with_standing(healthy(), "n1", weakened=True), "n1", **changes)


def test_a_weaker_policy_in_force_is_remembered() -> None:
    """A running primary under another policy than configured may have acknowledged alone; receivers are no matter."""
    weak = with_instance(healthy(), "n1", drift=WEAK)
    assert may_have_acknowledged_alone(_n1(weak))
    assert remembered(_n1(weak), 1).weakened
    assert not remembered(_n1(with_instance(healthy(), "n1", drift=("restore_command",))), 1).weakened
    assert remembered(_n1(healthy()), 1) == _n1(healthy()).standing


def test_who_does_not_serve_acknowledges_nothing() -> None:
    """Neither a standby nor a primary that is down has its settings in force for anybody's commits."""
    assert not may_have_acknowledged_alone(with_instance(healthy(), "n2", drift=WEAK)["n2"])
    down = with_instance(healthy(), "n1", drift=WEAK, state=State.STOPPED)
    assert not may_have_acknowledged_alone(_n1(down))
    assert not remembered(_n1(down), 1).weakened


def test_it_stays_until_enough_standbys_have_flushed_all() -> None:
    """Neither a policy that is right again, nor a standby that is behind, asynchronous or silent ends it."""
    assert remembered(_n1(_weakened(senders=())), 1).weakened
    assert remembered(_n1(_weakened(drift=WEAK)), 1).weakened
    assert remembered(_n1(_weakened(state=State.STOPPED)), 1).weakened
    assert remembered(_n1(_weakened(position=None)), 1).weakened
    senders = _n1(healthy()).instance.senders  # type: ignore[union-attr]
    behind = tuple(replace(each, flushed=Lsn(4999)) for each in senders)
    asynchronous = tuple(replace(each, sync_state="async") for each in senders)
    assert remembered(_n1(_weakened(senders=behind)), 1).weakened
    assert remembered(_n1(_weakened(senders=asynchronous)), 1).weakened
    assert remembered(_n1(_weakened(senders=senders[:1])), 2).weakened
    assert not remembered(_n1(_weakened(senders=senders[:1])), 1).weakened


def test_another_nodes_election_ends_it_and_ones_own_does_not() -> None:
    """Whoever learns of a newer grant to another was counted by that election; a renewal alone has shown nothing."""
    weak = replace(_n1(healthy()).standing, weakened=True)
    grant, signed = grant_of(switched(), "n2", 2)
    assert not granted(weak, grant, signed, own=False).weakened
    own, by_itself = grant_of(healthy(), "n1", 2)
    assert granted(weak, own, by_itself, own=True).weakened
    old = replace(weak, granted=Candidacy(term=2, node="n2"))
    assert granted(old, grant, signed, own=False).weakened


def test_nobody_is_elected_past_a_primary_that_served_weakly() -> None:
    """A count of pledges proves nothing then: that primary's own pledge is needed, and with it the election holds."""
    candidacy = Candidacy(term=2, node="n2")
    scene = pledged(healthy(), "n3", candidacy)
    for weak in (with_standing(scene, "n1", weakened=True), with_instance(scene, "n1", drift=WEAK)):
        view = view_for(request_for(catalogue()["promote"], "n2", {}), weak)
        assert commit_quorum(view, pledges_for(view)).result == "unknown"
        gone = {name: facts for name, facts in weak.items() if name != "n1"}
        view = view_for(request_for(catalogue()["promote"], "n2", {}), gone)
        assert commit_quorum(view, pledges_for(view)).result == "holds"
    told = pledged(with_standing(scene, "n1", weakened=True), "n1", candidacy)
    view = view_for(request_for(catalogue()["promote"], "n2", {}), told)
    assert commit_quorum(view, pledges_for(view)).result == "holds"
