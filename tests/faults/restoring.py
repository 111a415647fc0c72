"""A log's backup that is put back, on a cluster whose nodes have seen more since."""

import signal
from collections.abc import Callable
from pathlib import Path

import msgspec

from aerodb.audit.store import back_up, restore
from aerodb.protocol.marks import Mark, mark_of, stated_mark
from tests.faults.conftest import Running


class RestoredLog(msgspec.Struct, frozen=True, kw_only=True):
    """What was put back, and what each node had seen by then."""

    restored: Mark
    seen: dict[str, Mark | None]

    def named(self, node: str) -> dict[str, str]:
        """Return the arguments by which a node accepts it."""
        return {"seen": str(self.seen[node]), "restored": str(self.restored)}


def stop_control(running: Running) -> None:
    """Stop the control plane as its host would."""
    process = running.stage.process("control")
    process.send_signal(signal.SIGTERM)
    process.wait(60)


def start_control(running: Running) -> None:
    """Start the control plane."""
    running.stage.start_control()
    running.stage.wait_for("control")


def seen_by_all(running: Running) -> dict[str, Mark | None]:
    """Return what each node has seen of the log."""
    return {name: stated_mark(running.impostor.facts(name).checkpoint) for name in running.cluster.data_nodes}


def restored_log(running: Running, meanwhile: Callable[[], object], backup: Path | None = None) -> RestoredLog:
    """Back the log up while it is in use, do something, and put the backup back; the control plane runs again."""
    file, folder = backup or running.layout.root / "log.backup", running.layout.control / "log"
    vkey = running.cluster.log_key
    verified = back_up(folder, file, vkey)
    meanwhile()
    seen = seen_by_all(running)
    stop_control(running)
    restore(file, folder, vkey)
    start_control(running)
    return RestoredLog(restored=mark_of(verified.size, verified.checkpoint.root), seen=seen)
