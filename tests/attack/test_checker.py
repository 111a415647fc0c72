"""The checker can fail: each property is broken by a history that breaks it, and by no other."""

import pytest

from tests.attack.checker import check
from tests.attack.doctored import EXCUSED, FAILOVER, FAULTS
from tests.attack.evidence import happened_in

LOG = """\
backend> backend> 2026-11-26 01:00:00.000 UTC [1] LOG:  starting PostgreSQL 18.1
2026-11-26 01:00:01.500 UTC [1] LOG:  database system is ready to accept read-only connections
2026-11-26 01:00:02.000 UTC [2] LOG:  selected new timeline ID: 2
2026-11-26 01:00:03.000 UTC [1] LOG:  received fast shutdown request
2026-11-26 01:00:03.250 UTC [3] LOG:  database system is shut down
2026-11-26 01:00:04.000 UTC [1] LOG:  received immediate shutdown request
2026-11-26 01:00:04.250 UTC [1] LOG:  database system is shut down
"""


def test_a_quiet_failover_breaks_nothing() -> None:
    """The history that all others are made from is as it should be."""
    assert check(FAILOVER).findings == ()


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found(name: str) -> None:
    """A history with one fault breaks the property that it is about."""
    wanted, doctor = FAULTS[name]
    findings = check(doctor(FAILOVER)).findings
    assert wanted in {each.property for each in findings}, findings


@pytest.mark.parametrize("name", EXCUSED)
def test_what_a_hand_answers_for_is_no_finding(name: str) -> None:
    """What no product could survive is excused, and only that."""
    checked = check(EXCUSED[name](FAILOVER))
    assert checked.findings == (), checked.findings


def test_what_is_excused_is_counted_by_its_reason() -> None:
    """A round is never excused as a whole: each row has its reason, which is named."""
    name = "a hand weakened the running primary"
    assert check(EXCUSED[name](FAILOVER)).excused == {"weaken running on n1: a hand's": 2}


def test_what_postgresql_logs_is_read() -> None:
    """A clean shutdown, a new timeline and a start are told apart from what looks like them, since a given time."""
    found = [(each.kind, each.detail) for each in happened_in(LOG, "n1", 0)]
    assert found == [("ready", "read-only"), ("timeline", "2"), ("shutdown", "fast")]
    assert [each.kind for each in happened_in(LOG, "n1", 1795654802.5)] == ["shutdown"]
