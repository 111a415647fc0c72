"""Whether commits can be acknowledged: never yes where something shows that they cannot; never no where they could."""

import itertools

import pytest
from msgspec.structs import replace

from aerodb.protocol.authority import Branch, Candidacy, Position
from aerodb.protocol.facts import Receiver, State
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.writes import Writes
from aerodb.rules.writes import writes
from tests.unit.rules.scenes import (
    CLUSTER,
    Scene,
    cluster_of,
    demoted,
    healthy,
    pledged,
    switched,
    with_instance,
    with_standing,
)


def _found(scene: Scene) -> Writes:
    return writes(CLUSTER, scene)


def _senders_without(scene: Scene, *lost: str) -> Scene:
    instance = scene["n1"].instance
    assert instance is not None
    return with_instance(scene, "n1", senders=tuple(each for each in instance.senders if each.node not in lost))


def test_a_healthy_cluster_says_how_many_more_losses_it_survives() -> None:
    """Two standbys stream and one is needed: one more may go; the last one may not."""
    assert _found(healthy()).headline == "acknowledged by n1, survives the loss of 1 more node"
    found = _found(_senders_without(healthy(), "n3"))
    assert (found.acknowledged, found.standbys, found.survives) == ("yes", ("n2",), 0)


def test_a_primary_without_standbys_waits() -> None:
    """Nobody streams: the primary runs, and acknowledges nothing."""
    found = _found(_senders_without(healthy(), "n2", "n3"))
    assert (found.acknowledged, found.serves) == ("no", True)
    assert found.headline == "waiting at n1; 0 of 2 standbys stream, 1 is needed"


def test_where_no_standby_is_needed_the_primary_alone_acknowledges() -> None:
    """With k = 0 the grant alone decides, and the answer says what that is worth."""
    cluster = cluster_of(quorum=0)
    found = writes(cluster, _senders_without(healthy(cluster), "n2", "n3"))
    assert (found.acknowledged, found.headline) == ("yes", "acknowledged by n1 alone")
    assert "is lost with it" in found.details[0]


@pytest.mark.parametrize("sync_state", ["async", "potential"])
def test_a_standby_that_does_not_count_is_not_counted(sync_state: str) -> None:
    """Only a synchronous standby's flush is waited for."""
    instance = healthy()["n1"].instance
    assert instance is not None
    senders = tuple(replace(each, sync_state=sync_state) for each in instance.senders)
    assert _found(with_instance(healthy(), "n1", senders=senders)).acknowledged == "no"


def test_a_standby_whose_log_has_parted_proves_nothing() -> None:
    """It streams, and PostgreSQL counts it; what it flushes is not the primary's WAL, so nothing is promised."""
    scene = _senders_without(healthy(), "n3")
    apart = (Branch(timeline=1, begin=Lsn(0), term=1), Branch(timeline=2, begin=Lsn(4000), term=2))
    position = Position(term=2, bound=2, timeline=2, lsn=Lsn(6000))
    found = _found(with_instance(scene, "n2", lineage=apart, position=position))
    assert (found.acknowledged, found.standbys) == ("unknown", ())
    assert found.details == ("n2 streams from n1, and its WAL is no part of n1's history.",)


@pytest.mark.parametrize("change", [{"receiver": None}, {"attached": None}, {"state": State.CRASHED}])
def test_a_standby_that_denies_it_is_not_counted(change: dict[str, object]) -> None:
    """A sender that the primary still shows, of a standby that says that it receives nothing from it."""
    found = _found(with_instance(_senders_without(healthy(), "n3"), "n2", **change))
    assert (found.acknowledged, found.standbys) == ("no", ())


def test_no_primary_names_the_last_one() -> None:
    """Between a demotion and a promotion nobody is the primary; the pledge that is out is said."""
    found = _found(demoted())
    assert (found.acknowledged, found.headline) == ("no", "no primary; last known n1, term 1")
    assert "term 2 to n2" in " ".join(found.details)


def test_the_newest_grant_decides() -> None:
    """A returned old primary that runs, with standbys that it still sees, acknowledges nothing once n2 is granted."""
    old = healthy()["n1"]
    scene = {**switched(), "n1": old}
    found = _found(scene)
    assert (found.node, found.term, found.acknowledged) == ("n2", 2, "no")
    assert found.headline == "waiting at n2; 0 of 2 standbys stream, 1 is needed"


