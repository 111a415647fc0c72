"""The processes of a cluster on this machine: started once, not supervised, stopped together.

- A part that does not come up is reported, and does not keep the others from starting.
- A primary starts only if the standings of a majority of members prove that no other has been elected. That is the rule
  of `start`; the standings are read from files, all on this machine, before anything runs.
- Nothing is restarted: a process that ends stays ended until a person starts it.
- Everything is stopped in order: the primary first, then the standbys, so that they have its shutdown checkpoint.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from aerodb import private
from aerodb.errors import AeroError
from aerodb.kernel.node import read_node
from aerodb.kernel.store import Store
from aerodb.local.errors import ProcessFailed
from aerodb.local.layout import Layout
from aerodb.local.program import itself
from aerodb.local.size import is_free
from aerodb.protocol import canonical
from aerodb.protocol.api import Status
from aerodb.protocol.authority import Standing
from aerodb.protocol.facts import State
from aerodb.protocol.plan import Result, Verdict
from aerodb.rules.promises import authority_stands
from aerodb.transport.client import Client
from aerodb.transport.errors import CertificateExpired, OwnCertificateExpired
from aerodb.transport.tls import tls_in
from aerodb.views.observed import Observed, observe

READY_SECONDS_MAX = 90.0
POSTGRES_SECONDS_MAX = 20.0


def _state(observed: Observed, name: str) -> State | None:
    """Return the state of a node's PostgreSQL; None if it is not known."""
    facts = observed.facts.get(name)
    return facts.instance.state if facts and facts.instance else None


def _left_down(proven: dict[str, Verdict]) -> dict[str, str]:
    """Return, for each node that stands as a primary but may not start as one, why, and which request to make."""
    primary = next((name for name, judged in proven.items() if judged.result is Result.HOLDS), None)
    return {
        name: f"{name} was left down: {judged.evidence}. To let it come back: aerodb "
        + (f"follow {name} --upstream {primary}" if primary else f"start {name}, once more members report")
        for name, judged in proven.items()
        if judged.result is not Result.HOLDS
    }


def _down(name: str, state: State | None) -> str:
    """Return a sentence that says that PostgreSQL does not run on a node yet, and what to do."""
    if state is State.UNREACHABLE:
        return f"PostgreSQL on {name} is still starting; aerodb status shows when it runs"
    why = "its agent's log and PostgreSQL's own say why"
    return f"PostgreSQL on {name} is {state or 'not seen'}: {why}. To start it: aerodb start {name}"


