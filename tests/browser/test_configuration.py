"""People changed in the browser: enrolled, re-keyed, revoked by an authenticator's touch, and taken by each node."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from playwright.sync_api import Browser

from aerodb.local.person import Person
from aerodb.protocol.sshkey import of_public
from tests.browser.browsing import Visitor
from tests.browser.test_scriptless import Reader
from tests.faults.conftest import Running
from tests.faults.test_configure import versions

pytestmark = pytest.mark.timeout(600)
NARROW = {"width": 390, "height": 844}
ROW_PIXELS_MAX = 220


@pytest.fixture
def operator(fresh: Running, browser: Browser) -> Iterator[Visitor]:
    """Return the operator in front of a cluster of their own, with an endorsed authenticator."""
    one = Visitor(browser, fresh.layout)
    one.register()
    yield one
    one.close()


def issued(running: Running, name: str) -> str:
    """Make somebody's profile as the command line does; return their public key."""
    words = ["certificate", "issue", name, "--role", "operator", "--folder", str(running.layout.root)]
    subprocess.run([sys.executable, "-m", "aerodb", *words], env=os.environ, capture_output=True, check=True)
    return (running.layout.profile(name) / "id_ed25519.pub").read_text(encoding="utf-8")


def chosen(visitor: Visitor, kind: str, node: str) -> None:
    """Choose what to change and where, as a person who begins at the page; its form is then there."""
    visitor.goto("/")
    visitor.page.get_by_role("link", name="Configuration", exact=True).click()
    visitor.page.get_by_role("link", name="Change it").click()
    visitor.page.locator(f"input[name=node][value={node}]").check()
    visitor.page.locator(f"input[name=kind][value={kind}]").check()
    visitor.page.get_by_role("button", name="Go on").click()
    visitor.page.locator("#reason").wait_for()
    assert visitor.page.locator("main input:checked").count() == 0


def sent(visitor: Visitor, reason: str) -> None:
    """Give the reason, send the form, and confirm the plan that follows; it must be executed."""
    visitor.page.locator("#reason").fill(reason)
    visitor.page.get_by_role("button", name="Make the plan").click()
    visitor.page.wait_for_url("**/requests/*")
    node = str(visitor.page.locator("form[data-confirm]").get_attribute("data-target"))
    visitor.press_confirm(node)
    visitor.page.locator("#outcome").wait_for(timeout=60_000)
    assert visitor.state() == "executed", visitor.page.locator("main").inner_text()


def taken_elsewhere(visitor: Visitor, running: Running, version: int) -> None:
    """Have every other node take the version, each by the link that the page has beside it."""
    for node in ("n2", "n3"):
        visitor.goto("/configuration")
        visitor.page.get_by_role("link", name=f"Ask {node} to take the next").click()
        sent(visitor, f"{node} takes it")
    assert set(versions(running).values()) == {version}
    visitor.goto("/configuration")
    assert visitor.page.get_by_role("link", name="Ask n").count() == 0


def fits(visitor: Visitor, path: str) -> None:
    """Hold a page to fit: its tables into a wide window, all else into a narrow one, whatever it holds."""
    visitor.goto(path)
    for table in visitor.page.locator(".panel.scroll").all():
        assert table.evaluate("panel => panel.scrollWidth <= panel.clientWidth"), path
    visitor.page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"], path
    rows = visitor.page.locator("tbody tr").evaluate_all("rows => rows.map(row => row.getBoundingClientRect().height)")
    assert max(rows, default=0) <= ROW_PIXELS_MAX, path
    visitor.page.set_viewport_size({"width": 1360, "height": 900})


