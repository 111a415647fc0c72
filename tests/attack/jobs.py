"""Rounds in a process of its own: one arena, kept from round to round."""

import os
import shutil
import signal
import tempfile
import traceback
from pathlib import Path

from tests.attack.arena import Arena
from tests.attack.rounds import Played, play
from tests.faults.conftest import PORTS_FROM, _folder_above

PORTS_A_JOB = 500
_OWN: list[tuple[Arena, Path]] = []


def one_round(seed: int, job: int, kept: Path, mutant: str = "") -> Played | str:
    """Play a round in this process's own arena; return what became of it, or how the harness failed."""
    if not _OWN:
        folder = Path(tempfile.mkdtemp(prefix="aerodb-attack-", dir=_folder_above()))
        _OWN.append((Arena(folder, PORTS_FROM + PORTS_A_JOB * job, mutant), folder))
    try:
        return play(_OWN[0][0], seed, kept)
    except Exception:  # noqa: BLE001 - the harness's own failure is said, and is no finding about the product
        return f"seed {seed}: {traceback.format_exc()}"


def prepare() -> None:
    """Have a process of rounds that is told to end take everything with it that it started."""

    def end(*_: object) -> None:
        leave()
        os._exit(1)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)


def leave() -> None:
    """Remove this process's arena."""
    for arena, folder in _OWN:
        arena.end()
        shutil.rmtree(folder, ignore_errors=True)
    _OWN.clear()
