"""A bounded share of the adversary, with seeds that are fixed; `make attack` plays on for as long as it is told."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attack.arena import Arena
from tests.attack.rounds import play
from tests.attack.script import sequences_of
from tests.faults.conftest import PORTS_A_WORKER, PORTS_FROM, _folder_above

SEEDS = (5, 1)
SEQUENCES = (5,)


@pytest.fixture(scope="module")
def arena(worker_id: str) -> Iterator[Arena]:
    """Return an arena beside the ports of this worker's other clusters."""
    folder = Path(tempfile.mkdtemp(prefix="aerodb-attack-", dir=_folder_above()))
    worker = int(worker_id.removeprefix("gw")) if worker_id.startswith("gw") else 0
    made = Arena(folder, PORTS_FROM + PORTS_A_WORKER * worker + 500)
    yield made
    made.end()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.faults
@pytest.mark.parametrize("seed", SEEDS)
def test_a_round_finds_nothing(arena: Arena, seed: int) -> None:
    """Under kills, freezes, hands and hostile couriers every promise is kept.

    That a way out is walked is held by `make attack` alone: whoever walks it is patient for so many seconds, and on a
    machine that does much else a node takes longer to come up.
    """
    played = play(arena, seed, Path("build/attack"))
    assert [each for each in played.checked.findings if each.property != "way out"] == [], played.folder
    assert played.acknowledged > 0


@pytest.mark.faults
@pytest.mark.parametrize("seed", SEQUENCES)
def test_a_round_of_sequences_finds_nothing(arena: Arena, seed: int) -> None:
    """Whatever hostile couriers do with what is held, withdrawn and run in its turn, every promise is kept."""
    played = play(arena, seed, Path("build/attack/sequences"), sequences_of)
    assert [each for each in played.checked.findings if each.property != "way out"] == [], played.folder
    assert played.acknowledged > 0
