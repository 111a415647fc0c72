"""Which settings are drift: only those that a proof rests on, and only where the value is not as good."""

from pathlib import Path

import pytest

from aerodb.kernel.postgres.place import Place
from aerodb.kernel.postgres.settings import DEFAULTS, WATCHED, differing, expected, standing_text

PLACE = Place(name="n1", home=Path("/h o'm\\e"), host="127.0.0.1", port=1, quorum=1, data_nodes=("n1", "n2"))
WANTED = expected(PLACE, standing_text(PLACE, ("n2", "127.0.0.1", 2)))


def test_what_the_agent_writes_is_no_drift() -> None:
    """The settings as written, whatever stands in their values, are as wanted."""
    assert differing(WANTED, WANTED) == ()
    assert "/h o'm\\\\e" in WANTED["primary_conninfo"].replace("\\'", "'")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("wal_level", "logical"),
        ("synchronous_commit", "remote_apply"),
        ("synchronous_commit", "TRUE"),
        ("fsync", "yes"),
        ("work_mem", "4kB"),
        ("allow_alter_system", "on"),
    ],
)
def test_what_is_as_good_is_no_drift(name: str, value: str) -> None:
    """A stronger value, another spelling, and what no proof rests on are nobody's business."""
    assert differing(WANTED, {name: value}) == ()


@pytest.mark.parametrize("name", WATCHED)
def test_each_watched_setting_can_drift(name: str) -> None:
    """A value that is neither as wanted nor as good is drift, for every setting that is watched."""
    assert differing(WANTED, {name: "off"}) == (name,)


def test_a_line_that_was_taken_out_is_drift() -> None:
    """PostgreSQL's own default is not our policy."""
    assert differing(WANTED, DEFAULTS) == ("synchronous_standby_names", "primary_conninfo")
