"""While somebody looks at a page the world goes on: others decide, sessions end, nodes work; each is shown as it is."""

import pytest
from playwright.sync_api import Browser, Route

from tests.browser.browsing import Visitor
from tests.faults.conftest import Running
from tests.faults.test_lifecycle import child_of, stopped
from tests.faults.waiting import wait_until

pytestmark = pytest.mark.timeout(300)
WHY = "a test"
_TELLING = """() => {
  const status = document.querySelector("form[data-confirm] [role=status]");
  new MutationObserver(() => localStorage.setItem("said", status.textContent)).observe(status, { childList: true });
}"""
"""What the page says while the browser waits for the next one, which Playwright waits for before it reads anything."""


def test_what_a_shutdown_waits_for_is_shown_and_goes_on(fresh: Running, browser: Browser) -> None:
    """Who confirmed is told which receiver holds it up, and so is who opens its page; closing a page stops nothing."""
    visitor = Visitor(browser, fresh.layout)
    visitor.register()
    request = visitor.ask("demote", "n1", WHY, for_="n2")
    visitor.page.evaluate(_TELLING)
    with stopped(child_of(fresh, "n3", "walreceiver")):
        visitor.page.locator("#typed").fill("n1")
        button = visitor.page.get_by_role("button", name="Confirm and have it executed")
        button.dispatch_event("click")  # A click would wait for the page that follows.
        other = visitor.context.new_page()
        other.goto(f"{visitor.origin}/requests")
        wait_until(lambda: "still the receiver n3" in (other.evaluate("localStorage.getItem('said')") or ""))
        other.goto(f"{visitor.origin}/requests/{request}")  # Read any earlier, it would show the plan as it was then.
        other.get_by_role("heading", name="Under way on n1").wait_for()
        other.get_by_text("the agent waits for PostgreSQL to shut down: still the receiver n3").wait_for()
        assert other.get_by_role("button", name="Ask for the outcome").count() == 0
        visitor.page.close()
        visitor.page = other
        visitor.picture("request-under-way")
    other.locator("#outcome").wait_for(timeout=60_000)  # Its script reads the page anew when it is over.
    assert visitor.state() == "executed"
    assert fresh.api.events(request) == ["requested", "confirmed", "outcome"]
    visitor.close()


def test_a_plan_that_was_declined_meanwhile_is_said_to_be(shared: Running, visitor: Visitor) -> None:
    """Confirming it is refused with the reason and a way to its page; declining it again leads to that page."""
    request = visitor.ask("stop", "n3", WHY)
    stale = visitor.context.new_page()
    stale.goto(visitor.page.url)
    assert visitor.terminal.types("decline", request).code == 0
    visitor.press_confirm("n3")
    visitor.page.get_by_text("it was declined by who asked; ask anew").wait_for()
    assert visitor.page.get_by_text("not executed", exact=True).count() == 1
    visitor.page.locator(f"a[href='/requests/{request}']").click()
    visitor.page.get_by_text("This plan can no longer be confirmed").wait_for()
    assert visitor.state() == "declined"
    stale.get_by_role("button", name="Decline").click()
    stale.wait_for_url(f"**/requests/{request}")
    assert stale.get_by_text("This plan can no longer be confirmed").count() == 1
    assert [each for each in shared.api.events(request) if each != "refused"] == ["requested", "declined"]


def test_back_leads_to_what_is_so(shared: Running, visitor: Visitor) -> None:
    """From the page of what was executed, back offers nothing to confirm: no old copy of the plan's page is shown."""
    request = visitor.do("checkpoint", "n1", WHY)
    visitor.page.go_back()
    visitor.page.locator("#outcome").wait_for()
    assert visitor.page.url.endswith(request)
    assert visitor.page.locator("#typed").count() == 0
    assert shared.api.events(request) == ["requested", "confirmed", "outcome"]


def test_of_two_at_once_the_second_is_told_what_the_first_changed(shared: Running, visitor: Visitor) -> None:
    """Both plans were accepted; the node judges the second again, and says what holds no more."""
    request = visitor.ask("stop", "n3", WHY)
    assert visitor.terminal.types("stop", "n3", "--reason", WHY).code == 0
    visitor.press_confirm("n3")
    visitor.page.get_by_text("kernel.verdicts-differ").first.wait_for()
    assert visitor.page.get_by_text("running-fits violated: PostgreSQL on n3 is stopped").count() > 0
    assert visitor.state().split("\n")[0].startswith("not executed")
    assert shared.api.events(request) == ["requested", "confirmed", "outcome"]
    assert visitor.terminal.types("start", "n3", "--reason", WHY).code == 0


def test_a_session_that_ended_takes_nothing(shared: Running, visitor: Visitor) -> None:
    """Who confirms in a window that somebody signed out is told that nothing was taken, and can sign in anew."""
    request = visitor.ask("stop", "n3", WHY)
    other = visitor.context.new_page()
    other.goto(f"{visitor.origin}/")
    other.get_by_role("button", name="Sign out").click()
    other.wait_for_url("**/enter")
    visitor.press_confirm("n3")
    visitor.page.get_by_role("alert").wait_for()
    assert "nothing was recorded, confirmed or executed" in visitor.page.get_by_role("alert").inner_text()
    visitor.picture("session-ended")
    assert shared.api.events(request) == ["requested"]
    visitor.sign_in()
    visitor.goto(f"/requests/{request}")
    assert visitor.page.locator("#typed").count() == 1


def test_the_age_of_a_page_goes_on_while_a_laptop_is_closed(visitor: Visitor) -> None:
    """It is told by the clock on the wall, and said anew when the page is looked at again."""
    visitor.page.clock.install()
    visitor.goto("/")
    visitor.page.clock.set_system_time(visitor.page.evaluate("Date.now() / 1000 + 3 * 3600"))
    visitor.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    assert visitor.page.locator("[data-age]").inner_text() == "180 min ago"


def test_whether_writes_are_acknowledged_is_said_without_waiting_for_it(visitor: Visitor) -> None:
    """On pages about something else: they are whole before any node has answered; no answer is no claim."""
    line, held = visitor.page.locator("[data-writes]"), list[Route]()

    def hold(route: Route) -> None:
        held.append(route)

    def asked() -> Route:
        while not held:
            visitor.page.wait_for_timeout(10)  # Playwright hands routes over only while it waits.
        return held.pop()

    visitor.page.route("**/writes", hold)
    visitor.goto("/timeline")
    line.get_by_text("looking").wait_for()
    assert line.get_by_role("link").get_attribute("href") == "/"
    asked().continue_()
    line.locator(".mark.good").wait_for()
    assert line.inner_text().startswith("Writes: acknowledged by n1, survives")
    visitor.goto("/requests")
    asked().abort()
    line.get_by_text("not known: no answer").wait_for()
    assert line.locator(".mark").count() == 0
    visitor.goto("/requests")
    asked().fulfill(status=401, body="{}")
    line.get_by_text("not known: refused").wait_for()
    assert line.locator(".mark").count() == 0
