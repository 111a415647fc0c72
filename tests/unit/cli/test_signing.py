"""Signing and asking: the enrolled key alone signs, and only what is typed after a question answers it."""

import os
import pty
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from aerodb.cli.failures import KeyUnusable
from aerodb.cli.profile import read_profile
from aerodb.cli.signing import sign
from aerodb.cli.terminal import Terminal
from aerodb.protocol.sshkey import of_public
from aerodb.protocol.sshsig import verify
from tests.unit.cli.stage import Stage, stage_in


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Yield a cluster with alice's profile."""
    with stage_in(tmp_path) as made:
        yield made


def test_the_key_in_the_profile_signs_the_exact_bytes(stage: Stage) -> None:
    """The signature is the enrolled key's, over the plan's bytes and nothing else."""
    armor = sign(read_profile(stage.profile), Terminal(), b"plan", by_agent=False)
    verify(armor, b"plan", of_public(stage.own.public_key()))


def test_an_encrypted_key_is_left_to_the_agent(stage: Stage, tmp_path: Path) -> None:
    """A key with a passphrase is never half-opened here: its owner is told to use the ssh-agent."""
    key = tmp_path / "encrypted"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "correct horse", "-f", key], check=True)
    key.replace(stage.profile / "id_ed25519")
    with pytest.raises(KeyUnusable, match="ssh-add"):
        sign(read_profile(stage.profile), Terminal(), b"plan", by_agent=False)


@pytest.mark.parametrize("content", [b"", b"not a key", b"\xff\xfe"])
def test_a_file_that_is_no_key_signs_nothing(stage: Stage, content: bytes) -> None:
    """A file that is no private key is said to be unusable."""
    (stage.profile / "id_ed25519").write_bytes(content)
    with pytest.raises(KeyUnusable):
        sign(read_profile(stage.profile), Terminal(), b"plan", by_agent=False)


def test_what_was_typed_before_the_question_does_not_answer_it() -> None:
    """Lines pasted ahead confirm nothing: only what is typed after the question is shown counts."""
    leader, follower = pty.openpty()
    with open(follower, encoding="utf-8", closefd=False) as stdin, open(follower, "w", encoding="utf-8") as stdout:  # noqa: PTH123
        os.write(leader, b"n3\n")

        def person() -> None:
            seen = b""
            while b"name? " not in seen:
                seen += os.read(leader, 1024)
            os.write(leader, b"later\n")

        typing = threading.Thread(target=person)
        typing.start()
        answer = Terminal(stdin, stdout, stdout).ask("name? ")
        typing.join()
    os.close(leader)
    assert answer == "later"
