"""Finds version 1 of the configuration in a log by its digest, so that a person who trusts the digest needs no file.

- The log need not be trusted for this: a text is accepted by its digest, which is computed here.
- The log is then verified with the version found, as with a cluster.json.
"""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import msgspec

from aerodb.audit.export import BlobLine, lines_in
from aerodb.audit.store.backup import is_backup
from aerodb.audit.store.database import open_to_read
from aerodb.audit.store.errors import LogUnavailable
from aerodb.audit.store.files import DATABASE
from aerodb.audit.store.seal import is_sealed
from aerodb.errors import AeroError, VerificationFailed
from aerodb.protocol import canonical
from aerodb.protocol.chain import read_founding
from aerodb.protocol.cluster import Cluster


def founding_in(path: Path, digest: str) -> Cluster:
    """Return the version 1 with this digest, from a log's folder, a backup or an export.

    Raises:
        VerificationFailed: nothing there has this digest, or it is not a version 1.
        LogUnavailable: there is no log that can be opened.
        OSError: the file cannot be read.
    """
    if path.is_dir():
        data = _in_database(path / DATABASE, digest, sealed=is_sealed(path))
    elif is_backup(path):
        data = _in_database(path, digest, sealed=True)
    else:
        with path.open("rb") as file:
            data = _in_lines(lines_in(file), digest)
    return trusted_founding(data, digest)


def trusted_founding(data: bytes | None, digest: str) -> Cluster:
    """Return the version 1 in `data`, after checking its digest.

    Raises:
        VerificationFailed: it has another digest, or is not a version 1.
    """
    if data is None or canonical.digest(data) != digest:
        raise VerificationFailed(f"nothing in it has the digest {digest}, which is trusted as that of version 1")
    try:
        return read_founding(data)
    except AeroError as error:
        raise VerificationFailed(f"what has the digest {digest} is no version 1: {error.message}") from error


def _in_database(path: Path, digest: str, *, sealed: bool) -> bytes | None:
    try:
        with closing(open_to_read(path, sealed=sealed)) as database:
            return database.blob(digest)
    except (OSError, sqlite3.Error) as error:
        raise LogUnavailable(f"the log in {path} cannot be read: {error}") from error


def _in_lines(lines: Iterable[bytes], digest: str) -> bytes | None:
    begin = b'{"blob":"' + digest.encode()
    for line in lines:
        if line.startswith(begin):
            try:
                return msgspec.json.decode(line, type=BlobLine).text.encode()
            except (msgspec.DecodeError, UnicodeError) as error:
                raise VerificationFailed(f"the line of {digest} is malformed: {error}") from error
    return None
