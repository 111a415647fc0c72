"""An agent that dies, as by SIGKILL, right after the N-th thing that its hands did. `python -m ... FOLDER N`."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aerodb.kernel.agent import Agent
from aerodb.kernel.events.observed import NodeObserved
from aerodb.kernel.hands import NodeHands
from aerodb.kernel.node import read_node
from aerodb.kernel.service import application
from aerodb.transport.server import Server, listen
from tests.faults.steps import CHANGING

LEFT = [int(sys.argv[2])]


def counted(found: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that counts down after it has worked."""

    def method(*arguments: Any) -> Any:
        if LEFT[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        result = found(*arguments)
        LEFT[0] -= 1
        if LEFT[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return method


class Counted:
    """The hands on one subject, counting."""

    def __init__(self, real: Any, names: tuple[str, ...]) -> None:
        """Keep the real ones, and which of their methods count."""
        self._real, self._names = real, names

    def __getattr__(self, name: str) -> Any:
        """Return a method; one that changes something counts."""
        found = getattr(self._real, name)
        return counted(found) if name in self._names else found


class DyingHands(NodeHands):
    """Real hands, that really do what they are told, a given number of times."""

    def __getattribute__(self, name: str) -> Any:
        """Return the method, or the subject, that counts down after it has worked."""
        found = super().__getattribute__(name)
        if name and name in CHANGING:
            return Counted(found, CHANGING[name])
        return counted(found) if name in CHANGING[""] else found


node = read_node(Path(sys.argv[1]))
bound = listen(node.member.agent)
agent = Agent(node, DyingHands)
made = application(agent, NodeObserved(agent, node))
Server(made, node.tls).run_on(bound, threading.Event())
