"""The processes of a cluster on this machine: started once, watched by nobody, stopped together.

- Nothing is restarted: a process that ends stays ended until a person starts it.
- When the host goes down the primary stops first, then the standbys, so that they hold its shutdown checkpoint.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from aerodb.errors import AeroError
from aerodb.kernel.store import Store
from aerodb.local.errors import ProcessFailed
from aerodb.local.layout import Layout
from aerodb.transport.client import Client
from aerodb.transport.tls import tls_in

READY_SECONDS_MAX = 90.0


class Stage:
    """The agents and the control plane of the cluster in one folder."""

    def __init__(self, layout: Layout) -> None:
        """Start nothing yet."""
        self._layout = layout
        self.cluster = layout.cluster()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def _spawn(self, name: str, *arguments: str | Path) -> None:
        log = self._layout.logs / f"{name}.log"
        with log.open("ab") as output:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", "aerodb", *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd="/",
            )

    def start_agent(self, name: str, *, leave_down: bool = False) -> None:
        """Start one agent; `leave_down` leaves its PostgreSQL as it is."""
        options = ["--leave-down"] if leave_down else []
        self._spawn(name, "agent", "--folder", self._layout.node(name).resolve(), *options)

    def start_control(self) -> None:
        """Start the control plane."""
        self._spawn("control", "serve", "--folder", self._layout.control.resolve())

    def start(self) -> None:
        """Start everything, and return when all of it answers.

        Raises:
            ProcessFailed: a part does not.
        """
        for member in self.cluster.members:
            self.start_agent(member.name)
        self.start_control()
        for name in [*(member.name for member in self.cluster.members), "control"]:
            self.wait_for(name)

    def wait_for(self, name: str) -> None:
        """Return when the process called `name` answers.

        Raises:
            ProcessFailed: it ended, or does not answer in time; the message ends with what it said last.
        """
        end = time.monotonic() + READY_SECONDS_MAX
        address = self.cluster.control if name == "control" else self.cluster.member(name).agent
        client = Client(address, tls_in(self._layout.profile("operator")), name, 10)
        while True:
            try:
                client.get("/v1/whoami" if name == "control" else "/standby")
            except AeroError as error:
                if error.code not in {"transport.unreachable", "transport.interrupted"}:
                    return  # It answers, whatever it says.
            else:
                return
            if self._processes[name].poll() is not None or time.monotonic() > end:
                said = (self._layout.logs / f"{name}.log").read_text(encoding="utf-8", errors="replace")[-1500:]
                raise ProcessFailed(f"{name} does not answer: {said}")
            time.sleep(0.02)

    def process(self, name: str) -> subprocess.Popen[bytes]:
        """Return one of the processes."""
        return self._processes[name]

    def kill(self, name: str) -> None:
        """Kill one process with SIGKILL; its PostgreSQL, if it has one, goes on."""
        self._processes[name].kill()
        self._processes[name].wait()

    def _is_primary(self, name: str) -> bool:
        """Tell whether a node stands as a primary; where that cannot be read, it is not stopped first."""
        try:
            return Store(self._layout.node(name) / "state").standing.role == "primary"
        except AeroError:
            return False

    def stop(self) -> None:
        """Stop everything: the control plane, then the primary with its agent, then the rest."""
        names = [member.name for member in self.cluster.members]
        first = [name for name in names if self._is_primary(name)]
        self._end(["control"], signal.SIGTERM)
        self._end(first, signal.SIGINT)
        self._end([name for name in names if name not in first], signal.SIGINT)

    def _end(self, names: list[str], number: signal.Signals) -> None:
        alive = [self._processes[name] for name in names if name in self._processes]
        for process in alive:
            if process.poll() is None:
                os.kill(process.pid, number)
        for process in alive:
            process.wait()
