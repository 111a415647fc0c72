"""Who types: on each host whoever runs it, and at the control plane's machine the operator. All of it is the package's.

What is shown is remembered, so that it can be searched for what must never be shown.
"""

import json
import re
from pathlib import Path
from typing import Any

from aerodb.local.person import Person, Said
from tests.hosts.bed import Host

PROGRAM = "/usr/bin/aerodb"
PROFILE = Path("/root/shop/operator")
PASSPHRASE = "nobody else types this"
"""What the authority's key is encrypted by."""
WORDS = r"(?:[a-z]+ ){7}[a-z]+"
"""Eight words, as people compare them."""


def plain(text: str) -> str:
    """Return a text in one line, as it would be read aloud."""
    return " ".join(text.split())


class Typist:
    """Somebody at a terminal of a host."""

    def __init__(self, host: Host, shown: list[str]) -> None:
        """Sit down; all that is shown is added to `shown`."""
        self._host, self._shown = host, shown
        program = host.into("env", "-C", "/root", PROGRAM)
        self._person = Person(
            PROFILE, lambda _: None, colour=False, size=(50, 120), program=program, passphrase=PASSPHRASE
        )

    def types(self, *words: str, code: int = 0) -> str:
        """Type a command that ends with a code; return what is shown."""
        said = self._types(*words)
        assert said.code == code, f"{self._host.name}: aerodb {' '.join(words)} ended with {said.code}:\n{said.text}"
        return said.text

    def _types(self, *words: str) -> Said:
        said = self._person.types(*words)
        self._shown.append(said.text)
        return said

    def says(self, *words: str) -> tuple[int, str]:
        """Type a command; return the code that it ends with, and what is shown in one line."""
        said = self._types(*words)
        return said.code, plain(said.text)

    def document(self, *words: str, code: int = 0) -> Any:
        """Type a command for a program to read; return what it says."""
        return json.loads(self.types(*words, "--json", code=code))


def words_after(text: str, line: str) -> str:
    """Return the eight words beneath a line of what was shown."""
    found = re.search(rf"^{line}.*\n +({WORDS})$", text, re.MULTILINE)
    assert found is not None, f"no words beneath {line!r} in:\n{text}"
    return found[1]
