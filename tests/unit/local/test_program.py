"""What this program starts is itself, and no less isolated."""

import json
import subprocess
import sys

import pytest

ASKED = "import json; from aerodb.local.program import itself; print(json.dumps(itself()))"


@pytest.mark.parametrize("isolated", [["-I"], []])
def test_what_is_started_is_as_isolated_as_this(isolated: list[str]) -> None:
    """By the same interpreter: what runs as root heeds no variable, and no folder of whoever called it."""
    said = subprocess.run([sys.executable, *isolated, "-c", ASKED], capture_output=True, text=True, check=True).stdout
    assert json.loads(said) == [sys.executable, *isolated, "-m", "aerodb"]
