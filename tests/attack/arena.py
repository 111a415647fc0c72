"""Where a round takes place: a cluster of real processes, copied from one that was made once for its shape."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aerodb.local.layout import Layout
from aerodb.local.making import Making
from aerodb.local.size import Size
from aerodb.local.stage import Stage
from aerodb.protocol import sshkey
from aerodb.protocol.cluster import Operator, Role
from aerodb.transport.certificates import Authority, write_private
from tests.attack.script import Shape
from tests.faults.conftest import Running, _end_postgres

SECOND = "second"
ROOT = Path(__file__).parents[2]
SIZES = {"three": Size(), "witness": Size(nodes=2, witness=True), "five": Size(nodes=5, quorum=2)}


class WithTwo(Making):
    """The making of a cluster that has a second operator, with a key of their own."""

    def _people(self) -> tuple[Operator, ...]:
        self._second_key = Ed25519PrivateKey.generate()
        line = sshkey.of_public(self._second_key.public_key()).line
        return (*super()._people(), Operator(name=SECOND, role=Role.OPERATOR, ssh_key=line))

    def _make_people(self, authority: Authority) -> None:
        super()._make_people(authority)
        form = serialization.PrivateFormat.OpenSSH
        pem = self._second_key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        write_private(self._layout.profile(SECOND) / "id_ed25519", pem)


def make(root: Path, shape: Shape, ports_from: int) -> None:
    """Make a cluster of a shape."""
    previous = os.umask(0o077)
    try:
        WithTwo(Layout(root=root), SIZES[shape].at_free_ports(ports_from)).make()
    finally:
        os.umask(previous)


class MutantStage(Stage):
    """A stage on which everybody plays without one of the promises."""

    def __init__(self, layout: Layout, mutant: str) -> None:
        """Start nothing yet."""
        super().__init__(layout)
        self._mutant = mutant

    def _spawn(self, name: str, *arguments: str | Path) -> None:
        with (self._layout.logs / f"{name}.log").open("ab") as output:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", "tests.attack.mutants", self._mutant, *map(str, arguments)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, cwd=ROOT,
            )  # fmt: skip


class Arena:
    """One folder, in which one cluster at a time lives; its processes are a mutant's, where one is named."""

    def __init__(self, folder: Path, ports_from: int, mutant: str = "") -> None:
        """Make nothing yet."""
        self._mutant = mutant
        if os.geteuid() == 0:
            folder.chmod(0o711)  # PostgreSQL's account must be able to go through.
        self._folder, self._ports_from = folder, ports_from
        self._cluster = folder / "cluster"
        self.running: Running | None = None
        self.mounted: list[Path] = []

    def copy(self, shape: Shape) -> Running:
        """Return a copy of the cluster of a shape; nothing in it is started."""
        self.end()
        template = self._folder / f"template-{shape}"
        if not template.exists():
            make(self._cluster, shape, self._ports_from)
            self._cluster.rename(template)
        subprocess.run(["cp", "-a", "--sparse=always", template, self._cluster], check=True)
        self.running = Running(Layout(root=self._cluster))
        if self._mutant:
            self.running.stage = MutantStage(self.running.layout, self._mutant)
        return self.running

    def end(self) -> None:
        """End every process that is left in the cluster's folder, and remove it."""
        running, self.running = self.running, None
        if running is not None:
            for process in running.stage._processes.values():
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGCONT)
            running.kill_all()
            for node in running.cluster.data_nodes:
                _end_postgres(running, node)
        end_left(self._cluster)
        for place in reversed(self.mounted):
            subprocess.run(["umount", "-l", place], check=False, capture_output=True)
        self.mounted.clear()
        shutil.rmtree(self._cluster, ignore_errors=True)


def processes_in(folder: Path) -> list[int]:
    """Return the processes that name the folder, or work in it."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError):
            command = (entry / "cmdline").read_bytes().decode(errors="replace")
            working = str((entry / "cwd").readlink())
            if f"{folder}/" in command.replace("\0", "/ ") or f"{working}/".startswith(f"{folder}/"):
                found.append(int(entry.name))
    return found


def end_left(folder: Path) -> None:
    """End whatever still runs in a folder: PostgreSQL without an agent, a control plane of the adversary's."""
    for pid in processes_in(folder):
        with suppress(OSError):
            watched = os.pidfd_open(pid)
            os.kill(pid, signal.SIGKILL)
            os.kill(pid, signal.SIGCONT)
            os.close(watched)
