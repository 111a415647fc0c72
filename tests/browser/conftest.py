"""Debian's Chromium in front of a real cluster. These run by `make test-browser`, never by `make test`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.browsing import Visitor, chromium
from tests.faults.conftest import Running, fresh, ground, one_ground, ports_from, shared

__all__ = ["fresh", "ground", "one_ground", "ports_from", "shared"]  # The same real clusters as the faults' tests.


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test here; each runs a real browser, and real processes behind it."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Return one browser for all tests; every visitor has a window of their own."""
    with chromium() as running:
        yield running


@pytest.fixture
def visitor(shared: Running, browser: Browser) -> Iterator[Visitor]:
    """Return the operator in front of a window, with an enrolled authenticator."""
    one = Visitor(browser, shared.layout)
    one.register()
    yield one
    one.close()