class Stage:
    """The agents and the control plane of the cluster in one folder."""

    def __init__(self, layout: Layout) -> None:
        """Start nothing yet."""
        self._layout = layout
        self.cluster = layout.cluster()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def _spawn(self, name: str, *arguments: str | Path) -> None:
        log = self._layout.logs / f"{name}.log"
        with open(log, "ab", opener=private.opener) as output:
            self._processes[name] = subprocess.Popen(
                [*itself(), *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd="/",
            )

    def start_agent(self, name: str, *, leave_down: bool = False, as_it_stands: bool = False) -> None:
        """Start one agent; with `leave_down` it does not start PostgreSQL, with `as_it_stands` even as a primary."""
        options = ["--leave-down"] * leave_down + ["--as-it-stands"] * as_it_stands
        self._spawn(name, "agent", "--folder", self._layout.node(name).resolve(), *options)

    def start_control(self) -> None:
        """Start the control plane."""
        self._spawn("control", "serve", "--folder", self._layout.control.resolve())

    def standings(self) -> dict[str, Standing]:
        """Return the durable standings of the members, as far as they can be read."""
        found: dict[str, Standing] = {}
        for member in self.cluster.members:
            with suppress(AeroError):
                found[member.name] = Store(self._layout.node(member.name) / "state").standing
        return found

    def primaries(self) -> dict[str, Verdict]:
        """Return, by node, whether each node that stands as a primary may start as one."""
        standings = self.standings()
        names = [name for name, standing in standings.items() if standing.role == "primary" and not standing.halted]
        return {name: authority_stands(self.cluster, name, standings) for name in names}

    def start(self) -> None:
        """Start everything, and return when everything answers.

        Raises:
            ProcessFailed: a part did not come up.
        """
        troubles = self.start_what_starts(threading.Event(), READY_SECONDS_MAX)
        if troubles:
            raise ProcessFailed("; ".join(troubles.values()))

    def start_what_starts(
        self, ended: threading.Event, postgres_seconds_max: float = POSTGRES_SECONDS_MAX
    ) -> dict[str, str]:
        """Start everything; return, by name, what did not come up, and why. The rest goes on.

        It returns once each process answers or has failed, and each PostgreSQL that was to start runs or has taken
        longer than `postgres_seconds_max`; or once `ended` is set.
        """
        proven = self.primaries()
        taken = self._taken()
        for name in [member.name for member in self.cluster.members if member.name not in taken]:
            judged = proven.get(name)
            self.start_agent(name, as_it_stands=judged is not None and judged.result is Result.HOLDS)
        if "control" not in taken:
            self.start_control()
        troubles = {**_left_down(proven), **taken}
        for name in self._processes:
            try:
                self.wait_for(name, ended)
            except ProcessFailed as error:
                troubles[name] = error.message
        return {**self._not_running(troubles, ended, postgres_seconds_max), **troubles}

    def _taken(self) -> dict[str, str]:
        """Return, by name, which part cannot listen, since something else does where it would.

        That is not begun, and whatever answers there is not taken for it.
        """
        places = {member.name: member.agent for member in self.cluster.members} | {"control": self.cluster.control}
        found = {}
        for name, address in places.items():
            host, _, port = address.rpartition(":")
            if not is_free(int(port), host):
                part = "the control plane" if name == "control" else f"the agent of {name}"
                found[name] = f"{part} was not started: something else listens on {address}"
        return found

    def _not_running(self, troubles: dict[str, str], ended: threading.Event, seconds_max: float) -> dict[str, str]:
        """Wait until PostgreSQL runs on every node without trouble; return, by node, where it does not."""
        if "control" in troubles:
            return {}
        halted = {name for name, standing in self.standings().items() if standing.halted}
        waited = [name for name in self.cluster.data_nodes if name not in troubles and name not in halted]
        end = time.monotonic() + seconds_max
        client = Client(self.cluster.control, tls_in(self._layout.profile("operator")), "control", 30)
        while True:
            try:
                found = observe(self.cluster, canonical.decode(client.get("/v1/status"), Status))
            except AeroError as error:
                return {"status": f"whether PostgreSQL runs everywhere is not known: {error.message}"}
            left = {name: state for name in waited if (state := _state(found, name)) is not State.RUNNING}
            if not left or ended.is_set() or time.monotonic() > end:
                break
            time.sleep(0.05)
        return {name: _down(name, state) for name, state in left.items()}

    def wait_for(self, name: str, ended: threading.Event | None = None) -> None:
        """Return when the process called `name` answers, or `ended` is set.

        Raises:
            ProcessFailed: it ended, or did not answer in time; the message ends with its last output.
        """
        end = time.monotonic() + READY_SECONDS_MAX
        address = self.cluster.control if name == "control" else self.cluster.member(name).agent
        client = Client(address, tls_in(self._layout.profile("operator")), name, 10)
        while not (ended and ended.is_set()):
            try:
                client.get("/v1/whoami" if name == "control" else "/standby")
            except AeroError as error:
                silent = error.code in {"transport.unreachable", "transport.interrupted"}
                if isinstance(error, (CertificateExpired, OwnCertificateExpired)):
                    raise ProcessFailed(error.message) from error
                if not silent and not error.message.endswith("starting\n"):
                    return  # It answers, whatever it says.
            else:
                return
            if self._processes[name].poll() is not None or time.monotonic() > end:
                said = (self._layout.logs / f"{name}.log").read_text(encoding="utf-8", errors="replace")[-1500:]
                raise ProcessFailed(f"{name} does not answer: {said}")
            time.sleep(0.02)

    @property
    def begun(self) -> bool:
        """Tell whether any part was begun here."""
        return bool(self._processes)

    def watch(self, told: Callable[[str, int], None]) -> None:
        """Have `told` called, in a thread of its own, with each part that ends from now on, and its exit code."""
        for name, process in self._processes.items():
            threading.Thread(target=lambda n=name, p=process: told(n, p.wait()), daemon=True).start()

    def process(self, name: str) -> subprocess.Popen[bytes]:
        """Return one of the processes."""
        return self._processes[name]

    def kill(self, name: str) -> None:
        """Kill one process with SIGKILL; its PostgreSQL, if it has one, goes on."""
        self._processes[name].kill()
        self._processes[name].wait()

    def stop_with_postgres(self) -> list[str]:
        """Stop everything that was begun here, even a PostgreSQL whose agent has died; return where one still runs."""
        self._revive([name for name in self._agents() if self._processes[name].poll() is not None])
        self.stop()
        # An agent that was just dying counted as alive: a process is collected only when its last thread has ended.
        killed = [name for name in self._agents() if self._processes[name].returncode < 0 and self._runs(name)]
        self._revive(killed)
        self._end(killed, signal.SIGINT)
        return [name for name in self.cluster.data_nodes if name in self._processes and self._runs(name)]

    def _agents(self) -> list[str]:
        return [member.name for member in self.cluster.members if member.name in self._processes]

    def _runs(self, name: str) -> bool:
        """Tell whether a node's PostgreSQL runs, by its files and processes."""
        postgres = read_node(self._layout.node(name)).postgres()
        return postgres is not None and postgres.running

    def _revive(self, names: list[str]) -> None:
        """Start dead agents again, so that they can stop the PostgreSQL that they left behind."""
        for name in names:
            self.start_agent(name, leave_down=True)
            with suppress(ProcessFailed):
                self.wait_for(name)

    def stop(self) -> None:
        """Stop everything: the control plane, then the primary with its agent, then the rest."""
        names = [member.name for member in self.cluster.members]
        standings = self.standings()
        first = [name for name in names if name in standings and standings[name].role == "primary"]
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
