"""What a round writes down while it is played; several threads write at once. And the files that are watched."""

import json
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from aerodb.errors import AeroError
from aerodb.kernel.node import read_node
from aerodb.protocol import canonical
from aerodb.protocol.authority import Standing
from tests.attack.history import Call, Deed, Hand, Seen
from tests.faults.conftest import Running

WATCH_SECONDS = 0.03


class Chronicle:
    """One round's memory, and its diary: one line for everything, in order."""

    def __init__(self, diary: Path) -> None:
        """Begin; `diary` is the file for people."""
        self._lock = threading.Lock()
        self._diary = diary
        self.begin = time.time()
        self.calls: dict[str, Call] = {}
        self.hands: list[Hand] = []
        self.deeds: list[Deed] = []
        self.refused: list[str] = []
        self.inputs = 0

    def say(self, text: str) -> None:
        """Write a line into the diary."""
        with self._lock, self._diary.open("a", encoding="utf-8") as file:
            file.write(f"{time.time() - self.begin:8.3f}  {text}\n")

    def call(self, call: Call) -> None:
        """Remember how far a request came."""
        with self._lock:
            self.calls[call.request] = call
        done = f" -> {call.result} {call.code}" if call.answered else ""
        arguments = " ".join(f"{name} {value}" for name, value in call.arguments.items())
        verdict = "accepted" if call.accepted else "rejected"
        self.say(f"{call.request[:8]} {call.action} {call.target} {arguments}: {verdict}{done}")

    def hand(self, hand: Hand) -> None:
        """Remember what a hand did."""
        with self._lock:
            self.hands.append(hand)
            self.inputs += 1
        self.say(f"HAND {hand.kind} {hand.node} {hand.detail}")

    def deed(self, what: str, node: str, deed: str) -> None:
        """Remember what was done to a process."""
        with self._lock:
            self.deeds.append(Deed(what=what, node=node, deed=deed, at=time.time()))
        self.say(f"DEED {what} {node} {deed}")

    def more(self) -> None:
        """Count one more input."""
        with self._lock:
            self.inputs += 1


def standing_of(running: Running, node: str) -> Standing | None:
    """Return a node's durable standing, from its file; None where it cannot be read now."""
    with suppress(OSError, AeroError):
        return canonical.decode((running.layout.node(node) / "state" / "standing.json").read_bytes(), Standing)
    return None


def _pledges(standing: Standing) -> tuple[tuple[int, str], ...]:
    if standing.pledge is None:
        return ()
    document: dict[str, Any] = json.loads(standing.pledge.document)
    return ((document["term"], document["candidate"]),)


class Watcher:
    """Reads the nodes' small files again and again, and keeps every change."""

    def __init__(self, running: Running) -> None:
        """Watch nothing yet."""
        self._running = running
        self._homes = {
            member.name: None if member.witness else Path(read_node(running.layout.node(member.name)).file.home)
            for member in running.cluster.members
        }
        self.seen: list[Seen] = []
        self._last: dict[str, Seen] = {}
        self._marked: dict[str, tuple[object, ...]] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End, with one last look."""
        self._ending.set()
        self._thread.join(10)
        self._look()

    def _run(self) -> None:
        while not self._ending.is_set():
            self._look()
            self._ending.wait(WATCH_SECONDS)

    def _look(self) -> None:
        for node, home in self._homes.items():
            found = self._sight(node, home)
            if found is None:
                continue
            before = self._last.get(node)
            if before is None or found != _at(before, found.at):
                self.seen.append(found)
                self._last[node] = found

    def _marks(self, node: str, home: Path | None) -> tuple[object, ...]:
        """Return what changes with any of a node's small files: each of them is replaced, never written to."""
        paths = [self._running.layout.node(node) / "state" / "standing.json"]
        if home is not None:
            paths += [home / "conf" / "standing.conf", home / "data"]
        marks = list[object]()
        for path in paths:
            with suppress(OSError):
                stat = path.lstat()
                marks.append((stat.st_ino, stat.st_mtime_ns, stat.st_size))
        return tuple(marks)

    def _sight(self, node: str, home: Path | None) -> Seen | None:
        marks = self._marks(node, home)
        if marks == self._marked.get(node):
            return None
        standing = standing_of(self._running, node)
        if standing is None:
            return None
        upstream = folder = ""
        try:
            if home is not None:
                text = (home / "conf" / "standing.conf").read_text(encoding="utf-8")
                named = [line.removeprefix("# upstream: ") for line in text.splitlines() if line.startswith("# up")]
                upstream, folder = named[0] if named else "", str((home / "data").readlink())
        except OSError:
            return None
        self._marked[node] = marks
        return Seen(
            node=node, at=time.time(), pledges=_pledges(standing), upstream=upstream, folder=folder,
            granted=(standing.granted.term, standing.granted.node), role=standing.role,
        )  # fmt: skip


def _at(seen: Seen, at: float) -> Seen:
    return Seen(
        node=seen.node, at=at, pledges=seen.pledges, granted=seen.granted, role=seen.role, upstream=seen.upstream,
        folder=seen.folder,
    )  # fmt: skip
