"""A client of the operator's ssh-agent: which keys it holds, and a signature by one of them.

- One connection a question; a message is bounded before it is read, and read to its end.
- What the agent says is not believed: a signature is verified here before it is handed on.
- A security key waits for a touch, so the agent may take as long as a person does.

Source: draft-miller-ssh-agent sections 3 and 4 (messages, numbers, flags).
"""

import os
import socket

from aerodb.errors import AeroError
from aerodb.protocol import sshkey, sshsig, sshwire
from aerodb.protocol.sshkey import SshKey

TIMEOUT_SECONDS = 60.0
MESSAGE_BYTES_MAX = 256 * 1024

_FAILURE = 5
_REQUEST_IDENTITIES = 11
_IDENTITIES_ANSWER = 12
_SIGN_REQUEST = 13
_SIGN_RESPONSE = 14
_FLAG_RSA_SHA2_512 = 4


class AgentUnavailable(AeroError):
    """No ssh-agent can be reached; nothing was signed."""

    code = "transport.ssh-agent-unavailable"
    status = 503
    title = "No ssh-agent can be reached"


class AgentRefused(AeroError):
    """The ssh-agent said no: it does not hold the key, is locked, or its user declined."""

    code = "transport.ssh-agent-refused"
    status = 403
    title = "The ssh-agent refused"


class AgentMalformed(AeroError):
    """The ssh-agent answered something that is not of the protocol."""

    code = "transport.ssh-agent-malformed"
    status = 502
    title = "The ssh-agent's answer is malformed"


def identities() -> list[SshKey]:
    """Return the keys that the agent holds, in its order; they are not judged.

    Raises:
        AgentUnavailable: SSH_AUTH_SOCK is not set, or nobody answers there in time.
        AgentRefused: the agent will not say.
        AgentMalformed: the answer is not of the protocol.
    """
    try:
        reader = _ask(bytes([_REQUEST_IDENTITIES]), _IDENTITIES_ANSWER)
        keys = [_identity(reader) for _ in range(reader.uint32())]
        reader.end()
    except (sshwire.WireMalformed, sshkey.KeyMalformed) as error:
        raise AgentMalformed(f"the list of keys is malformed: {error.message}") from error
    return keys


def _identity(reader: sshwire.WireReader) -> SshKey:
    blob, comment = reader.string(), reader.string().decode(errors="replace")
    shown = "".join(character if character.isprintable() else "?" for character in comment)
    return SshKey(algorithm=sshkey.algorithm_of(blob), blob=blob, comment=shown.strip(" "))


def sign_with_agent(key: SshKey, data: bytes) -> str:
    """Return the agent's armored signature with `key` over `data`, verified.

    Raises:
        KeyWeak: nobody would accept a signature of that key; the agent is not asked.
        AgentUnavailable: SSH_AUTH_SOCK is not set, or nobody answers there in time.
        AgentRefused: the agent does not hold the key, or did not sign.
        AgentMalformed: the answer is not of the protocol.
        SshsigInvalid: what the agent returned is not a valid signature.
    """
    sshkey.refuse_weak(key)
    flags = _FLAG_RSA_SHA2_512 if key.algorithm == sshkey.RSA else 0
    body = (
        sshwire.string(key.blob) + sshwire.string(sshsig.to_be_signed(data, sshsig.NAMESPACE)) + sshwire.uint32(flags)
    )
    try:
        reader = _ask(bytes([_SIGN_REQUEST]) + body, _SIGN_RESPONSE)
        signature_blob = reader.string()
        reader.end()
    except sshwire.WireMalformed as error:
        raise AgentMalformed(f"the signature's message is malformed: {error.message}") from error
    armor = sshsig.armored(key.blob, signature_blob)
    sshsig.verify(armor, data, key)
    return armor


def _ask(message: bytes, expected: int) -> sshwire.WireReader:
    """Return what follows the type of the agent's answer, which must be `expected`."""
    reader = sshwire.WireReader(_exchange(message))
    kind = reader.byte()
    if kind == _FAILURE:
        raise AgentRefused("the ssh-agent refused: it may be locked, or not hold the key, or its user declined")
    if kind != expected:
        raise AgentMalformed(f"the ssh-agent answered with a message of type {kind}, not {expected}")
    return reader


def _exchange(message: bytes) -> bytes:
    path = os.environ.get("SSH_AUTH_SOCK")
    if not path:
        raise AgentUnavailable("SSH_AUTH_SOCK is not set: no ssh-agent is running for this session")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(TIMEOUT_SECONDS)
            connection.connect(path)
            connection.sendall(sshwire.string(message))
            return _receive(connection)
    except TimeoutError as error:
        raise AgentUnavailable(f"the ssh-agent gave no answer in {TIMEOUT_SECONDS:.0f} seconds") from error
    except (OSError, ValueError) as error:  # A path that is too long or holds a zero byte is a ValueError or OSError.
        raise AgentUnavailable(f"the ssh-agent at {path!r} cannot be reached: {error}") from error


def _receive(connection: socket.socket) -> bytes:
    length_bytes = int.from_bytes(_receive_exactly(connection, 4), "big")
    if not 1 <= length_bytes <= MESSAGE_BYTES_MAX:
        raise AgentMalformed(f"the ssh-agent announces a message of {length_bytes} bytes")
    return _receive_exactly(connection, length_bytes)


def _receive_exactly(connection: socket.socket, length_bytes: int) -> bytes:
    received = bytearray()
    while len(received) < length_bytes:
        part = connection.recv(length_bytes - len(received))
        if not part:
            raise AgentMalformed("the ssh-agent hung up in the middle of its answer")
        received += part
    return bytes(received)
