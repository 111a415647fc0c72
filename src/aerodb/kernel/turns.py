"""One operation at a time: who may begin one, which request is under way, and that none begins once the agent ends."""

import threading
from collections.abc import Callable

from aerodb.errors import AeroError
from aerodb.kernel.errors import AgentEnding, Busy


class Turns:
    """The turns of one node's operations. `taking` is held while it is decided whether one begins."""

    def __init__(self, name: str, begins: Callable[[], None]) -> None:
        """Have nothing under way on the node `name`; `begins` is called as each turn begins."""
        self.name, self._begins = name, begins
        self.taking = threading.Lock()
        self.working = threading.Lock()
        self.taken = ""
        """The request that is under way."""
        self.ending = False

    @property
    def busy(self) -> bool:
        """Tell whether an operation is under way."""
        return self.working.locked()

    def refuses_any(self) -> AeroError | None:
        """Return why no order at all is taken now, or None."""
        if self.ending:
            return AgentEnding(f"the agent of {self.name} is ending")
        if self.busy:
            return Busy(f"another action is under way on {self.name}")
        return None

    def take(self, request: str) -> None:
        """Begin the turn of a request."""
        self.working.acquire()
        self._begins()
        self.taken = request

    def release(self) -> None:
        """End the turn."""
        self.taken = ""
        self.working.release()
