"""Two reads become one snapshot: what is the same twice is verified once, and only what really is the same."""

import pytest
from msgspec.structs import replace

from aerodb.control.agents import Agents, Read
from aerodb.control.errors import SnapshotInconsistent
from aerodb.control.snapshot import Collected, collect, collect_consistent
from aerodb.protocol.signed import Signed
from aerodb.rules.explain import peers_of
from tests.unit.rules.scenes import CLUSTER, REQUEST, healthy, snapshot_of, with_instance

REPORTS = snapshot_of(healthy()).reports
MOVED = snapshot_of(with_instance(healthy(), "n2", folder="data-0002")).reports
BUSY = snapshot_of(with_instance(healthy(), "n2", load=None)).reports


class TwoReads(Agents):
    """Agents that give these reads."""

    def __init__(self, first: dict[str, Signed], second: dict[str, Signed]) -> None:
        """Keep them."""
        self._reads: tuple[Read, Read] = (first, {}), (second, {name: "gone" for name in first if name not in second})

    def read_twice(self, nonce: str) -> tuple[Read, Read]:
        """Return them."""
        assert nonce == REQUEST
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
