"""Two reads become one snapshot: what is the same twice is verified once, and only what really is the same."""

import pytest
from msgspec.structs import replace

from aerodb.control.agents import Agents, Read, Rules
from aerodb.control.errors import SnapshotInconsistent
from aerodb.control.snapshot import Collected, collect, collect_consistent
from aerodb.past.speaking import FIRST, SPOKEN, RulesApart, report_in, rules_told
from aerodb.protocol.facts import Receiver, Report
from aerodb.protocol.keeping import Keeping, Slot
from aerodb.protocol.signed import Signed, sign
from aerodb.rules.explain import peers_of
from tests.unit.rules.scenes import CLUSTER, KEYS, REQUEST, healthy, snapshot_of, with_instance

REPORTS = snapshot_of(healthy()).reports
MOVED = snapshot_of(with_instance(healthy(), "n2", folder="data-0002")).reports
BUSY = snapshot_of(with_instance(healthy(), "n2", load=None)).reports
BEFORE = SPOKEN[-1]
"""The rules of the release before."""


ENDING = Receiver(status="stopping", upstream="192.0.2.1:1", flushed=None)
SLOTS = (Slot(name="a", kind="physical", active=False, lost=False, held_bytes=1),)
USED = tuple(replace(each, active=True, held_bytes=2) for each in SLOTS)


class TwoReads(Agents):
    """Agents that give these reads."""

    def __init__(self, first: dict[str, Signed], second: dict[str, Signed]) -> None:
        """Keep them."""
        self._reads: tuple[Read, Read] = (first, {}), (second, {name: "gone" for name in first if name not in second})

    def read_twice(self, nonce: str, rules: Rules = SPOKEN) -> tuple[Read, Read]:
        """Return them."""
        assert (nonce, rules) == (REQUEST, SPOKEN)
        return self._reads


def collected(first: dict[str, Signed], second: dict[str, Signed]) -> Collected:
    """Return what comes of two reads."""
    return collect(CLUSTER, TwoReads(first, second), REQUEST)


@pytest.mark.parametrize("second", [REPORTS, BUSY])
def test_what_is_handed_on_is_what_the_second_read_says(second: dict[str, Signed]) -> None:
    """Whether it was verified in the first read or in the second: as if each had been verified in the second."""
    found = collected(REPORTS, second)
    assert (found.differ, found.snapshot.reports, found.snapshot.missing) == ((), second, {})
    assert found.everyone == peers_of(CLUSTER, second, REQUEST)
    assert list(found.everyone) == [member.name for member in CLUSTER.members]


def test_a_structural_change_between_the_reads_is_found() -> None:
    """In either direction, and where a node reports only once."""
    rest = {name: report for name, report in REPORTS.items() if name != "n2"}
    for first, second in ((REPORTS, MOVED), (MOVED, REPORTS), (REPORTS, rest), (rest, REPORTS)):
        assert collected(first, second).differ == ("n2",)
        with pytest.raises(SnapshotInconsistent):
            collect_consistent(CLUSTER, TwoReads(first, second), REQUEST)


def test_what_no_rule_reads_makes_no_other_state() -> None:
    """No promotion is refused for a receiver that is about to end as its primary does, or a slot that is taken up.

    That there is no receiver, or another slot, is read by rules, and is another state.
    """
    keeping = Keeping(slots=SLOTS)
    streams = healthy()["n2"].instance
    assert streams is not None
    assert streams.receiver is not None
    one, other, third, fourth = (
        snapshot_of(with_instance(healthy(), "n2", receiver=receiver, keeping=replace(keeping, slots=slots))).reports
        for receiver, slots in ((streams.receiver, SLOTS), (ENDING, USED), (None, SLOTS), (ENDING, ()))
    )
    assert collected(one, other).differ == collected(other, one).differ == ()
    for changed in (third, fourth):
        assert collected(one, changed).differ == ("n2",)


