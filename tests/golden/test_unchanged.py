"""The golden past is never changed, only added to; by the release command alone."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from release import past
from release.changelog import released
from release.refusal import NotReady


def test_nothing_in_it_was_changed() -> None:
    """Every file of every released version is what it was on the day of its release."""
    past.check_unchanged()


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    """Return a golden past of one version, made here."""
    made = tmp_path / "made"
    made.mkdir()
    (made / "cluster.json").write_bytes(b"{}")
    folder = tmp_path / "golden"
    folder.mkdir()
    past.add("0.1.0", made, folder)
    return folder


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "cluster.json").write_bytes(b"{ }"),
        lambda folder: (folder / "more.json").write_bytes(b"{}"),
        lambda folder: (folder / "cluster.json").unlink(),
        shutil.rmtree,
    ],
    ids=["altered", "added", "gone", "all gone"],
)
def test_every_change_is_found(golden: Path, change: Callable[[Path], object]) -> None:
    """A file that is altered, added or gone fails the build, and nothing can be released on top of it."""
    change(golden / "0.1.0")
    with pytest.raises(past.PastChanged):
        past.check_unchanged(golden)
    with pytest.raises(past.PastChanged):
        past.add("0.2.0", golden, golden)


def test_a_released_version_is_never_made_again(golden: Path, tmp_path: Path) -> None:
    """Neither over what is there nor where its folder alone is gone; a later version is added beside it."""
    with pytest.raises(past.PastChanged, match="never changed"):
        past.add("0.1.0", tmp_path / "made", golden)
    before = past.listed(golden)
    past.add("0.2.0", tmp_path / "made", golden)
    assert past.versions(golden) == ("0.1.0", "0.2.0")
    assert before.items() <= past.listed(golden).items()


def test_versions_are_in_the_order_of_their_numbers(golden: Path) -> None:
    """0.10 comes after 0.9."""
    for name in ("0.10.0", "0.9.0"):
        (golden / name).mkdir()
    assert past.versions(golden) == ("0.1.0", "0.9.0", "0.10.0")


CHANGELOG = "# Changelog\n\n## Unreleased\n\n- One thing.\n\n## 0.1.0 - 2026-01-01\n\n- Another.\n"


def test_the_changelogs_section_is_closed_once() -> None:
    """What was unreleased stands under the version; a version is released once, and not empty."""
    text = released(CHANGELOG, "0.2.0", "2026-02-01")
    order = ("Unreleased", "## 0.2.0 - 2026-02-01", "One thing", "0.1.0 - ")
    assert [text.index(each) for each in order] == sorted(text.index(each) for each in order)
    for refused in (text, CHANGELOG.replace("- One thing.\n", "")):
        with pytest.raises(NotReady):
            released(refused, "0.3.0", "2026-03-01")
    with pytest.raises(NotReady, match="already"):
        released(CHANGELOG, "0.1.0", "2026-02-01")
