"""Where one PostgreSQL instance lives, and its name and address.

home/data        -> data-0001     the link to the folder in use; one rename replaces it, and the old folder stays
home/data-0001                    a data folder
home/data-0002.6f12.partial       an unfinished base backup: never started; each attempt has a name of its own
home/conf/                        all settings, outside the data folder, so that no base backup copies them
home/run/                         the server log
home/secret/                      the agent's own secrets; PostgreSQL's account cannot read them
"""

import hashlib
import re
from pathlib import Path

import msgspec

from aerodb.kernel.postgres.errors import FolderBroken

_FOLDER = re.compile(r"data-(\d{4,})((?:\.[0-9a-f]+)?\.partial)?")


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One instance's name, home folder, address and synchronous policy.

    `quorum` is k, the number of standbys that must flush a commit; `data_nodes` are the names of all nodes with data;
    `addresses` are the networks (CIDR) from which peers and applications may log in. `unit` is the unit of the service
    manager that PostgreSQL is started in; empty: it is started as a process of its own, in its agent's control group.
    """

    name: str
    home: Path
    host: str
    port: int
    quorum: int
    data_nodes: tuple[str, ...]
    addresses: tuple[str, ...] = ("127.0.0.1/32",)
    unit: str = ""

    @property
    def link(self) -> Path:
        """Return the symbolic link that names the data folder in use."""
        return self.home / "data"

    @property
    def conf(self) -> Path:
        """Return the folder of the settings."""
        return self.home / "conf"

    @property
    def log(self) -> Path:
        """Return the path of the server log."""
        return self.home / "run" / "postgres.log"

    @property
    def socket(self) -> str:
        """Return the name of the abstract socket over which the agent reaches PostgreSQL: no file, no limit to a path.

        The colon makes psycopg treat it as local, and not look it up as a host's name.
        """
        return f"@:aerodb-{hashlib.sha256(str(self.home).encode()).hexdigest()[:24]}"

    @property
    def replication_secret(self) -> Path:
        """Return the agent's file with the node's replication password."""
        return self.home / "secret" / "replication"

    @property
    def passfile(self) -> Path:
        """Return the libpq password file that PostgreSQL reads for replication; it exists only while attached."""
        return self.conf / "replication.pgpass"

    def data(self) -> Path:
        """Return the data folder in use, with links resolved.

        Raises:
            FolderBroken: there is no link, or it does not name a finished data folder of this home.
        """
        try:
            target = self.link.readlink()
        except OSError as error:
            raise FolderBroken(f"{self.link} does not name a data folder: {error}") from error
        match = _FOLDER.fullmatch(str(target))
        folder = self.home.resolve() / target
        if match is None or match[2] or not folder.is_dir():
            raise FolderBroken(f"{self.link} names {target}, which is not a finished data folder")
        return folder

    def next_number(self) -> int:
        """Return the number of the next data folder: above all existing ones, and above the one that the link names.

        The latter counts even if it was deleted, because outcomes are told by the name of the folder in use.
        """
        named = _FOLDER.match(self.link.readlink().name) if self.link.is_symlink() else None
        return max([*self.folders(), int(named[1]) if named else 0]) + 1

    def unused(self) -> list[Path]:
        """Return the data folders that are not in use, finished or not, sorted by name."""
        current = self.link.resolve().name
        return sorted(path for path in self.home.iterdir() if _FOLDER.fullmatch(path.name) and path.name != current)

    def folders(self) -> dict[int, Path]:
        """Return the finished data folders by number."""
        found = ((_FOLDER.fullmatch(path.name), path) for path in self.home.iterdir())
        return {int(match[1]): path for match, path in found if match and not match[2]}