def test_a_silent_primary_acknowledges_nothing_once_too_few_could_flush() -> None:
    """Silent with attached standbys it may live; with both fenced it cannot acknowledge, even if it does."""
    silent = {name: facts for name, facts in healthy().items() if name != "n1"}
    assert _found(silent).acknowledged == "unknown"
    one = pledged(silent, "n2", Candidacy(term=2, node="n2"))
    assert _found(one).acknowledged == "unknown"
    both = pledged(one, "n3", Candidacy(term=2, node="n2"))
    found = _found(both)
    assert found.acknowledged == "no"
    assert found.headline == "no primary; last known n1, term 1, which can acknowledge nothing"
    assert writes(CLUSTER, {"n2": both["n2"]}).acknowledged == "unknown"  # n3 gave no report: it may still stream.


def test_a_standby_that_would_connect_again_is_not_fenced() -> None:
    """Disconnected is not cut off: what a silent primary can acknowledge is unknown until its standbys are fenced."""
    silent = {name: facts for name, facts in healthy().items() if name != "n1"}
    for name in silent:
        silent = with_instance(silent, name, receiver=None)
    found = _found(silent)
    assert found.acknowledged == "unknown"
    assert found.details[1] == "n2, n3 receive nothing now, and connect again by themselves: not fenced."
    down = with_instance(with_instance(silent, "n2", state=State.STOPPED), "n3", state=State.CRASHED)
    assert _found(down).acknowledged == "no"


def test_a_hung_primary_is_unknown() -> None:
    """A process that does not answer may still acknowledge."""
    hung = with_instance(healthy(), "n1", state=State.UNREACHABLE, recovery=None, position=None, senders=())
    assert _found(hung).acknowledged == "unknown"


def test_a_policy_that_is_not_known_promises_nothing() -> None:
    """Where the synchronous policy in force is unknown, what a commit waits for is unknown."""
    assert _found(with_instance(healthy(), "n1", quorum=None)).acknowledged == "unknown"


def test_a_pledger_that_serves_is_no_primary() -> None:
    """PostgreSQL of a node that has stepped down, started by hand, is covered by no grant."""
    instance = healthy()["n1"].instance
    assert instance is not None
    scene = with_instance(demoted(), "n1", state=State.RUNNING, recovery=False, senders=instance.senders)
    found = _found(scene)
    assert (found.acknowledged, found.serves) == ("unknown", False)


def test_who_does_not_report_may_hold_a_newer_grant() -> None:
    """n2 was elected by n3, which streams from it already and has no word of the grant: n1 being down is no no."""
    scene = pledged(with_instance(healthy(), "n1", state=State.CRASHED, senders=()), "n3", Candidacy(term=2, node="n2"))
    receiver = Receiver(status="streaming", upstream="", flushed=None)
    following = with_instance(scene, "n3", attached="n2", receiver=receiver)
    unseen = {name: facts for name, facts in following.items() if name != "n2"}
    found = _found(unseen)
    assert (found.acknowledged, found.node, found.standbys) == ("unknown", "n2", ("n3",))
    assert "n2 is not observed, and perhaps has been granted a term above 1" in found.headline
    assert _found(following).acknowledged == "no"  # It reports, and knows of no grant.
    assert (
        _found({name: facts for name, facts in scene.items() if name != "n2"}).acknowledged == "no"
    )  # Nobody flushes.
    loyal = {name: facts for name, facts in healthy().items() if name != "n2"}
    down = with_instance(loyal, "n1", state=State.CRASHED, senders=())
    assert _found(down).acknowledged == "no"  # A majority has pledged nothing, so n2 was not elected.
    assert (
        _found({"n1": down["n1"]}).acknowledged == "unknown"
    )  # n2 and n3 are a majority, and streamed from one another.


def test_nobody_reports() -> None:
    """Without a report nothing is known."""
    assert _found({}).acknowledged == "unknown"


def test_never_yes_without_enough_who_could_flush() -> None:
    """Whatever is said of each standby, alone or together: yes only where k of them stream and agree that they do."""
    changes: tuple[dict[str, object], ...] = ({}, {"receiver": None}, {"attached": None}, {"state": State.STOPPED})
    for (second, third), lost in itertools.product(
        itertools.product(changes, repeat=2), ((), ("n2",), ("n3",), ("n2", "n3"))
    ):
        scene = with_instance(with_instance(_senders_without(healthy(), *lost), "n2", **second), "n3", **third)
        sound = [name for name, change in (("n2", second), ("n3", third)) if not change and name not in lost]
        assert _found(scene).standbys == tuple(sound)
        assert (_found(scene).acknowledged == "yes") is bool(sound)


def test_the_answer_is_of_the_grant_that_is_known_not_of_the_loudest() -> None:
    """Only one node knows of the newer grant: that is enough."""
    scene = with_standing(healthy(), "n3", granted=Candidacy(term=7, node="n2"))
    found = _found(scene)
    assert (found.node, found.term) == ("n2", 7)
    assert found.acknowledged != "yes"
