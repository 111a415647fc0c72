"""PostgreSQL held still: every one of its processes stopped, so that it neither answers nor hangs up."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.faults.conftest import Running


def _processes(running: Running, node: str) -> list[int]:
    postmaster = running.postmaster(node)
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text(encoding="ascii").split()
    return [postmaster, *map(int, children)]


@contextmanager
def held(running: Running, node: str) -> Iterator[None]:
    """Hold a node's PostgreSQL, and let it go on afterwards; the postmaster first, so that no process is added."""
    os.kill(running.postmaster(node), signal.SIGSTOP)
    processes = _processes(running, node)
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)
