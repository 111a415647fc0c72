"""Two people sign one plan in the browser, each with an authenticator of their own, or nothing is sent."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from aerodb.protocol.api import AWAITS_SECOND
from tests.browser.browsing import Visitor
from tests.faults.conftest import Running
from tests.faults.test_configure import second_operator
from tests.faults.test_second_person import everywhere, stopped

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def two(fresh: Running, browser: Browser) -> Iterator[tuple[Visitor, Visitor]]:
    """Return two operators of a cluster of their own, each in front of a window, with an enrolled authenticator."""
    second_operator(fresh)
    people = Visitor(browser, fresh.layout), Visitor(browser, fresh.layout, "auditor")
    for each in people:
        each.register()
    yield people
    for each in people:
        each.close()


def signs(visitor: Visitor, request: str) -> None:
    """Read the plan of a request on its page, type the node's name, and touch the authenticator."""
    visitor.goto(f"/requests/{request}")
    form = visitor.page.locator("form[data-confirm]")
    visitor.page.locator("#typed").fill(str(form.get_attribute("data-target")))
    form.get_by_role("button").first.click()


def test_two_people_stop_a_node_in_the_browser(two: tuple[Visitor, Visitor], fresh: Running) -> None:
    """The first signature alone sends nothing; both pages say who is awaited; the other's touch has it executed."""
    first, second = two
    everywhere(fresh, "--second-person", "running")
    request = first.ask("stop", "n3", "two people stop it")
    assert first.page.get_by_text("A SECOND PERSON must sign this plan after operator").first.is_visible()
    second.goto(f"/requests/{request}")
    assert second.page.locator("form[data-confirm]").count() == 0
    signs(first, request)
    first.page.get_by_text("It awaits a second person").wait_for()
    assert (first.state(), stopped(fresh)) == (AWAITS_SECOND, False)
    first.picture("second-awaited")
    assert first.page.locator("form[data-confirm]").count() == 0
    second.goto(f"/requests/{request}")
    second.page.get_by_role("heading", name="Sign as the second person").wait_for()
    second.picture("second-signs")
    signs(second, request)
    second.page.locator("#outcome").wait_for(timeout=60_000)
    assert (second.state(), stopped(fresh)) == ("executed", True)
    second.goto(f"/decisions/{request}")
    assert second.page.get_by_text("By the second person").count() == 1
    second.picture("second-decision")
