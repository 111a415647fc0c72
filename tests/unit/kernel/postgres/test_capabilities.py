"""What PostgreSQL's versions have: nothing is written that a version refuses, and only the table asks for a version."""

import re
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

import aerodb.kernel
from aerodb.kernel.postgres.capabilities import MAJORS, NEWEST, OLDEST, TABLE, Capability, has, refuse_major
from aerodb.kernel.postgres.errors import PostgresUnsupported
from aerodb.kernel.postgres.place import Place
from aerodb.kernel.postgres.settings import main_text, own_options

PLACE = Place(name="n1", home=Path("/n1"), host="127.0.0.1", port=1, quorum=1, data_nodes=("n1", "n2"))
WRITTEN = {Capability.ALLOW_ALTER_SYSTEM, Capability.EVENT_TRIGGERS, Capability.TRANSACTION_TIMEOUT}


@pytest.mark.parametrize("major", MAJORS)
def test_a_version_is_given_exactly_the_settings_that_it_has(major: int) -> None:
    """An unknown setting keeps PostgreSQL from starting, or the agent from logging in; one that is there is used."""
    written = main_text(PLACE, major) + own_options(major, 60).replace("-c ", "\n")
    for capability in Capability:
        given = bool(re.search(rf"^{re.escape(capability)} ?=", written, re.MULTILINE))
        assert given is (capability in WRITTEN and has(major, capability)), capability


def test_every_difference_is_told() -> None:
    """Each line says since when, what for, what goes without it, and where that is written."""
    assert set(TABLE) == set(Capability)
    for line in TABLE.values():
        assert OLDEST <= line.since <= NEWEST
        assert line.used
        assert line.without
        assert re.fullmatch(r"[a-z-]+", line.manual)


def test_the_versions_are_those_from_the_oldest_to_the_newest() -> None:
    """There is no gap, so a refusal can say "from, to"."""
    assert list(MAJORS) == list(range(OLDEST, NEWEST + 1))
    for major in MAJORS:
        refuse_major(major, "it")
    for major in (OLDEST - 1, NEWEST + 1):
        with pytest.raises(PostgresUnsupported, match=f"it is not run: AeroDB runs PostgreSQL {OLDEST} to {NEWEST}"):
            refuse_major(major, "it")


def test_the_table_cannot_be_changed() -> None:
    """Neither its lines, nor what a line says."""
    with pytest.raises(TypeError):
        MAJORS[19] = MAJORS[18]  # type: ignore[index]
    with pytest.raises(FrozenInstanceError):
        MAJORS[18].page_magic = 0  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        TABLE[Capability.EVENT_TRIGGERS].since = 15  # type: ignore[misc]


def test_only_the_table_compares_versions() -> None:
    """A version is compared nowhere else in the kernel, so what differs can be read in one place."""
    for path in Path(aerodb.kernel.__file__).parent.rglob("*.py"):
        if path.name != "capabilities.py":
            assert not re.search(r"\bmajor\s*[<>=!]=?\s*\d", path.read_text(encoding="utf-8")), path
