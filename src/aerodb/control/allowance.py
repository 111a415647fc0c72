"""How many refusals of one caller the log takes: whoever may not act must not be able to fill it.

- A caller has BURST records, and one more a minute. What is beyond that is counted, by caller, and not recorded.
- The count stands in the caller's next record; and the first, the tenth, the hundredth ... beyond is recorded all the
  same, with the count. So the log always tells how many there were, to the order of their magnitude at least.
- What is not recorded was refused before anything was begun: no plan was made, nobody signed anything. Its id is as
  free as one that never came.
"""

import threading
from collections.abc import Callable

from aerodb.logs import is_told

BURST = 20
SECONDS_A_RECORD = 60.0


class _Account:
    """What one caller has left, as of an instant; how many came beyond, and were dropped since the last record."""

    def __init__(self, at: float) -> None:
        self.left, self.at = float(BURST), at
        self.dropped = self.beyond = 0


class Allowance:
    """Every caller's account. The clock only says how much is recorded, and decides nothing."""

    def __init__(self, now: Callable[[], float]) -> None:
        """Begin; `now` is seconds of a clock that never goes back."""
        self._now = now
        self._lock = threading.Lock()
        self._accounts: dict[str, _Account] = {}

    def take(self, who: str) -> int | None:
        """Return how many refusals of a caller were dropped before this one, or None where this one is dropped too."""
        with self._lock:
            now = self._now()
            account = self._accounts.setdefault(who, _Account(now))
            account.left = min(float(BURST), account.left + (now - account.at) / SECONDS_A_RECORD)
            account.at = now
            if account.left < 1:
                account.beyond += 1
                if not is_told(account.beyond):
                    account.dropped += 1
                    return None
            else:
                account.left -= 1
            dropped, account.dropped = account.dropped, 0
            return dropped
