"""The suite passes beside other work: no example of hypothesis has a deadline."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


@given(st.integers())
def test_no_example_has_a_deadline(number: int) -> None:
    """By the profile of all tests, so that none has to say so, and none can forget to."""
    del number
    assert settings().deadline is None
    assert HealthCheck.too_slow in settings().suppress_health_check
