"""A request whose outcome is unknown, in the browser: said so, never tried again, asked for, and established."""

import pytest
from playwright.sync_api import Browser

from tests.browser.browsing import Visitor
from tests.faults.conftest import Running
from tests.faults.dying import dying_agent

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize(("step", "result"), [(1, "not executed"), (3, "executed")])
def test_an_unknown_outcome_is_asked_for(fresh: Running, browser: Browser, step: int, result: str) -> None:
    """The agent dies in the midst; the page says unknown, offers only the question, and shows what it established."""
    visitor = Visitor(browser, fresh.layout)
    visitor.register()
    request = visitor.ask("follow", "n3", "its agent will die", upstream="n2")
    with dying_agent(fresh, "n3", step):
        visitor.press_confirm("n3")
        visitor.page.locator("#outcome").wait_for(timeout=60_000)
    assert visitor.state().split()[0] == "unknown"
    assert visitor.page.locator("#typed").count() == 0
    assert visitor.page.get_by_text("UNKNOWN, as the control plane says; no agent signed it").count() == 1
    visitor.picture("request-unknown")
    visitor.page.reload()
    assert fresh.api.events(request) == ["requested", "confirmed", "outcome"]
    other = visitor.ask("checkpoint", "n3", "before it is known")
    assert visitor.state() == "rejected"
    assert visitor.page.get_by_text("journal-settled").count() >= 1
    assert fresh.api.events(other) == ["rejected"]
    visitor.goto(f"/requests/{request}")
    visitor.page.get_by_role("button", name="Ask for the outcome").click()
    visitor.page.get_by_text("established afterwards").wait_for()
    assert visitor.state() == result
    assert visitor.page.get_by_role("button", name="Ask for the outcome").count() == 0
    visitor.picture("request-established")
    assert fresh.api.events(request) == ["requested", "confirmed", "outcome", "established"]
    visitor.close()
