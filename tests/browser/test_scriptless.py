"""Without scripts everything that reads works: signing in, every page, searching, proofs, downloads."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from playwright.sync_api import Browser, Page

from aerodb.local.person import Person
from aerodb.web.site import NAVIGATION, PAGES
from tests.browser.browsing import Visitor
from tests.faults.conftest import Running

pytestmark = pytest.mark.timeout(300)


class Reader(Visitor):
    """A person whose browser runs no script."""

    options: ClassVar[dict[str, Any]] = {"java_script_enabled": False}


@pytest.fixture(scope="module")
def request_id(shared: Running) -> str:
    """Return a request that was executed."""
    planned = shared.api.ask("follow", "n3", reason="to be read", upstream="n1")
    assert shared.api.confirm(planned).result == "executed"
    return planned.request


@pytest.fixture
def reader(shared: Running, request_id: str, browser: Browser) -> Iterator[Reader]:
    """Return the operator, signed in by the link and its button."""
    del request_id
    one = Reader(browser, shared.layout)
    one.goto("/keyboard")  # Its button waits for a script: so there is none.
    assert one.page.get_by_role("button", name="Turn shortcuts").count() == 0
    yield one
    one.close()


def test_every_page_is_read(reader: Reader, shared: Running, request_id: str) -> None:
    """Each page that there is, by its address: whole, with its heading, no part of it waiting for a script."""
    snapshot = re.search(r'"snapshot":"(sha256:[0-9a-f]{64})"', shared.api.decision(request_id).plan or "")
    assert snapshot
    values = {
        "{request}": request_id, "{digest}": snapshot[1], "{sequence}": "0", "{action}": "promote", "{node}": "n3",
        "{invariant}": "wal-prefix", "{procedure}": "switchover",
    }  # fmt: skip
    pages = [each.path for each in PAGES if each.method == "GET" and not each.for_scripts]  # A script's.
    for path in pages:
        for name, value in values.items():
            path = path.replace(name, value)  # noqa: PLW2901 - one place after the other.
        assert reader.goto(path) == 200, path
        assert reader.page.locator("main h1").is_visible(), path
        assert len(reader.page.locator("main").inner_text()) > 150, path


def test_every_section_is_reached_by_links(reader: Reader) -> None:
    """The navigation is links, and says where one is."""
    reader.goto("/")
    for section in NAVIGATION:
        sections = reader.page.get_by_role("navigation", name="Sections")
        sections.get_by_role("link", name=section.title, exact=True).click()
        reader.page.wait_for_url(f"{reader.origin}{section.path}")
        assert reader.page.locator("nav [aria-current=page]").inner_text() == section.title


def test_the_evidence_of_a_refusal_is_opened(reader: Reader) -> None:
    """A cell of the matrix opens, and its invariant's evidence can be read."""
    reader.goto("/now")
    cell = reader.page.locator("td details").first
    assert not cell.locator("ul").is_visible()
    cell.locator("summary").click()
    assert cell.locator("ul").is_visible()


def test_the_log_is_searched_and_proven_by_the_server(reader: Reader) -> None:
    """The search is a form; each record's proof was verified by the server, and the page says that it was."""
    reader.goto("/audit")
    reader.page.locator("input[type=search]").fill("to be READ")
    reader.page.locator("input[type=search]").press("Enter")
    reader.page.wait_for_url("**text=to+be+READ**")
    rows = reader.page.locator("[data-proof]")
    assert rows.count() >= 3
    said = reader.page.get_by_text(f"All {rows.count()} proofs hold: each record stands in the log")
    assert said.count() == 1
    assert said.is_visible()
    assert reader.page.get_by_text("Verified by the server").is_visible()
    reader.page.get_by_label("Event").select_option("confirmed")
    reader.page.locator("input[type=search]").press("Enter")
    reader.page.wait_for_url("**event=confirmed**")
    assert 0 < reader.page.locator("[data-proof]").count() < rows.count() + 3


def test_evidence_and_export_are_downloaded_and_verify(reader: Reader, shared: Running, request_id: str) -> None:
    """What is downloaded without a script is verified with no server."""
    person = Person(shared.layout.profile("auditor"), lambda _: None, colour=False)
    for path, button in ((f"/decisions/{request_id}", "Download the evidence"), ("/audit", "Export the log")):
        reader.goto(path)
        file = _downloaded(reader.page, button)
        said = person.types("audit", "verify", str(file), "--cluster", str(shared.layout.control / "cluster.json"))
        assert (said.code, "VERIFIED" in said.text) == (0, True), said.text


def _downloaded(page: Page, button: str) -> Path:
    with page.expect_download() as download:
        page.get_by_role("button", name=button).click()
    return Path(download.value.path())


def test_a_request_is_asked_for_and_confirmed_in_a_terminal(reader: Reader, shared: Running) -> None:
    """Asking is a form; what needs a script is hidden and says so; the terminal confirms."""
    request = reader.ask("follow", "n3", "asked without scripts", upstream="n1")
    assert reader.page.get_by_role("button", name="Confirm and have it executed").count() == 0
    assert reader.page.get_by_text(f"aerodb confirm {request}").is_visible()
    assert reader.terminal.types("confirm", request).code == 0
    reader.goto(f"/requests/{request}")
    assert reader.state() == "executed"
    assert shared.api.events(request) == ["requested", "confirmed", "outcome"]
    reader.goto("/authenticators")
    assert reader.page.get_by_role("button", name="Register an authenticator").count() == 0
    assert "scripts are off" in str(reader.page.locator("main noscript").text_content())


def test_signing_out_works(shared: Running, browser: Browser, request_id: str) -> None:
    """The session ends, and its pages say how to sign in."""
    del request_id
    one = Reader(browser, shared.layout, "auditor")
    one.page.get_by_role("button", name="Sign out").click()
    one.page.wait_for_url(f"{one.origin}/enter")
    assert one.page.get_by_text("aerodb web", exact=True).is_visible()
    assert one.goto("/audit") == 401
    one.close()
