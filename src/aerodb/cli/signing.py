"""The operator's signature over a plan's exact bytes: with the profile's key, or by the ssh-agent.

The key must be the one that the configuration enrols the operator with; any other would only be refused later.
"""

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from aerodb.cli.failures import KeyUnusable
from aerodb.cli.profile import Profile
from aerodb.cli.terminal import Terminal
from aerodb.protocol.sshkey import SshKey, of_public, parse_line
from aerodb.protocol.sshsig import PrivateKey, sign_with_key


def sign(profile: Profile, terminal: Terminal, data: bytes, *, by_agent: bool) -> str:
    """Return the armored signature over `data`; the ssh-agent makes it where it is asked to, or where no key file is.

    Raises:
        KeyUnusable: the operator has no key, or it cannot be read.
        AgentUnavailable, AgentRefused, AgentMalformed: the ssh-agent did not sign.
    """
    enrolled = _enrolled(profile)
    if by_agent or not profile.key_file.exists():
        return _agent_signature(terminal, enrolled, data)
    private = _read_key(profile.key_file)
    if of_public(private.public_key()).blob != enrolled.blob:
        raise _unusable(f"{profile.key_file} is not the key that {profile.operator} is enrolled with")
    return sign_with_key(private, data)


def _enrolled(profile: Profile) -> SshKey:
    person = profile.cluster.operator(profile.operator)
    if person is None or not person.ssh_key or person.revoked:
        raise _unusable(f"the configuration enrols no key of {profile.operator!r}")
    return parse_line(person.ssh_key)


def _agent_signature(terminal: Terminal, enrolled: SshKey, data: bytes) -> str:
    from aerodb.cli.sshagent import identities, sign_with_agent

    if enrolled.blob not in {key.blob for key in identities()}:
        raise _unusable(f"the ssh-agent does not hold the enrolled key {enrolled.fingerprint}")
    if enrolled.touch:
        terminal.line("Touch your security key now.", "warn")
    return sign_with_agent(enrolled, data)


def _read_key(path: Path) -> PrivateKey:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _unusable(f"{path} cannot be read: {error.strerror}") from error
    try:
        key = load_ssh_private_key(data, None)
    except TypeError as error:  # The library's way to say that the key is encrypted.
        hint = f"add it to your ssh-agent (ssh-add {path}) and use --ssh-agent"
        raise _unusable(f"{path} is protected by a passphrase: {hint}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _unusable(f"{path} is not a private key: {error}") from error
    if not isinstance(key, PrivateKey):
        raise _unusable(f"{path} holds a key of a kind that is not accepted")
    return key


def _unusable(reason: str) -> KeyUnusable:
    return KeyUnusable(reason, field="key")
