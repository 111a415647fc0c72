"""The versions of the configuration that a node has taken, in one file beside its standing.

- Version 1 is the founding document in the node's folder, and is trusted outright. What the file holds is believed only
  as far as it follows from that, version by version; a damaged file is an error, never a fresh start.
- A version is taken in one durable write: whoever is killed has taken it, or has not.
"""

import threading
from pathlib import Path
from typing import ClassVar

import msgspec

from aerodb.errors import AeroError
from aerodb.kernel.durable import write_durably
from aerodb.kernel.errors import VersionsUnreadable
from aerodb.protocol import canonical
from aerodb.protocol.chain import Chain, chained
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.formats import Format, MadeLater


class TakenDocuments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The exact texts of the versions that were taken, version 2 first."""

    FORMAT: ClassVar[Format] = Format(kind="taken versions")

    documents: tuple[str, ...]


class TakenVersions:
    """The chain that a node judges by: version 1 from its folder, and what it has taken since."""

    def __init__(self, state: Path, founding: Cluster) -> None:
        """Read what was taken, touching nothing.

        Raises:
            VersionsUnreadable: it is damaged, or does not follow from version 1.
            MadeLater: a later version of AeroDB wrote it.
        """
        self._path = state / "configuration.json"
        self._lock = threading.Lock()
        try:
            held = (
                canonical.decode(self._path.read_bytes(), TakenDocuments)
                if self._path.exists()
                else TakenDocuments(documents=())
            )
            self._chain, self._taken = chained(founding, held.documents), held
        except MadeLater:
            raise
        except (OSError, AeroError) as error:
            raise VersionsUnreadable(f"{self._path} holds no chain of configurations: {error}") from error

    @property
    def chain(self) -> Chain:
        """Return all versions that the node has taken."""
        return self._chain

    def take(self, document: str) -> None:
        """Take the version in `document`, durably.

        Raises:
            VersionRefused: it does not follow the newest.
            OSError: the disk refused; the node has taken what it had.
        """
        with self._lock:
            chain = self._chain.extended(document)
            taken = TakenDocuments(documents=(*self._taken.documents, document))
            write_durably(self._path, canonical.encode(taken))
            self._chain, self._taken = chain, taken