def test_enrolled_rekeyed_and_revoked_in_the_browser(operator: Visitor, fresh: Running) -> None:
    """From the form to every node: who was enrolled acts, by their new key after it changed, and then no more."""
    page, line, base = operator.page, issued(fresh, "alice"), max(versions(fresh).values())
    alice = Person(fresh.layout.profile("alice"), lambda _: None, colour=False)
    assert "not enrolled" in alice.types("whoami").text
    chosen(operator, "enrol", "n1")
    operator.picture("configuration-form")
    page.locator("#name").fill("operator")
    page.locator("input[name=role][value=operator]").check()
    page.locator("#key").fill(line)
    page.locator("#reason").fill("alice joins")
    page.get_by_role("button", name="Make the plan").click()
    page.get_by_text("operator is enrolled already").wait_for()
    operator.picture("configuration-form-refused")
    assert page.locator("#key").input_value().strip() == line.strip()
    assert page.locator("input[name=role]:checked").input_value() == "operator"
    page.locator("#name").fill("alice")
    sent(operator, "alice joins")
    assert alice.types("whoami").code == 0
    taken_elsewhere(operator, fresh, base + 1)
    assert alice.types("checkpoint", "n2", "--reason", "alice acts").code == 0

    key = Ed25519PrivateKey.generate()
    chosen(operator, "re-key", "n1")
    page.locator("input[name=name][value=alice]").check()
    page.locator("#key").fill(of_public(key.public_key()).line)
    sent(operator, "alice lost her key")
    assert page.get_by_role("link", name="Configuration").count() == 2  # Beside the section's: who takes it next.
    fits(operator, f"/decisions/{page.url.rpartition('/')[2]}")
    fits(operator, "/configuration/change?node=n2&kind=take")
    assert alice.types("checkpoint", "n1", "--reason", "by the old key").code != 0
    taken_elsewhere(operator, fresh, base + 2)
    fits(operator, "/requests")
    fits(operator, "/audit")
    operator.picture("requests-of-people")

    chosen(operator, "revoke", "n1")
    page.locator("input[name=name][value=alice]").check()
    sent(operator, "alice leaves")
    fits(operator, "/configuration")
    assert page.get_by_text(f"On n2 version {base + 3} does not hold yet (revoke alice)").count() == 1
    operator.picture("configuration")
    assert "alice is revoked" in alice.types("whoami").text
    taken_elsewhere(operator, fresh, base + 3)
    words = " ".join(page.locator("h2#words ~ .raw").inner_text().split())
    log = str(fresh.layout.control / "log")
    said = operator.terminal.types("audit", "verify", log, "--trust", words)
    assert said.code == 0, said.text
    assert operator.terminal.types("configuration").code == 0


def test_without_scripts_a_change_is_asked_for_and_confirmed_in_a_terminal(shared: Running, browser: Browser) -> None:
    """Choosing, the form, its errors and the page are plain pages; the terminal confirms."""
    reader = Reader(browser, shared.layout)
    chosen(reader, "re-role", "n1")
    reader.page.locator("input[name=name][value=observer]").check()
    reader.page.locator("input[name=role][value=observer]").check()
    reader.page.locator("#reason").fill("without scripts")
    reader.page.get_by_role("button", name="Make the plan").click()
    reader.page.get_by_text("observer is observer already").wait_for()
    assert reader.page.locator("input[name=name]:checked").input_value() == "observer"
    reader.page.locator("input[name=role][value=auditor]").check()
    reader.page.get_by_role("button", name="Make the plan").click()
    reader.page.wait_for_url("**/requests/*")
    request = reader.page.url.rpartition("/")[2]
    said = reader.terminal.types("confirm", request)
    assert said.code == 0, said.text
    reader.goto("/configuration")
    assert reader.page.get_by_text("makes observer auditor; before: observer").is_visible()
    reader.close()


def test_a_form_that_became_a_request_leads_to_it(shared: Running, browser: Browser) -> None:
    """Going back to a form that was sent, and a double click on it, lead to the one request that it made."""
    one = Visitor(browser, shared.layout)
    chosen(one, "enrol", "n1")
    one.page.locator("#name").fill("zoe")
    one.page.locator("input[name=role][value=observer]").check()
    one.page.locator("#reason").fill("zoe joins")
    one.page.get_by_role("button", name="Make the plan").dblclick()
    one.page.locator("#plan").wait_for()
    request = one.page.url.rpartition("/")[2]
    one.page.go_back()
    one.page.locator("#plan").wait_for()
    assert one.page.url.endswith(request)
    assert shared.api.events(request) == ["requested"]
    one.close()
