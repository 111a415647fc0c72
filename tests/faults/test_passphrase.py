"""The passphrase of the authority's key as typed, at a real terminal: it is shown nowhere, and stands in nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aerodb.local.person import Person, Said
from tests.faults.alone import folder_for_postgres
from tests.unit.local.joining import PASSPHRASE, joined, reachable, tree

SECOND = "sixteen or so more"
HEAD = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"


class Typist:
    """Somebody with a passphrase, whose commands' arguments and environment are looked at while they run."""

    def __init__(self, root: Path) -> None:
        """Nobody has typed anything."""
        self._root = root
        self.shown, self.public = "", b""

    def _look(self, text: str) -> None:
        self.shown += text
        for task in Path("/proc/self/task").iterdir():
            for child in (task / "children").read_text().split():
                for file in ("cmdline", "environ"):
                    self.public += Path("/proc", child, file).read_bytes()

    def types(self, passphrase: str, *words: str) -> Said:
        """Run a command, and type a passphrase wherever one is asked for."""
        return Person(self._root, self._look, colour=False, passphrase=passphrase).types(*words)


@pytest.fixture
def typist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Typist:
    """Return somebody in a folder where a host has asked to join."""
    joined(reachable(tmp_path), "n1")
    monkeypatch.chdir(tmp_path)
    return Typist(tmp_path)


ADMIT = ("admit", "carried/n1.join", "--name", "shop", "--control", "127.0.0.1:9")
RENEW = ("certificate", "renew", "operator", "--folder", "shop")
PROTECT = ("certificate", "protect-authority", "--folder", "shop")


def test_a_passphrase_is_typed_and_is_nowhere(typist: Typist, tmp_path: Path) -> None:
    """On no screen, in no file, argument or environment; the key opens by it, and later by the next one alone."""
    assert typist.types(PASSPHRASE, *ADMIT).code == 0
    key = tmp_path / "shop" / "authority" / "ca.key"
    assert key.read_bytes().startswith(HEAD)
    said = typist.types(PASSPHRASE, *RENEW)
    assert (said.code, "is good until" in said.text) == (0, True)
    before = tree(tmp_path)
    wrong = typist.types(SECOND, *RENEW)
    assert (wrong.code, "input.passphrase-wrong" in wrong.text, tree(tmp_path) == before) == (2, True, True)
    assert "Traceback" not in wrong.text
    assert typist.shown.count("Passphrase of the authority's key: ") == 2
    assert b"admit" in typist.public
    assert PASSPHRASE not in typist.shown
    assert SECOND not in typist.shown
    for secret in (PASSPHRASE.encode(), SECOND.encode()):
        assert secret not in typist.public
        assert not [name for name, data in tree(tmp_path).items() if secret in data]


def test_one_that_is_too_short_is_asked_for_again_and_makes_nothing(typist: Typist, tmp_path: Path) -> None:
    """Three times at most; the file is as it was."""
    assert typist.types(PASSPHRASE, *ADMIT).code == 0
    before = tree(tmp_path)
    said = typist.types("short", *ADMIT[:3], "other", *ADMIT[4:])
    assert (said.code, said.text.count("New passphrase"), "input.passphrase-refused" in said.text) == (2, 3, True)
    assert tree(tmp_path) == before


def test_a_new_clusters_key_is_encrypted_where_a_person_makes_it(typist: Typist, ports_from: int) -> None:
    """By `init` at a terminal; from a pipe it is not, and the last line says so, with what to type."""
    with folder_for_postgres() as folder:
        asked = ("--nodes", "2", "--ports-from", str(ports_from))
        said = typist.types(PASSPHRASE, "init", "--folder", str(folder / "typed"), *asked)
        assert (said.code, "not encrypted" in said.text) == (0, False), said.text
        assert (folder / "typed" / "authority" / "ca.key").read_bytes().startswith(HEAD)
        piped = subprocess.run(
            [sys.executable, "-m", "aerodb", "init", "--folder", str(folder / "piped"), *asked],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True,
        )  # fmt: skip
        last = piped.stdout.splitlines()[-1]
        assert "not encrypted" in last
        typed = last.partition(": aerodb ")[2].split()
        protected = typist.types(PASSPHRASE, *typed)
        assert (protected.code, "is encrypted now" in protected.text) == (0, True)
        assert (folder / "piped" / "authority" / "ca.key").read_bytes().startswith(HEAD)


@pytest.mark.parametrize("words", [RENEW, PROTECT])
def test_who_is_no_person_is_asked_nothing(typist: Typist, tmp_path: Path, words: tuple[str, ...]) -> None:
    """From a pipe no passphrase is taken, wherever it stands."""
    assert typist.types(PASSPHRASE, *ADMIT).code == 0
    before = tree(tmp_path)
    told = subprocess.run(
        [sys.executable, "-m", "aerodb", *words],
        input=f"{PASSPHRASE}\n" * 3, capture_output=True, text=True, check=False,
        env={**os.environ, "AERODB_PASSPHRASE": PASSPHRASE, "PASSPHRASE": PASSPHRASE},
    )  # fmt: skip
    assert (told.returncode, "input.terminal-missing" in told.stderr) == (5, True)
    assert tree(tmp_path) == before
