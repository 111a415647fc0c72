"""What holds for every test: nothing depends on how fast the machine is, or on how few files a user may open.

One checkout gives one answer: properties are tried with the same examples each time. New ones are searched for by
`pytest --hypothesis-profile=searching tests/unit`.
"""

import os
import resource
from collections import Counter
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import HealthCheck, settings

PLAYED_ON = "PostgreSQL"  # What a report calls the version that its test's cluster was of.

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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say of which PostgreSQLs the clusters were."""
    reports = [each for some in terminalreporter.stats.values() for each in some]
    if said := clusters_were(each for each in reports if isinstance(each, pytest.TestReport)):
        terminalreporter.write_line(said)


def clusters_were(reports: Iterable[pytest.TestReport]) -> str:
    """Say of which PostgreSQLs the clusters were, and in how many tests that ran; nothing if there were none."""
    ran = [each for each in reports if each.when == "call"]
    played = Counter(str(said) for each in ran for name, said in each.user_properties if name == PLAYED_ON)
    counted = [f"{version} in {times} test{'s' * (times > 1)}" for version, times in sorted(played.items())]
    return f"Clusters were of PostgreSQL {', '.join(counted)}." if counted else ""
