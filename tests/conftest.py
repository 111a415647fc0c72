"""What holds for every test: nothing depends on how fast the machine is, or on how few files a user may open.

One checkout gives one answer: properties are tried with the same examples each time. New ones are searched for by
`pytest --hypothesis-profile=searching tests/unit`.
"""

import os
import resource
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("searching", UNHURRIED)
settings.register_profile("repeatable", UNHURRIED, derandomize=True)
settings.load_profile("repeatable")

# Some tests hold thousands of connections, and an ordinary user's usual limit is 1,024.
_, MOST = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (MOST, MOST))


@pytest.fixture(autouse=True)
def _umask_of_ones_own() -> Iterator[None]:
    """Give each test the umask that the run began with: a command that a test runs in this process sets its own."""
    before = os.umask(0o077)
    os.umask(before)
    yield
    os.umask(before)
