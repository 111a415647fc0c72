"""HAProxy and PgBouncer, run by the very files that a cluster's folder for balancers has."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from aerodb.local.layout import Layout
from aerodb.local.size import HOST, free_ports
from tests.faults.waiting import wait_until

INSTALLED = bool(shutil.which("haproxy") and shutil.which("pgbouncer"))
MISSING = "Debian's packages haproxy and pgbouncer are not installed; make test-balancers installs them"


class Balancer(msgspec.Struct, frozen=True, kw_only=True):
    """An HAProxy that runs: where it listens for writes and for reads, and where it says what it sees."""

    writes: int
    reads: int
    log: Path

    def said(self, text: str) -> bool:
        """Tell whether it has said this."""
        return text in self.log.read_text(encoding="utf-8")


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """A PgBouncer that runs: where it listens."""

    port: int


def listens(port: int) -> bool:
    """Tell whether a port of this machine is listened on."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


@contextmanager
def _process(
    command: list[str], folder: Path, log: Path, port: int, settings: dict[str, str] | None = None
) -> Iterator[None]:
    """Run a program in a folder until it is left, once it listens."""
    with log.open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, cwd=folder, env=os.environ | (settings or {}))
    try:
        wait_until(lambda: listens(port) or process.poll() is not None)
        assert process.poll() is None, log.read_text(encoding="utf-8")
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def running_balancer(folder: Path, ports_from: int, log: Path) -> Iterator[Balancer]:
    """Run HAProxy by the file in `folder`."""
    writes, reads = free_ports(2, ports_from)
    found = Balancer(writes=writes, reads=reads, log=log)
    settings = {"AERODB_WRITES": f"{HOST}:{writes}", "AERODB_READS": f"{HOST}:{reads}"}
    with _process(["haproxy", "-db", "-f", "haproxy.cfg"], folder, log, reads, settings):
        yield found


@contextmanager
def running_pool(layout: Layout, balancer: Balancer, ports_from: int) -> Iterator[Pool]:
    """Run PgBouncer in front of HAProxy by the cluster's own file, in which only the two ports are others."""
    port = free_ports(1, ports_from)[0]
    with tempfile.TemporaryDirectory(prefix="aerodb-pool-", dir="/var/tmp") as found:
        folder = Path(found)
        shipped = (layout.balancer / "pgbouncer.ini").read_text(encoding="utf-8")
        changed = shipped.replace("port=6000", f"port={balancer.writes}").replace("port = 6432", f"port = {port}")
        (folder / "pgbouncer.ini").write_text(changed, encoding="utf-8")
        _, _, _, user, password = (layout.profile("operator") / "app.pgpass").read_text().strip().split(":")
        (folder / "userlist.txt").write_text(f'"{user}" "{password}"\n', encoding="utf-8")
        command = ["pgbouncer", "pgbouncer.ini"]
        if os.geteuid() == 0:  # It refuses to run as root.
            command[1:1] = ["-u", "nobody"]
            for each in (folder, *folder.iterdir()):
                shutil.chown(each, "nobody")
        with _process(command, folder, folder / "log", port):
            yield Pool(port=port)
