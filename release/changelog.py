"""The changelog at a release: what is unreleased becomes the version's."""

from release.refusal import NotReady

UNRELEASED = "## Unreleased\n"


def released(text: str, version: str, day: str) -> str:
    """Return the changelog with everything that stood under Unreleased under `version`, released on `day`.

    Raises:
        NotReady: nothing is unreleased, or the version is there already.
    """
    before, heading, after = text.partition(UNRELEASED)
    entries = after.partition("\n## ")[0].strip()
    if not heading or not entries:
        raise NotReady("CHANGELOG.md has nothing under Unreleased: there is nothing to release")
    if f"\n## {version} " in text:
        raise NotReady(f"CHANGELOG.md has a section {version} already")
    return f"{before}{UNRELEASED}\n## {version} - {day}\n{after}"
