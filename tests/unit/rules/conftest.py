"""What the tests of the rules share."""

from pathlib import Path

import pytest

from tests.builds import Build


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Return another build, as yet the same as this one."""
    return Build(tmp_path)
