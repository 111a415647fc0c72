"""A PostgreSQL by itself, of each version that is on this machine: no agent, no control plane, no cluster."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from aerodb.kernel.postgres.errors import CommandFailed
from aerodb.kernel.postgres.installation import Installation
from aerodb.kernel.postgres.lsns import PAGE_BYTES
from tests.faults.conftest import _folder_above
from tests.postgresqls import on_this_machine


def installations() -> list[Installation]:
    """Return one PostgreSQL of each version that is on this machine."""
    return list(on_this_machine().values())


class Database:
    """One PostgreSQL by itself, in a folder of its own."""

    def __init__(self, installation: Installation, folder: Path, *options: str) -> None:
        """Make it."""
        self.installation, self.data, self._socket = installation, folder / "data", folder
        self.major = installation.major
        if installation.account:
            os.chown(folder, *installation.account.owner)
        self._run("initdb", "-D", self.data, "-A", "trust", "-U", "postgres", "-N", "--no-locale", *options)

    def _run(self, program: str, *arguments: str | Path, timeout_seconds: float = 60) -> str:
        return self.installation.run(program, *arguments, timeout_seconds=timeout_seconds).output

    def start(self, *settings: str) -> None:
        """Start it, quickly, where only this test can reach it."""
        given = ["listen_addresses=", f"unix_socket_directories={self._socket}", "fsync=off", *settings]
        options = " ".join(f"-c {each}" for each in given)
        self._run("pg_ctl", "start", "-w", "-s", "-D", self.data, "-l", self._socket / "log", "-o", options)

    def stop(self, mode: str = "fast") -> None:
        """Stop it."""
        self._run("pg_ctl", "stop", "-w", "-s", "-m", mode, "-D", self.data)

    def end(self) -> None:
        """End it, if it runs."""
        with suppress(CommandFailed):
            self.stop("immediate")

    def session(self, user: str = "postgres", options: str = "") -> psycopg.Connection:
        """Return a new session."""
        return psycopg.connect(host=str(self._socket), user=user, dbname="postgres", options=options, autocommit=True)

    def execute(self, *statements: str) -> None:
        """Run statements, each for itself."""
        with self.session() as session:
            for each in statements:
                session.execute(each.encode())

    def promote(self) -> None:
        """Have the standby become a primary."""
        self._run("pg_ctl", "promote", "-w", "-s", "-D", self.data)

    def fill(self, room_bytes: int, *, segment_bytes: int = 0) -> None:
        """Write messages to the WAL until its next record begins `room_bytes` before its page ends.

        If `segment_bytes` are given, the page is the last one of a segment.
        """
        with self.session() as session:

            def wrote(count: int = 0) -> int:
                session.execute("select pg_logical_emit_message(false, '', repeat('x', %s))", [count])
                found = session.execute("select pg_current_wal_insert_lsn() - '0/0'").fetchone()
                return int(found[0] if found else 0)

            if segment_bytes:
                left = segment_bytes - wrote() % segment_bytes
                wrote((left if left > segment_bytes // 2 else left + segment_bytes) - PAGE_BYTES)
            while not 200 < PAGE_BYTES - wrote() % PAGE_BYTES - room_bytes < 300:
                continue
            at = wrote()
            least = wrote() - at
            wrote(PAGE_BYTES - (at + least) % PAGE_BYTES - room_bytes - least)

    def standby(self) -> None:
        """Have it start as a standby next time."""
        signal = self.data / "standby.signal"
        signal.touch()
        if self.installation.account:
            os.chown(signal, *self.installation.account.owner)


@contextmanager
def folder_for_postgres() -> Iterator[Path]:
    """Yield an empty folder that PostgreSQL's account can reach, in memory where there is room."""
    with tempfile.TemporaryDirectory(prefix="aerodb-bytes-", dir=_folder_above()) as found:
        if os.geteuid() == 0:
            Path(found).chmod(0o711)
        (Path(found) / "database").mkdir()
        yield Path(found) / "database"
