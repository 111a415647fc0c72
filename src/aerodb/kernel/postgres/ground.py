"""What the parts of an instance share: its place, its programs, its session, and writing its files."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aerodb.kernel.durable import put, sync_folder, write_durably
from aerodb.kernel.postgres.children import Children
from aerodb.kernel.postgres.installation import Installation
from aerodb.kernel.postgres.place import Place
from aerodb.kernel.postgres.session import PostgresSession


@dataclass(frozen=True)
class Ground:
    """What the parts of an instance share; `address_of` returns where a node's PostgreSQL listens (host, port)."""

    installation: Installation
    place: Place
    session: PostgresSession
    children: Children
    address_of: Callable[[str], tuple[str, int]]

    @property
    def owner(self) -> tuple[int, int] | None:
        """Return the owner of the files that PostgreSQL reads (uid, gid); None if that is this process's own user."""
        account = self.installation.account
        return account.owner if account else None

    def write(self, path: Path, text: str) -> None:
        """Write a file durably, for the account that runs PostgreSQL."""
        write_durably(path, text.encode(), self.owner)

    def put(self, path: Path, text: str) -> Callable[[], None]:
        """Write a file whole, and return what makes that durable: until then a crash may leave the old one."""
        put(path, text.encode(), self.owner)
        return lambda: sync_folder(path.parent)
