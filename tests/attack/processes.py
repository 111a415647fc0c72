"""What the adversary does to processes and file systems."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from aerodb.errors import AeroError
from aerodb.local.errors import ProcessFailed
from tests.attack.arena import Arena
from tests.attack.chronicle import Chronicle
from tests.faults.conftest import Running

ROOT = Path(__file__).parents[2]
ROOM_BYTES = 220 << 20
STATE_BYTES = 4 << 20
READY_SECONDS_MAX = 400.0


def backends(postmaster: int) -> dict[int, str]:
    """Return the processes that a postmaster has made, with their titles."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError, IndexError, ValueError):
            stat = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            if int(stat[1]) == postmaster:
                title = (entry / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
                found[int(entry.name)] = title
    return found


class Processes:
    """The processes of one round's cluster, and everything that is done to them."""

    def __init__(self, arena: Arena, running: Running, chronicle: Chronicle) -> None:
        """Do nothing yet."""
        self._arena, self._running, self._chronicle = arena, running, chronicle
        self._frozen: dict[int, tuple[str, str]] = {}
        self._lock = threading.Lock()
        self._extra: list[subprocess.Popen[bytes]] = []
        self._fillers: list[Path] = []
        self._protected: list[Path] = []
        self.small: Path | None = None
        self.points = 0
        self.mode = "plain"
        self.courier_out = running.layout.root / "courier.jsonl"
        self._hostile: subprocess.Popen[bytes] | None = None

    # Single processes -------------------------------------------------------------------------------------------

    def alive(self, name: str) -> bool:
        """Tell whether an agent or the control plane runs."""
        process = self._running.stage._processes.get(name)
        return process is not None and process.poll() is None

    def end_agent(self, node: str, number: signal.Signals) -> None:
        """Send a signal to an agent, and wait for its end, if it comes to that."""
        if not self.alive(node):
            return
        self.points += 1
        deed = {signal.SIGKILL: "killed", signal.SIGTERM: "ended", signal.SIGINT: "interrupted"}[number]
        self._chronicle.deed("agent", node, deed)
        process = self._running.stage.process(node)
        process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(75 if number != signal.SIGKILL else 10)

    def start_agent(self, node: str, *, leave_down: bool) -> None:
        """Start an agent where none runs, and wait until it answers or ends."""
        if self.alive(node):
            return
        self._chronicle.deed("agent", node, "back" if leave_down else "started")
        self._running.stage.start_agent(node, leave_down=leave_down)
        self._wait_for(node)

    def second_agent(self, node: str) -> None:
        """Start a second agent beside whatever runs; it should end by itself."""
        self.points += 1
        self._chronicle.deed("second agent", node, "started")
        self._spawn("agent", "--folder", str(self._running.layout.node(node).resolve()), name=f"{node}-second")

    def _spawn(self, *arguments: str, name: str) -> subprocess.Popen[bytes]:
        return self._popen([sys.executable, "-m", "aerodb", *arguments], name)

    def _popen(self, words: list[str], name: str) -> subprocess.Popen[bytes]:
        with (self._running.layout.logs / f"{name}.log").open("ab") as output:
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, cwd=ROOT
            )
        self._extra.append(process)
        return process

    def _wait_for(self, name: str) -> bool:
        """Wait until a process answers; tell whether it does. On a busy machine that is no matter of seconds."""
        end = time.monotonic() + READY_SECONDS_MAX
        while True:
            try:
                self._running.stage.wait_for(name)
            except (ProcessFailed, AeroError) as error:
                if self.alive(name) and time.monotonic() < end:
                    continue
                self._chronicle.say(f"{name} does not come back: {error}"[:1500])
                return False
            return True

    def begin(self) -> None:
        """Start the whole cluster, whose first primary starts as it stands; return when everything answers.

        Raises:
            ProcessFailed: a part does not.
        """
        stage = self._running.stage
        for member in self._running.cluster.members:
            stage.start_agent(member.name, as_it_stands=member.name == self._running.cluster.genesis)
        stage.start_control()
        for name in [*(member.name for member in self._running.cluster.members), "control"]:
            if not self._wait_for(name):
                raise ProcessFailed(f"{name} does not answer")

    def end_control(self, number: signal.Signals) -> None:
        """End the control plane, whoever it is."""
        self.points += 1
        self._chronicle.deed("control", "control", "killed" if number == signal.SIGKILL else "ended")
        for process in (self._running.stage._processes.get("control"), self._hostile):
            if process is not None and process.poll() is None:
                process.send_signal(number)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(40)
                    continue
                process.kill()
                process.wait()
        self._hostile = None

    def start_control(self) -> None:
        """Start the control plane where none runs."""
        if self.alive("control") or (self._hostile is not None and self._hostile.poll() is None):
            return
        self._chronicle.deed("control", "control", "back")
        self._running.stage.start_control()
        self._wait_for("control")

    def dying_agent(self, node: str, step: int) -> None:
        """Have a node's agent be one that dies right after so many of the things that its hands did."""
        if not self.alive(node):
            return
        self.end_agent(node, signal.SIGKILL)
        words = [sys.executable, "-m", "tests.faults.dying_agent", str(self._running.layout.node(node)), str(step)]
        self._chronicle.deed("agent", node, f"dies after {step} steps")
        self._running.stage._processes[node] = self._popen(words, node)
        self._wait_for(node)

    def dying_control(self, point: str, times: int) -> None:
        """Have the control plane be one that dies at a point, when it comes there for such a time."""
        self.end_control(signal.SIGKILL)
        self.mode, folder = "dying", self._running.layout.control.resolve()
        words = [sys.executable, "-m", "tests.faults.dying_control", str(folder), point, str(times)]
        self._chronicle.deed("control", "control", f"dies {point}, time {times}")
        self._running.stage._processes["control"] = self._hostile = self._popen(words, "control")
        self._wait_for("control")

    def become(self, mode: str) -> None:
        """Have the control plane be the one of a mode."""
        hostile = self._hostile is not None and self._hostile.poll() is None
        if hostile and self.mode == mode != "plain":
            return
        self.mode = mode
        if mode == "plain":
            if hostile:
                self.end_control(signal.SIGKILL)
            self.start_control()
            return
        self.end_control(signal.SIGKILL)
        folder, address = self._running.layout.control.resolve(), self._running.cluster.control
        self._chronicle.deed("control", "control", f"is now {mode}")
        self._hostile = self.courier(folder, address, mode)
        self._running.stage._processes["control"] = self._hostile
        self._wait_for("control")

    def courier(self, folder: Path, address: str, mode: str) -> subprocess.Popen[bytes]:
        """Start a control plane on a folder, at an address, in a mode."""
        words = [sys.executable, "-m", "tests.attack.courier", str(folder), address, mode, str(self.courier_out)]
        return self._popen(words, "courier")

    # Stopping and killing ---------------------------------------------------------------------------------------

    def postmaster(self, node: str) -> int | None:
        """Return a node's postmaster, if it lives."""
        with suppress(OSError, ValueError, IndexError):
            pid = abs(self._running.postmaster(node))
            if Path(f"/proc/{pid}").exists():
                return pid
        return None

    def kill_postgres(self, node: str) -> None:
        """Kill a node's postmaster."""
        pid = self.postmaster(node)
        if pid is not None:
            self.points += 1
            self._chronicle.deed("postgres", node, "killed hard")
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def backend(self, node: str, title: str) -> int | None:
        """Return one process of a node's PostgreSQL by its title."""
        pid = self.postmaster(node)
        found = backends(pid) if pid else {}
        return next((each for each, words in found.items() if f" {title}" in words), None)

    def kill_backend(self, node: str) -> None:
        """Kill a process of a node's PostgreSQL, which then starts all of them anew."""
        pid = self.backend(node, "walwriter") or self.backend(node, "checkpointer")
        if pid is not None:
            self.points += 1
            self._chronicle.deed("postgres", node, "killed")
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def freeze(self, pid: int | None, what: str, node: str) -> Callable[[], None]:
        """Stop a process; return what lets it go on."""
        if pid is None:
            return lambda: None
        self.points += 1
        self._chronicle.deed(what, node, "frozen")
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
        with self._lock:
            self._frozen[pid] = (what, node)
        return lambda: self.thaw(pid)

    def thaw(self, pid: int) -> None:
        """Let a stopped process go on."""
        with self._lock:
            known = self._frozen.pop(pid, None)
        if known is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
            self._chronicle.deed(*known, "thawed")

    def thaw_all(self) -> None:
        """Let every stopped process go on."""
        for pid in list(self._frozen):
            self.thaw(pid)

    # File systems -----------------------------------------------------------------------------------------------

    def put_on_small(self, folder: Path, room_bytes: int) -> bool:
        """Put a folder on a file system of its own that has so much room left; tell whether that is possible here."""
        if os.geteuid() != 0:
            self._chronicle.say("no small file system: only root may mount one")
            return False
        aside = folder.with_name(f"{folder.name}.aside")
        used = sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if not path.is_symlink())
        stat = folder.stat()
        folder.rename(aside)
        folder.mkdir(mode=stat.st_mode & 0o777)
        options = f"size={used + room_bytes},mode={stat.st_mode & 0o777:o},uid={stat.st_uid},gid={stat.st_gid}"
        words = ["mount", "-t", "tmpfs", "-o", options, "small", str(folder)]
        done = subprocess.run(words, check=False, capture_output=True)
        if done.returncode != 0:
            folder.rmdir()
            aside.rename(folder)
            self._chronicle.say(f"no small file system: {done.stderr.decode().strip()}")
            return False
        self._arena.mounted.append(folder)
        subprocess.run(["cp", "-a", "--sparse=always", f"{aside}/.", folder], check=True)
        shutil.rmtree(aside)
        self.small = folder
        return True

    def fill(self) -> Callable[[], None]:
        """Fill the small file system; return what frees it."""
        if self.small is None:
            return lambda: None
        self.points += 1
        self._chronicle.deed("disk", self.small.name, "full")
        filler = self.small / "filler"
        with suppress(OSError), filler.open("wb") as file:
            while True:
                file.write(bytes(1 << 16))
        self._fillers.append(filler)
        return lambda: self._free(filler)

    def _free(self, filler: Path) -> None:
        if filler.exists():
            filler.unlink()
            self._chronicle.deed("disk", self.small.name if self.small else "", "free")

    def protect(self) -> Callable[[], None]:
        """Make the small file system read-only, where nothing is open for writing; return what undoes it."""
        if self.small is None:
            return lambda: None
        folder = self.small
        done = subprocess.run(["mount", "-o", "remount,ro", folder], check=False, capture_output=True)
        if done.returncode != 0:
            self._chronicle.say(f"not read-only: {done.stderr.decode().strip()}")
            return lambda: None
        self.points += 1
        self._chronicle.deed("disk", folder.name, "read-only")
        self._protected.append(folder)
        return lambda: self._unprotect(folder)

    def _unprotect(self, folder: Path) -> None:
        if folder in self._protected:
            self._protected.remove(folder)
            subprocess.run(["mount", "-o", "remount,rw", folder], check=False, capture_output=True)
            self._chronicle.deed("disk", folder.name, "writable")

    # The end ----------------------------------------------------------------------------------------------------

    def mend(self, but: str = "") -> None:
        """Let every host come back: processes go on, disks have room, agents and the control plane run."""
        self.thaw_all()
        for filler in self._fillers:
            self._free(filler)
        for folder in list(self._protected):
            self._unprotect(folder)
        for member in self._running.cluster.members:
            if member.name != but:
                self.start_agent(member.name, leave_down=False)
        self.become("plain")

    def end_extra(self) -> None:
        """End what the adversary itself has started beside the cluster."""
        for process in self._extra:
            if process.poll() is None:
                process.kill()
            process.wait()

    def pause(self, milliseconds: int) -> None:
        """Let so much time pass."""
        time.sleep(milliseconds / 1000)
