"""The seal of a closed log: the digests of its files, signed by the log's key.

The tree covers what the records say; the seal covers every byte of the files, even those without meaning.

- The files are verified after their digests are taken. So a change in between cannot be sealed: if the verification
  reads it, it refuses; if not, the digests do not match.
"""

import base64
import hashlib
import os
from pathlib import Path
from typing import ClassVar, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aerodb.audit.note import parse_verifier_key, strict_base64
from aerodb.audit.store.files import DATABASE, RESERVE, SEAL, sync_folder, write_durably
from aerodb.errors import VerificationFailed
from aerodb.protocol import canonical
from aerodb.protocol.formats import Format
from aerodb.protocol.signed import DocumentForged, Signed, open_signed, sign


class Seal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The digests of a closed log's files, by name."""

    FORMAT: ClassVar[Format] = Format(kind="seal")

    kind: Literal["seal"] = "seal"
    files: dict[str, str]


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def file_digests(folder: Path) -> dict[str, str]:
    """Return the digests of a log's files, by name.

    Raises:
        OSError: a file cannot be read.
    """
    return {name: _file_digest(folder / name) for name in (DATABASE, RESERVE) if (folder / name).exists()}


def is_sealed(folder: Path) -> bool:
    """Tell whether the log was closed."""
    return os.path.lexists(folder / SEAL)


def write_seal(folder: Path, files: dict[str, str], origin: str, key: Ed25519PrivateKey) -> None:
    """Seal the closed log in `folder`, whose `files` had these digests before they were verified.

    Raises:
        OSError: the disk refused.
    """
    write_durably(folder / SEAL, canonical.encode(sign(Seal(files=files), origin, key)))


def verify_seal(folder: Path, vkey: str) -> None:
    """Check that the files in `folder` are the ones that were sealed.

    Raises:
        VerificationFailed: they are not, or the seal is not the log's.
        OSError: a file cannot be read.
    """
    if _open_seal((folder / SEAL).read_bytes(), vkey).files != file_digests(folder):
        raise VerificationFailed("the files are not those that were sealed when the log was closed")
    wal = folder / f"{DATABASE}-wal"
    if wal.exists() and wal.stat().st_size > 0:
        raise VerificationFailed("the log is sealed, but something was written to its write-ahead log")


def _open_seal(data: bytes, vkey: str) -> Seal:
    key = parse_verifier_key(vkey)
    try:
        unverified_seal = canonical.decode(data, Signed)
        if unverified_seal.signer != key.name or strict_base64(unverified_seal.signature) is None:
            raise VerificationFailed("the seal is not the log's")
        return open_signed(unverified_seal, Seal, base64.b64encode(key.public_raw).decode())
    except (DocumentForged, canonical.NotCanonical) as error:
        raise VerificationFailed(f"the seal does not hold: {error.message}") from error


def remove_seal(folder: Path) -> None:
    """Remove the seal durably; to be done before anything is written.

    Raises:
        OSError: the disk refused.
    """
    (folder / SEAL).unlink()
    sync_folder(folder)
