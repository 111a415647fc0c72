"""What the parts of an instance share: where it is, its programs, its session, and how its files are written."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aerodb.kernel.durable import write_durably
from aerodb.kernel.postgres.children import Children
from aerodb.kernel.postgres.installation import Installation
from aerodb.kernel.postgres.place import Place
from aerodb.kernel.postgres.session import PostgresSession


@dataclass(frozen=True)
class Ground:
    """What an instance stands on; `address_of` tells where a node's PostgreSQL listens (host, port)."""

    installation: Installation
    place: Place
    session: PostgresSession
    children: Children
    address_of: Callable[[str], tuple[str, int]]

    @property
    def owner(self) -> tuple[int, int] | None:
        """Return who owns what PostgreSQL reads: the account that runs it; None where that is this process's own."""
        account = self.installation.account
        return account.owner if account else None

    def write(self, path: Path, text: str) -> None:
        """Write a file durably, as its owner's."""
        write_durably(path, text.encode(), self.owner)
