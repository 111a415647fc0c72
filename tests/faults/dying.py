"""An agent that dies in the midst of an operation, in the place of a node's own."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aerodb.errors import AeroError
from tests.faults.conftest import Running
from tests.faults.waiting import wait_until

ROOT = Path(__file__).parents[2]


@contextmanager
def dying_agent(running: Running, node: str, step: int) -> Iterator[None]:
    """Run an agent that dies right after the `step`th thing that it does; the node's own one comes back afterwards.

    The block must have it die; PostgreSQL is left as it then is.
    """
    running.stage.kill(node)
    dying = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.dying_agent", str(running.layout.node(node)), str(step)], cwd=ROOT
    )
    try:
        wait_until(lambda: _answers(running, node))
        yield
        assert dying.wait(60) == -9
    finally:
        dying.kill()
        dying.wait()
        running.stage.start_agent(node, leave_down=True)
        running.stage.wait_for(node)


def _answers(running: Running, node: str) -> bool:
    try:
        running.impostor.facts(node)
    except AeroError:
        return False
    return True