@pytest.mark.parametrize(
    "altered",
    [
        replace(REPORTS["n2"], signature=REPORTS["n3"].signature),
        replace(REPORTS["n2"], signer="n3"),
        replace(REPORTS["n2"], document=MOVED["n2"].document),
        REPORTS["n3"],
    ],
)
def test_what_was_verified_once_vouches_for_no_other_bytes(altered: Signed) -> None:
    """A second read with another text, signer or signature is verified by itself, and refused."""
    for first, second in ((REPORTS, {**REPORTS, "n2": altered}), ({**REPORTS, "n2": altered}, REPORTS)):
        found = collected(first, second)
        assert found.differ == ("n2",)
        assert ("n2" in found.everyone) is (second is REPORTS)
        assert found.snapshot.missing == ({} if second is REPORTS else {"n2": "its report cannot be verified"})
    both = {**REPORTS, "n2": altered}
    assert "n2" not in collected(both, both).everyone


# Two releases ---------------------------------------------------------------------------------------------------------


def lying() -> Signed:
    """Return a report in the newest form that names the first rules: nobody's words."""
    facts = replace(healthy()["n3"], rules=FIRST)
    return sign(Report(cluster=CLUSTER.id, node="n3", nonce=REQUEST, facts=facts), "n3", KEYS["n3"])


class TwoReleases(Agents):
    """Agents of which each speaks some rules; `lies` are reports that are given whatever is asked."""

    def __init__(self, speaking: dict[str, Rules], lies: dict[str, Signed]) -> None:
        """Keep them, and note in which rules was asked."""
        self._speaking, self._lies = speaking, lies
        self.asked: list[Rules] = []

    def _one(self, asked: Rules) -> Read:
        found, missing = dict[str, Signed](), dict[str, str]()
        for name, facts in healthy().items():
            both = [each for each in asked if each in self._speaking[name]]
            rules = both[0] if both else FIRST  # Release 0.1.0 answers whatever it is asked in.
            found[name] = self._lies.get(name) or sign(report_in(rules, CLUSTER.id, REQUEST, facts), name, KEYS[name])
        return found, missing

    def read_twice(self, nonce: str, rules: Rules = SPOKEN) -> tuple[Read, Read]:
        """Answer, twice alike."""
        assert nonce == REQUEST
        self.asked.append(rules)
        return self._one(rules), self._one(rules)


def of(n1: Rules, n2: Rules, n3: Rules, lies: dict[str, Signed] | None = None) -> TwoReleases:
    """Return nodes that speak these rules."""
    return TwoReleases({"n1": n1, "n2": n2, "n3": n3}, lies or {})


def test_one_node_of_the_release_before_is_planned_with_in_its_rules() -> None:
    """All are read again in what all speak, and no report of other words is in the snapshot."""
    agents = of(SPOKEN, (BEFORE,), SPOKEN)
    found = collect(CLUSTER, agents, REQUEST)
    assert (found.rules, found.snapshot.missing, agents.asked) == (BEFORE, {}, [SPOKEN, (BEFORE,)])
    assert {rules_told(each) for each in found.snapshot.reports.values()} == {BEFORE}
    assert found.speaking == {"n1": SPOKEN[0], "n2": BEFORE, "n3": SPOKEN[0]}


def test_nodes_of_one_release_are_read_as_ever() -> None:
    """Once, in the newest that they speak, or in the one before."""
    for speaking in (SPOKEN, (BEFORE,)):
        agents = of(speaking, speaking, speaking)
        assert (collect(CLUSTER, agents, REQUEST).rules, agents.asked) == (speaking[0], [SPOKEN])


def test_who_does_not_speak_the_rules_that_are_asked_counts_as_silent() -> None:
    """By name and with both, so that what came with the newest rules is planned on those nodes that have it."""
    found = collect(CLUSTER, of(SPOKEN, (FIRST,), SPOKEN), REQUEST, SPOKEN[:1])
    assert (found.rules, set(found.snapshot.reports)) == (SPOKEN[0], {"n1", "n3"})
    assert found.snapshot.missing["n2"].startswith(RulesApart.code)
    assert FIRST in found.snapshot.missing["n2"]
    assert SPOKEN[0] in found.snapshot.missing["n2"]


def test_one_node_that_mixes_its_words_stops_no_plan_of_the_others() -> None:
    """Nor does it draw them down to earlier rules: it is missing, and the rest goes on."""
    agents = of(SPOKEN, SPOKEN, SPOKEN, {"n3": lying()})
    found = collect(CLUSTER, agents, REQUEST)
    assert (found.rules, agents.asked, set(found.snapshot.reports)) == (SPOKEN[0], [SPOKEN], {"n1", "n2"})
    assert "n3" in found.snapshot.missing
