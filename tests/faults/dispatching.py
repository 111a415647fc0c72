"""A confirmation under way, in a thread of its own, so that things can be done to the cluster meanwhile."""

import threading
from types import TracebackType
from typing import Self

from aerodb.errors import AeroError
from aerodb.protocol.api import Planned
from tests.faults.conftest import Running


class Confirming:
    """Confirms a plan; leaving the block waits for the answer, which is then in `result` ("": there was none)."""

    def __init__(self, running: Running, planned: Planned) -> None:
        """Begin nothing yet."""
        self.result = ""
        self._running, self._planned = running, planned
        self._thread = threading.Thread(target=self._confirm)

    def _confirm(self) -> None:
        try:
            self.result = self._running.api.confirm(self._planned).result
        except AeroError as error:
            self.result = error.executed

    @property
    def goes_on(self) -> bool:
        """Tell whether the answer is not there yet."""
        return self._thread.is_alive()

    def __enter__(self) -> Self:
        """Confirm."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the answer."""
        self._thread.join(120)
