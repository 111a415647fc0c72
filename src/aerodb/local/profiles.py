"""A person's profile as it is made in a cluster's folder: what they need beside their certificate."""

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aerodb.protocol import canonical, sshkey
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.sshsig import NAMESPACE
from aerodb.transport.certificates import write_private


def pem(key: Ed25519PrivateKey, form: serialization.PrivateFormat) -> bytes:
    """Return a private key as it is kept in a file."""
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def write_profile(folder: Path, founding: Cluster, name: str) -> None:
    """Write whom the person asks, who they are, and version 1 of the configuration, which they trust outright."""
    write_private(folder / "cluster.json", canonical.encode(founding))
    write_private(folder / "profile.json", canonical.encode({"control": founding.control, "operator": name}))


def write_key(folder: Path, name: str, key: Ed25519PrivateKey) -> None:
    """Write the person's SSH key, in OpenSSH's form, and its public half."""
    write_private(folder / "id_ed25519", pem(key, serialization.PrivateFormat.OpenSSH))
    write_public(folder, name, sshkey.of_public(key.public_key()).line)


def write_public(folder: Path, name: str, line: str) -> None:
    """Write the person's SSH public key, and as `ssh-keygen -Y verify` reads it."""
    write_private(folder / "id_ed25519.pub", f"{line}\n".encode())
    signers = f'{name} namespaces="{NAMESPACE}" {line}\n'
    write_private(folder / "allowed_signers", signers.encode())
