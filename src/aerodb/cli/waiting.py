"""While a person waits for an outcome they are told, beside it, what the node does for their request.

- Asking is looking: it changes and records nothing, and nothing hangs on it. If it fails, nothing is shown.
- It ends with the wait: once that is over nothing is asked or shown any more.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from aerodb.cli.profile import Profile
from aerodb.cli.session import READ_TIMEOUT_SECONDS, Session, read
from aerodb.cli.terminal import Terminal, escape
from aerodb.errors import AeroError
from aerodb.protocol.api import Status
from aerodb.protocol.plan import Request
from aerodb.views.observed import observe, step_of

ASK_SECONDS = 2.0
"""How long a person waits before the node is asked what it does, and between two askings."""


class _Watch:
    """Tells a person what a node does, until the wait is over."""

    def __init__(self, terminal: Terminal) -> None:
        """Begin with nothing shown."""
        self._terminal = terminal
        self._lock = threading.Lock()
        self._shown = False
        self.over = threading.Event()

    def show(self, text: str) -> None:
        """Show what the node does in place of what was shown before, unless the wait is over."""
        with self._lock:
            if text and not self.over.is_set():
                self._shown = True
                self._terminal.progress(escape(text))

    def end(self) -> None:
        """Take away what is shown; nothing is shown from now on."""
        with self._lock:
            self.over.set()
            if self._shown:
                self._terminal.progress("")


@contextmanager
def telling(session: Session, profile: Profile, asked: Request, ask_seconds: float = ASK_SECONDS) -> Iterator[None]:
    """Tell whoever waits in this block what the target of a request does for it; only where a person watches."""
    if not session.terminal.stderr.isatty():
        yield
        return
    watch = _Watch(session.terminal)

    def ask() -> None:
        while not watch.over.wait(ask_seconds):
            with suppress(AeroError):
                status = read(session.connect(profile, READ_TIMEOUT_SECONDS).get("/v1/status"), Status)
                watch.show(step_of(observe(profile.cluster, status), asked.target, asked.id))

    threading.Thread(target=ask, name="telling", daemon=True).start()
    try:
        yield
    finally:
        watch.end()
