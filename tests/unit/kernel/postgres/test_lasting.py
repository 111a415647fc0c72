"""A long statement that is under way when an agent is told to end."""

import threading
from typing import Any, Self

import pytest

from aerodb.kernel.postgres import lasting
from aerodb.kernel.postgres.errors import StatementFailed
from aerodb.kernel.postgres.lasting import Lasting

PATIENCE_SECONDS = 60


class Slow:
    """A connection whose statement is sent only once somebody has cancelled it: that cancel is lost."""

    def __init__(self) -> None:
        """Begin with nothing sent."""
        self.held, self.cancelled, self.sent, self.over = (threading.Event() for _ in range(4))

    def __enter__(self) -> Self:
        """Be open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Be closed."""

    def execute(self, _: bytes) -> None:
        """Send the statement late, and run it until it is cancelled."""
        self.held.set()
        assert self.cancelled.wait(PATIENCE_SECONDS)
        self.sent.set()
        assert self.over.wait(PATIENCE_SECONDS)

    def cancel_safe(self, **_: Any) -> None:
        """Cancel what was sent; before that there is nothing to cancel."""
        if self.sent.is_set():
            self.over.set()
        self.cancelled.set()


def test_a_cancel_that_comes_before_the_statement_is_sent_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would run to its end, and the agent would wait for it; nothing begins afterwards."""
    monkeypatch.setattr(lasting, "AGAIN_SECONDS", 0.01)
    slow = Slow()
    found = Lasting(lambda _: slow)  # type: ignore[arg-type, return-value]
    running = threading.Thread(target=found.run, args=("select pg_sleep(3600)", 3600.0))
    running.start()
    assert slow.held.wait(PATIENCE_SECONDS)
    found.end()
    assert slow.over.is_set()
    running.join(PATIENCE_SECONDS)
    assert not running.is_alive()
    with pytest.raises(StatementFailed):
        found.run("checkpoint", 1.0)
    found.end()
