"""An agent that dies, as by SIGKILL, right after the N-th thing that its hands did. `python -m ... FOLDER N`."""

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from aerodb.kernel.agent import Agent
from aerodb.kernel.events.observed import NodeObserved
from aerodb.kernel.hands import NodeHands
from aerodb.kernel.node import read_node
from aerodb.kernel.service import application
from aerodb.transport.server import Server, listen

CHANGING = (
    "cross",
    "write_standing",
    "accept_log",
    "detach",
    "attach",
    "checkpoint",
    "stop",
    "start",
    "promote",
    "write_term",
    "copy",
    "swap",
)
LEFT = [int(sys.argv[2])]


class DyingHands(NodeHands):
    """Real hands, that really do what they are told, a given number of times."""

    def __getattribute__(self, name: str) -> Any:
        """Return the method, counting down after it has worked."""
        found = super().__getattribute__(name)
        if name not in CHANGING:
            return found

        def counted(*arguments: Any) -> Any:
            if LEFT[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            result = found(*arguments)
            LEFT[0] -= 1
            if LEFT[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return counted


node = read_node(Path(sys.argv[1]))
bound = listen(node.member.agent)
agent = Agent(node, DyingHands)
made = application(agent, NodeObserved(agent, node))
Server(made, node.tls).run_on(bound, threading.Event())
