"""Our signatures are OpenSSH's, and OpenSSH's are ours: judged by the stock ssh-keygen and ssh-agent."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from aerodb.cli import sshagent
from aerodb.protocol import sshkey, sshsig
from aerodb.protocol.sshkey import SshKey
from tests.unit.protocol.signers import SECURITY_KINDS, TOUCHED, VERIFIED, SecurityKey

DATA = b'{"action":"promote","target":"n2"}'
KINDS = {
    "ed25519": ["-t", "ed25519"],
    "nistp256": ["-t", "ecdsa", "-b", "256"],
    "nistp384": ["-t", "ecdsa", "-b", "384"],
    "nistp521": ["-t", "ecdsa", "-b", "521"],
    "rsa": ["-t", "rsa", "-b", "3072"],
}


@dataclass(frozen=True)
class KeyFile:
    """A key pair as ssh-keygen made it."""

    path: Path

    @property
    def public(self) -> SshKey:
        """Return the public key, read by us."""
        return sshkey.parse_line(self.path.with_suffix(".pub").read_text())

    @property
    def private(self) -> sshsig.PrivateKey:
        """Return the private key, read by the library."""
        key = load_ssh_private_key(self.path.read_bytes(), None)
        assert isinstance(key, (Ed25519PrivateKey, ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey))
        return key


def _run(*command: str, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command, input=stdin, capture_output=True, check=False, timeout=600, env={**os.environ, **environment}
    )


@pytest.fixture(scope="module")
def key_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, KeyFile]:
    """Return one key file of each kind."""
    folder = tmp_path_factory.mktemp("keys")
    for kind, options in KINDS.items():
        command = ("ssh-keygen", "-q", "-N", "", "-C", f"{kind} key", "-f", str(folder / kind), *options)
        assert _run(*command).returncode == 0
    return {kind: KeyFile(folder / kind) for kind in KINDS}


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run a real ssh-agent for the test; its socket's path must be short."""
    with tempfile.TemporaryDirectory(prefix="agent") as folder:
        path = f"{folder}/socket"
        with subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline()  # The agent says where it is only once it listens.
            monkeypatch.setenv("SSH_AUTH_SOCK", path)
            try:
                yield
            finally:
                process.terminate()


def _accepts(key: SshKey, armor: str, data: bytes, folder: Path, namespace: str = sshsig.NAMESPACE) -> bool:
    """Tell whether ssh-keygen finds the signature valid, for an allowed signer and without one alike."""
    signers, signature = folder / "signers", folder / "signature"
    signers.write_text(f'ana namespaces="{sshsig.NAMESPACE}" {key.line}\n')
    signature.write_text(armor)
    common = ("-n", namespace, "-s", str(signature))
    allowed = _run("ssh-keygen", "-Y", "verify", "-f", str(signers), "-I", "ana", *common, stdin=data)
    alone = _run("ssh-keygen", "-Y", "check-novalidate", *common, stdin=data)
    assert (allowed.returncode == 0) == (alone.returncode == 0), (allowed, alone)
    return allowed.returncode == 0


def _signed_by_ssh_keygen(file: KeyFile, data: bytes, *options: str) -> str:
    namespace = ("-n", sshsig.NAMESPACE)
    result = _run("ssh-keygen", "-q", "-Y", "sign", "-f", str(file.path), *namespace, *options, stdin=data)
    assert result.returncode == 0, result.stderr
    return result.stdout.decode()


@pytest.mark.parametrize("kind", KINDS)
def test_ssh_keygen_accepts_our_signatures(kind: str, key_files: dict[str, KeyFile], tmp_path: Path) -> None:
    """What we sign, ssh-keygen verifies; over other bytes or for another namespace it does not."""
    file = key_files[kind]
    armor = sshsig.sign_with_key(file.private, DATA)
    assert _accepts(file.public, armor, DATA, tmp_path)
    assert not _accepts(file.public, armor, DATA + b"\n", tmp_path)
    assert not _accepts(file.public, armor, DATA, tmp_path, namespace="file")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hash_name", ["sha256", "sha512"])
def test_we_accept_the_signatures_of_ssh_keygen(kind: str, hash_name: str, key_files: dict[str, KeyFile]) -> None:
    """What ssh-keygen signs, with either hash, we verify; over other bytes we do not."""
    file = key_files[kind]
    armor = _signed_by_ssh_keygen(file, DATA, "-O", f"hashalg={hash_name}")
    assert sshsig.verify(armor, DATA, file.public) == sshsig.Proof()
    with pytest.raises(sshsig.SshsigInvalid, match="not over these bytes"):
        sshsig.verify(armor, DATA + b"\n", file.public)


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_deterministic_signatures_are_the_same_bytes(kind: str, key_files: dict[str, KeyFile]) -> None:
    """Where signing draws no lots, our text and that of ssh-keygen are equal, armor included."""
    file = key_files[kind]
    assert sshsig.sign_with_key(file.private, DATA) == _signed_by_ssh_keygen(file, DATA)


@pytest.mark.parametrize("algorithm", SECURITY_KINDS)
@pytest.mark.parametrize("flags", [TOUCHED, TOUCHED | VERIFIED])
def test_ssh_keygen_reads_security_keys_as_we_do(algorithm: str, flags: int, tmp_path: Path) -> None:
    """A security key's signature that we verify, ssh-keygen verifies too: flags and counter are signed as it says."""
    security_key = SecurityKey(algorithm)
    armor = security_key.sign(DATA, flags)
    assert sshsig.verify(armor, DATA, security_key.key).touch
    assert _accepts(security_key.key, armor, DATA, tmp_path)
    assert not _accepts(security_key.key, armor, DATA + b"\n", tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_fingerprints_are_those_of_ssh_keygen(kind: str, key_files: dict[str, KeyFile]) -> None:
    """Ours and the one that people compare by eye are the same."""
    shown = _run("ssh-keygen", "-l", "-E", "sha256", "-f", str(key_files[kind].path)).stdout.decode()
    assert shown.split()[1] == key_files[kind].public.fingerprint


@pytest.mark.usefixtures("agent")
@pytest.mark.parametrize("kind", KINDS)
def test_a_real_agent_signs(kind: str, key_files: dict[str, KeyFile], tmp_path: Path) -> None:
    """A key that only the agent uses signs a plan that ssh-keygen verifies."""
    file = key_files[kind]
    assert _run("ssh-add", "-q", str(file.path)).returncode == 0
    assert sshagent.identities() == [file.public]
    armor = sshagent.sign_with_agent(file.public, DATA)
    assert sshsig.verify(armor, DATA, file.public) == sshsig.Proof()
    assert _accepts(file.public, armor, DATA, tmp_path)


@pytest.mark.usefixtures("agent")
def test_a_real_agent_lists_all_its_keys(key_files: dict[str, KeyFile]) -> None:
    """Every key is listed, with its comment; an agent without keys lists none."""
    assert sshagent.identities() == []
    for file in key_files.values():
        assert _run("ssh-add", "-q", str(file.path)).returncode == 0
    assert sshagent.identities() == [file.public for file in key_files.values()]


@pytest.mark.usefixtures("agent")
def test_a_real_agent_refuses_a_key_that_it_does_not_hold(key_files: dict[str, KeyFile]) -> None:
    """The agent's refusal is an error of its own, and nothing is signed."""
    with pytest.raises(sshagent.AgentRefused):
        sshagent.sign_with_agent(key_files["ed25519"].public, DATA)
