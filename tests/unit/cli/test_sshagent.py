"""The ssh-agent's client, against agents that are absent, slow, broken or hostile."""

import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aerodb.cli import sshagent
from aerodb.protocol import sshsig, sshwire
from aerodb.protocol.sshkey import KeyWeak, SshKey
from tests.unit.protocol.signers import blob, file_key, ssh_key

DATA = b"a plan"
Hostile = Callable[[bytes], None]


@pytest.fixture
def answer_with(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hostile]:
    """Return a function that makes the next agent send the given bytes, whatever it is asked, and hang up."""
    with tempfile.TemporaryDirectory(prefix="agent") as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/socket")
        listener.listen()
        monkeypatch.setenv("SSH_AUTH_SOCK", f"{folder}/socket")
        threads: list[threading.Thread] = []

        def start(answer: bytes) -> None:
            threads.append(threading.Thread(target=_serve, args=(listener, answer)))
            threads[-1].start()

        yield start
        for thread in threads:
            thread.join()


def _serve(listener: socket.socket, answer: bytes) -> None:
    connection, _ = listener.accept()
    with connection, connection.makefile("rb") as stream:
        stream.read(int.from_bytes(stream.read(4), "big"))
        connection.sendall(answer)


def _message(kind: int, body: bytes) -> bytes:
    return sshwire.string(bytes([kind]) + body)


@pytest.mark.parametrize("path", [None, "", "/nonexistent/socket", "/" + "x" * 300])
def test_no_agent_is_said_so(path: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a socket, or with one that nobody serves, the error names the agent."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    if path is not None:
        monkeypatch.setenv("SSH_AUTH_SOCK", path)
    with pytest.raises(sshagent.AgentUnavailable):
        sshagent.identities()


def test_a_silent_agent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent that takes the question and never answers is given up after the timeout."""
    monkeypatch.setattr(sshagent, "TIMEOUT_SECONDS", 0.05)
    with tempfile.TemporaryDirectory(prefix="agent") as folder, socket.socket(socket.AF_UNIX) as listener:
        path = Path(folder) / "socket"
        listener.bind(str(path))
        listener.listen()
        monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
        with pytest.raises(sshagent.AgentUnavailable, match="no answer"):
            sshagent.identities()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x00\x00",
        sshwire.uint32(5) + b"\x0c\x00",
        _message(6, b""),
        _message(14, blob(b"")),
        _message(12, b""),
        _message(12, sshwire.uint32(1)),
        _message(12, b"\xff\xff\xff\xff"),
        _message(12, sshwire.uint32(1) + blob(b"", b"comment")),
        _message(12, sshwire.uint32(1) + blob(blob(b"\xff"), b"comment")),
        _message(12, sshwire.uint32(0) + b"\x00"),
    ],
)
def test_a_malformed_list_is_refused(answer: bytes, answer_with: Hostile) -> None:
    """Nothing that is not exactly a list of keys is taken for one, and no announced length is trusted."""
    answer_with(answer)
    with pytest.raises(sshagent.AgentMalformed):
        sshagent.identities()


@pytest.mark.parametrize("length_bytes", [0, sshagent.MESSAGE_BYTES_MAX + 1, 2**32 - 1])
def test_an_empty_or_huge_message_is_refused_by_its_length(length_bytes: int, answer_with: Hostile) -> None:
    """A message that is announced as empty or too long is refused before any of it is read."""
    answer_with(sshwire.uint32(length_bytes))
    with pytest.raises(sshagent.AgentMalformed, match=f"announces a message of {length_bytes} bytes"):
        sshagent.identities()


def test_an_agent_that_will_not_list_has_refused(answer_with: Hostile) -> None:
    """The agent's plain no is not taken for an empty list."""
    answer_with(_message(5, b""))
    with pytest.raises(sshagent.AgentRefused):
        sshagent.identities()


def test_a_comment_cannot_play_tricks_with_the_terminal(answer_with: Hostile) -> None:
    """Control and bidirectional characters in a comment are shown as question marks."""
    comment = b"a\x1b[2J\xe2\x80\xae\xffb\n"
    answer_with(_message(12, sshwire.uint32(1) + blob(ssh_key("ed25519").blob, comment)))
    assert sshagent.identities()[0].comment == "a?[2J?\ufffdb?"


@pytest.mark.parametrize(
    "answer",
    [
        _message(14, b""),
        _message(14, blob(b"") + b"\x00"),
        _message(12, sshwire.uint32(0)),
        _message(14, b"\xff\xff\xff\xff"),
    ],
)
def test_a_malformed_signature_message_is_refused(answer: bytes, answer_with: Hostile) -> None:
    """Nothing that is not exactly a signature's message is taken for one."""
    answer_with(answer)
    with pytest.raises(sshagent.AgentMalformed):
        sshagent.sign_with_agent(ssh_key("ed25519"), DATA)


@pytest.mark.parametrize("raw", [b"", blob(b"ssh-ed25519", b"\x00" * 64), blob(b"ssh-rsa", b"\x00" * 384)])
def test_a_signature_that_is_none_is_not_handed_on(raw: bytes, answer_with: Hostile) -> None:
    """What the agent returns is verified before anybody sees it."""
    answer_with(_message(14, blob(raw)))
    with pytest.raises(sshsig.SshsigInvalid):
        sshagent.sign_with_agent(ssh_key("ed25519"), DATA)


def test_a_signature_over_other_data_is_not_handed_on(answer_with: Hostile) -> None:
    """A hostile agent cannot have a signature over another plan passed on as one over this."""
    other = sshsig.sign_with_key(file_key("ed25519"), b"another plan")
    signature_blob = sshsig._read(other).signature_blob
    answer_with(_message(14, blob(signature_blob)))
    with pytest.raises(sshsig.SshsigInvalid, match="not over these bytes"):
        sshagent.sign_with_agent(ssh_key("ed25519"), DATA)


def test_a_weak_key_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that nobody would accept is refused before the agent is asked."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(KeyWeak):
        sshagent.sign_with_agent(SshKey("ssh-dss", blob(b"ssh-dss")), DATA)
