"""A person's profile: whom they ask, who they are, and the configuration that they check everything against.

- The configuration comes from the folder, never from the control plane: it is what makes an agent's signature count.
- A private key is read only when something is to be signed.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Protocol, TypeVar

import msgspec

from aerodb.cli.failures import ProfileUnusable
from aerodb.protocol import canonical, formats
from aerodb.protocol.chain import VersionRefused, read_founding
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.formats import Format

SERVICE = "control"

T = TypeVar("T")


class Caller(Protocol):
    """What speaks to the control plane's API: `aerodb.transport.client.Client`, or a test's own."""

    def get(self, path: str) -> bytes:
        """Return the answer to a GET."""

    def lines(self, path: str) -> Iterator[bytes]:
        """Return the lines of the answer to a GET as they come, however many there are."""

    def post(self, path: str, body: bytes, headers: dict[str, str] | None = None) -> bytes:
        """Return the answer to a POST, which is sent once."""


class Names(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file profile.json: the control plane's host:port, and the operator's name."""

    FORMAT: ClassVar[Format] = Format(kind="profile")

    control: str
    operator: str


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """A folder that was read: the names in it, and the cluster's configuration."""

    folder: Path
    control: str
    operator: str
    cluster: Cluster

    @property
    def key_file(self) -> Path:
        """Return where the private key is, if it is in a file."""
        return self.folder / "id_ed25519"


def read_profile(folder: Path) -> Profile:
    """Return the profile in `folder`.

    Raises:
        ProfileUnusable: a file is missing or malformed.
        MadeLater: it is a later version's.
    """
    try:
        names = formats.read(_read(folder / "profile.json"), Names, _names)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProfileUnusable(f"{folder / 'profile.json'} is malformed: {error}", field="profile") from error
    cluster = read_cluster(folder / "cluster.json")
    return Profile(folder=folder, control=names.control, operator=names.operator, cluster=cluster)


def _names(data: bytes, kind: type[T]) -> T:
    return msgspec.json.decode(data, type=kind)  # Written by hand, too: in any form of JSON.


def read_cluster(path: Path) -> Cluster:
    """Return the configuration in a file: all the public keys that anything is verified with.

    Raises:
        ProfileUnusable: it is missing or malformed.
    """
    try:
        return read_founding(_read(path).removesuffix(b"\n"))
    except (canonical.NotCanonical, VersionRefused) as error:
        raise ProfileUnusable(f"{path} is malformed: {error.message}", field="profile") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        hint = "name the folder with --profile or AERODB_PROFILE"
        raise ProfileUnusable(f"{path} cannot be read: {error.strerror}; {hint}", field="profile") from error


def connect(profile: Profile, timeout_seconds: float) -> Caller:
    """Return a caller of the profile's control plane, over mutual TLS.

    Raises:
        ProfileUnusable: the address or the TLS files are not usable.
    """
    from aerodb.transport.client import Client
    from aerodb.transport.tls import tls_in

    try:
        return Client(profile.control, tls_in(profile.folder), SERVICE, timeout_seconds)
    except (OSError, ValueError) as error:  # An ssl.SSLError is an OSError; a port that is no number a ValueError.
        message = f"{profile.folder} cannot be used to reach {profile.control!r}: {error}"
        raise ProfileUnusable(message, field="profile") from error
