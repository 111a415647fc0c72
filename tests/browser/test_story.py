"""A whole story in the browser: switchover, rejection, failover; every page pictured and accessible, light and dark."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from aerodb.local.demo import kill_postgres
from tests.browser.browsing import Visitor
from tests.faults.conftest import Running
from tests.faults.waiting import wait_until

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def operator(shared: Running, browser: Browser) -> Iterator[Visitor]:
    """Return the operator, who stays for the whole story."""
    one = Visitor(browser, shared.layout)
    yield one
    one.close()


def test_the_story(shared: Running, operator: Visitor) -> None:
    """Signing in, an authenticator, a planned switchover, a rejection, a failover: all by hand, all pictured."""
    _looking(operator)
    _registering(operator)
    _switchover(operator)
    _rejection(operator)
    _failover(shared, operator)
    _reading_afterwards(operator)


def test_other_roles(shared: Running, browser: Browser) -> None:
    """A role sees what it may, and redactions as redactions; an auditor's sensitive reading is recorded."""
    observer = Visitor(browser, shared.layout, "observer")
    observer.goto("/")
    assert observer.page.get_by_role("heading", name="Redacted").count() == 1
    observer.picture("cluster-observer")
    assert observer.goto("/audit") == 403
    observer.picture("audit-refused")
    observer.close()
    auditor = Visitor(browser, shared.layout, "auditor")
    auditor.goto("/")
    before = shared.api.status().log_size
    auditor.page.get_by_role("button", name="Show the sensitive facts").click()
    auditor.page.get_by_role("heading", name="Redacted").wait_for(state="detached")
    assert shared.api.status().log_size == before + 1
    auditor.close()


def _looking(operator: Visitor) -> None:
    for path, name in (
        ("/", "cluster"), ("/nodes/n3", "node"), ("/now", "now"), ("/requests", "requests-none"),
        ("/requests/new", "request-choice"),
        ("/actions", "actions"), ("/actions/promote", "action"), ("/roles", "roles"), ("/keyboard", "keyboard"),
    ):  # fmt: skip
        assert operator.goto(path) == 200
        operator.picture(name)


def _registering(operator: Visitor) -> None:
    operator.goto("/authenticators")
    operator.picture("authenticators-none")
    operator.register()
    assert operator.page.get_by_text("enrolled", exact=True).count() == 1
    operator.picture("authenticators")


def _switchover(operator: Visitor) -> None:
    why = "maintenance of n1"
    operator.fill("follow", "n3", why, upstream="n2")
    operator.picture("request-form")
    operator.do("follow", "n3", why, upstream="n2")
    operator.goto("/")
    operator.picture("cluster-cascade")
    request = operator.ask("demote", "n1", why, for_="n2")
    for folded in operator.page.locator("article summary").all():
        folded.click()
    operator.picture("request-planned")
    words = operator.page.locator("ol.words").inner_text().split()
    assert f"words         {' '.join(words)}" in operator.terminal.types("show", request).text
    operator.press_confirm("n1")
    operator.page.locator("#outcome").wait_for()
    assert operator.state() == "executed"
    operator.do("promote", "n2", why)
    operator.picture("request-executed")
    operator.do("follow", "n1", why, upstream="n2")


def _rejection(operator: Visitor) -> None:
    operator.ask("promote", "n3", "somebody is in a hurry")
    assert operator.state() == "rejected"
    assert operator.page.locator("#typed").count() == 0
    operator.picture("request-rejected")
    why = operator.page.locator(".judged h3")
    assert [each.inner_text().split()[0] for each in why.all()] == ["Election", "Commit"]
    why.get_by_role("link", name="election-quorum").click()
    operator.page.get_by_role("heading", name="Election quorum").wait_for()
    operator.picture("invariant")


def _failover(shared: Running, operator: Visitor) -> None:
    kill_postgres(shared.layout, "n2")
    shared.stage.kill("n2")
    why = "n2 is dead"
    operator.goto("/")
    assert operator.page.get_by_text("n2 could not be observed").count() == 1
    operator.picture("cluster-primary-dead")
    operator.page.get_by_role("link", name="n2", exact=False).first.click()
    operator.page.get_by_role("heading", name="n2: not observed").wait_for()
    operator.picture("node-silent")
    operator.goto("/now")
    operator.picture("now-primary-dead")
    for node in ("n3", "n1"):
        operator.do("fence", node, why, for_="n3")
    operator.do("promote", "n3", why)
    operator.do("follow", "n1", why, upstream="n3")
    wait_until(lambda: _primary(operator) == "n3")


def _audit(operator: Visitor) -> None:
    operator.goto("/audit")
    operator.page.get_by_text("proven in this browser").first.wait_for()
    operator.picture("audit")
    operator.page.keyboard.press("/")
    operator.page.keyboard.type("HURRY")
    operator.page.keyboard.press("Enter")
    operator.page.wait_for_url("**text=HURRY**")
    assert operator.page.locator("tbody tr").count() == 1
    assert operator.page.locator("tbody").get_by_text("rejected", exact=True).count() == 1
    with operator.page.expect_download() as download:
        operator.page.get_by_role("button", name="Export the log").click()
    said = operator.terminal.types("audit", "verify", str(download.value.path()))
    assert said.code == 0, said.text


def _timeline(operator: Visitor) -> None:
    operator.goto("/timeline")
    operator.picture("timeline")
    operator.page.get_by_role("link", name="as of then").first.click()
    operator.page.get_by_role("heading", name="The cluster as of then").wait_for()
    operator.picture("as-of")


def _primary(operator: Visitor) -> str:
    operator.goto("/")
    return str(operator.page.locator(".map .box.primary b").first.text_content())


def _reading_afterwards(operator: Visitor) -> None:
    operator.goto("/requests")
    operator.picture("requests")
    operator.page.locator("tbody a").nth(1).click()
    operator.page.get_by_role("link", name="The decision, its proofs and its replay").click()
    operator.page.get_by_text("proven in this browser").first.wait_for()
    assert operator.page.get_by_text("identical").count() == 1
    assert operator.page.get_by_text("NOT PROVEN").count() == 0
    operator.picture("decision")
    with operator.page.expect_download() as download:
        operator.page.get_by_role("button", name="Download the evidence").click()
    said = operator.terminal.types("audit", "verify", str(download.value.path()))
    assert said.code == 0, said.text
    _audit(operator)
    _timeline(operator)
    operator.goto("/audit/1")
    operator.page.get_by_text("proven in this browser").wait_for()
    operator.picture("record")
    assert operator.goto("/requests/00000000-0000-4000-8000-000000000000") == 404
    operator.picture("error")
