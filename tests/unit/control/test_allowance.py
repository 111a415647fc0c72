"""How many refusals of a caller are recorded: bounded, and what is dropped is always counted."""

from hypothesis import given
from hypothesis import strategies as st

from aerodb.control.allowance import BURST, SECONDS_A_RECORD, Allowance


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        """Begin at zero."""
        self.seconds = 0.0

    def __call__(self) -> float:
        """Return what it shows."""
        return self.seconds


@given(st.lists(st.floats(0, 100), max_size=400))
def test_what_is_dropped_is_counted_and_the_rest_is_bounded(waits: list[float]) -> None:
    """Recorded and counted are together all that came; recorded are no more than is allowed, and a few that count."""
    clock = Clock()
    allowance = Allowance(clock)
    recorded = counted = 0
    for wait in waits:
        clock.seconds += wait
        dropped = allowance.take("eve")
        if dropped is not None:
            recorded, counted = recorded + 1, counted + dropped
    clock.seconds += SECONDS_A_RECORD
    last = allowance.take("eve")
    assert last is not None
    assert recorded + counted + last == len(waits)
    assert recorded <= BURST + clock.seconds / SECONDS_A_RECORD + len(str(len(waits)))


def test_nobody_uses_up_anothers_allowance() -> None:
    """However much one is refused, another's first refusal is recorded."""
    allowance = Allowance(Clock())
    for _ in range(10 * BURST):
        allowance.take("eve")
    assert allowance.take("mallory") == 0
