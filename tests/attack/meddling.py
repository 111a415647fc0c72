"""Hands that interfere: through PostgreSQL's superuser, its programs and its files, never through an agent."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psycopg

from aerodb.errors import AeroError
from aerodb.kernel.postgres.installation import find_installation
from tests.attack import exclusions
from tests.attack.chronicle import Chronicle
from tests.attack.history import Hand
from tests.attack.processes import Processes
from tests.attack.script import Fault
from tests.faults.behind import connect
from tests.faults.conftest import Running

NOT_TO_BE_HAD = (psycopg.Error, OSError, AeroError, AssertionError, ValueError)
AUTO = {
    exclusions.WEAKENED_RUNNING: ("synchronous_standby_names = ''", "synchronous_commit = local"),
    exclusions.WEAKENED_FILE: ("synchronous_standby_names = ''",),
    "fewer connections": ("max_connections = 20",),
    "logical": ("wal_level = logical",),
    "stray setting": ("work_mem = '8MB'",),
}


def run_as_superuser(running: Running, node: str, statement: str) -> list[tuple[object, ...]]:
    """Return the rows of the last of some statements, given up soon."""
    with connect(running, node, connect_timeout=3) as connection:
        connection.execute(b"set statement_timeout = '4s'")
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


class Meddling:
    """One round's hands."""

    def __init__(self, running: Running, processes: Processes, chronicle: Chronicle) -> None:
        """Touch nothing yet."""
        self._running, self._processes, self._chronicle = running, processes, chronicle
        self.lines: list[tuple[str, str]] = []

    def _data(self, node: str) -> Path:
        return (self._running.home(node) / "data").resolve()

    def _note(self, kind: str, node: str, begin: float, timeline: int = 0, detail: str = "") -> None:
        self._chronicle.hand(Hand(kind=kind, node=node, begin=begin, end=time.time(), timeline=timeline, detail=detail))

    def sql(self, node: str, statement: str) -> list[tuple[object, ...]]:
        """Run one statement as the superuser, giving up soon."""
        return run_as_superuser(self._running, node, statement)

    def _pg_ctl(self, node: str, *arguments: str) -> None:
        find_installation().run("pg_ctl", *arguments, "-D", self._data(node), timeout_seconds=40)

    def do(self, fault: Fault, node: str, lasting: Callable[[Callable[[], None]], None]) -> None:
        """Do what a fault says to a node; `lasting` keeps what undoes it for later. What cannot be done is left."""
        try:
            self._do(fault, node, lasting)
        except NOT_TO_BE_HAD as error:
            self._chronicle.say(f"HAND {fault.kind} {node} could not: {str(error)[:200]!r}")

    def _do(self, fault: Fault, node: str, lasting: Callable[[Callable[[], None]], None]) -> None:
        begin, kind = time.time(), fault.kind
        if kind in AUTO:
            self._write_auto(fault, node, begin, lasting)
        elif kind in {"weaken role", "read-only role", "password"}:
            self._roles(kind, node, begin, lasting)
        elif kind == "promote by hand":
            self._promote(node, begin)
        elif kind in {"stop by hand", "kill hard by hand"}:
            self._stop(node, "immediate" if kind.startswith("kill") else "fast", begin)
        elif kind == "start by hand":
            self._start(node, begin, exclusions.STARTED)
        elif kind == exclusions.SERVICE:
            self._service(node, begin)
        elif kind == "make a primary by hand":
            self._make_primary(node, begin)
        elif kind == "pause replay":
            self.sql(node, "select pg_wal_replay_pause()")
            self._note(kind, node, begin)
            lasting(lambda: self._quietly(node, "select pg_wal_replay_resume()"))
        elif kind == "lock terms":
            self._lock(node, begin, fault.lasting)
        elif kind == "cancel waits":
            self.sql(node, "select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'")
            self._note(exclusions.WAIT_CANCELLED, node, begin)
        elif kind == "other upstream":
            self._other_upstream(node, begin)
        else:
            self._damage(kind, node, begin)

    def _quietly(self, node: str, statement: str) -> None:
        with suppress(*NOT_TO_BE_HAD):
            self.sql(node, statement)

    # Settings ---------------------------------------------------------------------------------------------------

    def _write_auto(self, fault: Fault, node: str, begin: float, lasting: Callable[[Callable[[], None]], None]) -> None:
        lines = AUTO[fault.kind]
        line, path = lines[fault.lasting % len(lines)], self._data(node) / "postgresql.auto.conf"
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
        self.lines.append((node, line))
        if fault.kind not in {exclusions.WEAKENED_FILE, "fewer connections"}:
            self._reload(node)
        self._note(fault.kind, node, begin, detail=line)
        if fault.kind == exclusions.WEAKENED_RUNNING and fault.detail == "leave":
            lasting(lambda: self.take_back(node, line))

    def _reload(self, node: str) -> None:
        with suppress(*NOT_TO_BE_HAD):
            self._pg_ctl(node, "reload")

    def take_back(self, node: str, line: str) -> None:
        """Take a line back that a hand wrote, and have it read again."""
        path = self._data(node) / "postgresql.auto.conf"
        with suppress(OSError):
            text = path.read_text(encoding="utf-8")
            if f"{line}\n" in text:
                path.write_text(text.replace(f"{line}\n", ""), encoding="utf-8")
                self._reload(node)
                self._chronicle.say(f"HAND took back {line!r} on {node}")

    def _roles(self, kind: str, node: str, begin: float, lasting: Callable[[Callable[[], None]], None]) -> None:
        do, undo = {
            "weaken role": (
                "alter role app set synchronous_commit = local",
                "alter role app reset synchronous_commit",
            ),
            "read-only role": (
                "alter database postgres set default_transaction_read_only = on",
                "set default_transaction_read_only = off; alter database postgres reset default_transaction_read_only",
            ),
            "password": ("alter role aerodb password 'changed by a hand'", ""),
        }[kind]
        self.sql(node, f"set synchronous_commit = local; {do}")
        self._note(exclusions.WEAKENED_ROLE if kind == "weaken role" else kind, node, begin, detail=do)
        if undo and kind == "weaken role":
            lasting(lambda: self._quietly(node, undo))

    def _other_upstream(self, node: str, begin: float) -> None:
        path = self._data(node) / "postgresql.auto.conf"
        line = "primary_conninfo = 'host=127.0.0.1 port=1'"
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
        self.lines.append((node, line))
        self._reload(node)
        self._note("other upstream", node, begin, detail=line)

    def _lock(self, node: str, begin: float, milliseconds: int) -> None:
        connection = connect(self._running, node, connect_timeout=3)
        connection.execute(b"begin")
        connection.execute(b"lock table aerodb.terms in access exclusive mode")
        self._note("lock terms", node, begin)
        timer = threading.Timer(milliseconds / 1000, connection.close)
        timer.daemon = True
        timer.start()

    # Processes --------------------------------------------------------------------------------------------------

    def _promote(self, node: str, begin: float) -> None:
        if self.sql(node, "select pg_is_in_recovery()") != [(True,)]:
            return
        timeline = 0  # Not known: then all that this server acknowledges until it is stopped is the hand's.
        try:
            self.sql(node, "select pg_promote(true, 5)")
            made = self.sql(node, "select pg_walfile_name(pg_current_wal_lsn())")
            timeline = int(str(made[0][0])[:8], 16)
        finally:
            self._note(exclusions.PROMOTED, node, begin, timeline=timeline)

    def _stop(self, node: str, mode: str, begin: float) -> None:
        try:
            self._pg_ctl(node, "stop", "-m", mode, "-W")
            self._wait_gone(node)
        finally:
            self._note("stop by hand", node, begin, detail=mode)

    def _wait_gone(self, node: str) -> None:
        end = time.monotonic() + 15
        while self._processes.postmaster(node) is not None and time.monotonic() < end:
            time.sleep(0.02)

    def _start(self, node: str, begin: float, kind: str) -> None:
        if self._processes.postmaster(node) is not None:
            return
        home = self._running.home(node)
        options = " ".join(
            f"-c {name}={home / 'conf' / file}"
            for name, file in (
                ("config_file", "postgresql.conf"), ("hba_file", "pg_hba.conf"), ("ident_file", "pg_ident.conf")
            )
        )  # fmt: skip
        try:
            find_installation().run(
                "pg_ctl", "start", "-W", "-s", "-D", self._data(node), "-l", home / "run" / "postgres.log",
                "-o", options, timeout_seconds=20,
            )  # fmt: skip
        finally:
            self._note(kind, node, begin)

    def _service(self, node: str, begin: float) -> None:
        """Start a node as a service manager does: only if the gate says yes."""
        words = [sys.executable, "-m", "aerodb", "gate", "--folder", str(self._running.layout.node(node).resolve())]
        asked = subprocess.run(words, check=False, capture_output=True, text=True, timeout=120)
        self._chronicle.say(f"the gate of {node} says {asked.returncode}: {asked.stdout.strip()[:200]}")
        if asked.returncode == 0:
            self._start(node, begin, exclusions.SERVICE)

    def _make_primary(self, node: str, begin: float) -> None:
        """Stop a node, take away what makes it a standby, and start it."""
        if self._processes.postmaster(node) is not None:
            self._pg_ctl(node, "stop", "-m", "fast", "-W")
            self._wait_gone(node)
        (self._data(node) / "standby.signal").unlink(missing_ok=True)
        self._start(node, begin, exclusions.MADE_PRIMARY)

    def _damage(self, kind: str, node: str, begin: float) -> None:
        """Take something from a node's data folder, PostgreSQL being down."""
        if self._processes.postmaster(node) is not None:
            self._pg_ctl(node, "stop", "-m", "immediate", "-W")
            self._wait_gone(node)
            self._note("stop by hand", node, begin, detail="immediate")
        data = self._data(node)
        if kind == "remove control file":
            (data / "global" / "pg_control").unlink(missing_ok=True)
        elif kind == "empty folder":
            for path in data.iterdir():
                path.rename(data.parent / f"taken-{os.getpid()}-{path.name}")
        elif kind == "backup label":
            text = "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\nCHECKPOINT LOCATION: 0/2000060\n"
            (data / "backup_label").write_text(f"{text}BACKUP METHOD: streamed\nBACKUP FROM: primary\n")
            account = find_installation().account
            if account is not None:
                os.chown(data / "backup_label", *account.owner)
        self._note(kind, node, begin)
