"""What PostgreSQL's versions have: nothing is written that a version refuses, and only the table asks for a version."""

import re
from pathlib import Path

import pytest

import aerodb.kernel
from aerodb.kernel.postgres.capabilities import OLDEST, TABLE, Capability, has
from aerodb.kernel.postgres.place import Place
from aerodb.kernel.postgres.settings import main_text, own_options

PLACE = Place(name="n1", home=Path("/n1"), host="127.0.0.1", port=1, quorum=1, data_nodes=("n1", "n2"))
NEWEST = 18


@pytest.mark.parametrize("major", range(OLDEST, NEWEST + 1))
def test_a_version_is_given_exactly_the_settings_that_it_has(major: int) -> None:
    """An unknown setting keeps PostgreSQL from starting, or the agent from logging in; one that is there is used."""
    written = main_text(PLACE, major) + own_options(major, 60).replace("-c ", "\n")
    for capability in Capability:
        assert bool(re.search(rf"^{capability} ?=", written, re.MULTILINE)) is has(major, capability), capability


def test_every_difference_is_told() -> None:
    """Each line says since when, what for, and what goes without it, of a version that is not older than all."""
    assert set(TABLE) == set(Capability)
    for line in TABLE.values():
        assert OLDEST < line.since <= NEWEST
        assert line.used
        assert line.without


def test_only_the_table_compares_versions() -> None:
    """A version is compared nowhere else in the kernel, so what differs can be read in one place."""
    for path in Path(aerodb.kernel.__file__).parent.rglob("*.py"):
        if path.name != "capabilities.py":
            assert not re.search(r"\bmajor\s*[<>=!]=?\s*\d", path.read_text(encoding="utf-8")), path
