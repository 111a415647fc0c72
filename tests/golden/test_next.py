"""The release after this one: it replays what every released version decided, by those versions' own rules."""

import json
from pathlib import Path

import pytest

from tests.builds import Build, moved
from tests.golden.conftest import Kept


@pytest.fixture(scope="module")
def next_release(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Return a build of the next release: the rules of now are frozen, if they are not yet, and the version moved."""
    return Build(tmp_path_factory.mktemp("next"), released=True).frozen("the one before").mended(moved(1))


def verified(build: Build, path: Path, kept: Kept) -> tuple[int, dict[str, int], list[object]]:
    """Return what a build's `aerodb audit verify` says: exit code, what held, and what did not or is unchecked."""
    ended = build.run("-m", "aerodb", "audit", "verify", path, "--cluster", kept.folder / "cluster.json", "--json")
    said = json.loads(ended.stdout)
    return ended.returncode, said["held"], [*said["failed"], *said["unchecked"]]


def test_every_released_log_is_replayed(kept: Kept, next_release: Build) -> None:
    """With every plan in it made again: also those under later versions of the configuration, and by two people."""
    code, held, doubts = verified(next_release, kept.folder / "log.jsonl", kept)
    assert (code, doubts) == (0, [])
    assert held["plans"] > 10


def test_every_released_evidence_file_is_replayed(kept: Kept, next_release: Build) -> None:
    """Each with its plan made again."""
    for path in sorted((kept.folder / "evidence").iterdir()):
        code, held, doubts = verified(next_release, path, kept)
        assert (path.name, code, doubts, held["plans"]) == (path.name, 0, [], 1)
