"""Never a second request, never a confirmation that was not given; and nothing without a touch by the right person."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
from playwright.sync_api import Browser, Error, Page

from tests.browser.browsing import Visitor, another
from tests.faults.conftest import Running

pytestmark = pytest.mark.timeout(300)
WHY = "a test"


def _requests(shared: Running) -> int:
    return len(json.loads(shared.api.client.get("/v1/requests"))["requests"])


def test_without_a_touch_nothing_is_executed(shared: Running, visitor: Visitor) -> None:
    """An authenticator that nobody touches answers nothing, so nothing is confirmed or sent."""
    request = visitor.ask("stop", "n3", WHY)
    visitor.present(touching=False)
    visitor.page.evaluate(_ABORTING)
    visitor.press_confirm("n3")
    visitor.page.get_by_text("Waiting for your authenticator.").wait_for()
    visitor.page.evaluate("window.aborting.abort()")
    visitor.page.get_by_text("Nothing was sent.").wait_for()
    assert shared.api.events(request) == ["requested"]


_ABORTING = """() => {
  window.aborting = new AbortController();
  const get = navigator.credentials.get.bind(navigator.credentials);
  navigator.credentials.get = (options) => get({ ...options, signal: window.aborting.signal });
}"""
"""The person presses Cancel in the browser's own dialogue, which no script can reach: the signal does the same."""


def test_someone_else_at_the_authenticator_executes_nothing(shared: Running, visitor: Visitor) -> None:
    """Where the authenticator does not know who holds it, it signs nothing."""
    request = visitor.ask("stop", "n3", WHY)
    visitor.verified(known=False)
    visitor.press_confirm("n3")
    visitor.page.get_by_text("Nothing was sent.").wait_for()
    assert shared.api.events(request) == ["requested"]


def test_the_nodes_name_must_be_typed(shared: Running, visitor: Visitor) -> None:
    """The browser does not send the form while another name stands in it."""
    request = visitor.ask("stop", "n3", WHY)
    visitor.press_confirm("n2")
    assert visitor.page.url.endswith(request)
    assert shared.api.events(request) == ["requested"]


def test_an_assertion_for_one_plan_confirms_no_other(shared: Running, visitor: Visitor) -> None:
    """What an authenticator signed for one plan is refused for another, and the refusal is recorded."""
    visitor.ask("stop", "n3", WHY)
    response = visitor.page.evaluate(_ASSERTION)
    other = visitor.ask("stop", "n2", WHY)
    visitor.page.evaluate(_SENDING, response)
    visitor.page.get_by_text("kernel.signature-invalid").wait_for()
    assert visitor.page.get_by_text("not executed").count() == 1
    assert shared.api.events(other) == ["requested", "refused"]


_ASSERTION = """async () => {
  const options = JSON.parse(document.querySelector("form[data-confirm]").dataset.options);
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  return JSON.stringify((await navigator.credentials.get({ publicKey })).toJSON());
}"""
_SENDING = """(response) => {
  const form = document.querySelector("form[data-confirm]");
  form.elements.response.value = response;
  form.elements.typed.value = form.dataset.target;
  form.submit();
}"""


def test_a_double_click_asks_once(shared: Running, visitor: Visitor) -> None:
    """Two clicks on one form are one request."""
    visitor.fill("stop", "n3", WHY)
    before = _requests(shared)
    visitor.page.get_by_role("button", name="Make the plan").dblclick()
    visitor.page.locator("#plan").wait_for()
    assert _requests(shared) == before + 1


def test_reload_and_back_ask_once(shared: Running, visitor: Visitor) -> None:
    """Reloading the plan, going back to its form, and forward again: all lead to the one request."""
    request = visitor.ask("stop", "n3", WHY)
    before = _requests(shared)
    visitor.page.reload()
    assert visitor.page.url.endswith(request)
    visitor.page.go_back()
    visitor.page.locator("#plan").wait_for()
    assert visitor.page.url.endswith(request)
    assert _requests(shared) == before


def test_two_tabs_ask_once(shared: Running, visitor: Visitor) -> None:
    """The same form in two tabs is one request; the second tab is led to it."""
    visitor.fill("stop", "n3", WHY)
    second = visitor.context.new_page()
    second.goto(visitor.page.url)
    second.locator("input[name=target][value=n3]").check()
    second.locator("#reason").fill(WHY)
    before = _requests(shared)
    for page in (visitor.page, second):
        page.get_by_role("button", name="Make the plan").click()
        page.locator("#plan").wait_for()
    assert visitor.page.url == second.url
    assert _requests(shared) == before + 1


def test_another_request_by_the_same_form_is_refused(shared: Running, visitor: Visitor) -> None:
    """A second tab that asks for something else by the same form is told which request the form made."""
    visitor.fill("stop", "n3", WHY)
    second = visitor.context.new_page()
    second.goto(visitor.page.url)
    second.locator("input[name=target][value=n2]").check()
    second.locator("#reason").fill(WHY)
    visitor.page.get_by_role("button", name="Make the plan").click()
    visitor.page.locator("#plan").wait_for()
    before = _requests(shared)
    second.get_by_role("button", name="Make the plan").click()
    second.get_by_text("input.idempotency-key-reused").wait_for()
    assert _requests(shared) == before


def _lost(page: Page) -> None:
    """Return when the browser shows its own page for a lost connection."""
    while not page.url.startswith("chrome-error:"):
        with suppress(Error):  # Waiting fails too where the navigation fails while it waits.
            page.wait_for_url("chrome-error://**")


class Losing:
    """The way between one browser and the admin UI, on which answers can be lost: what is sent arrives all the same."""

    def __init__(self, address: str) -> None:
        """Listen; nothing is lost yet."""
        host, _, port = address.rpartition(":")
        self._there = (host, int(port))
        self._bound = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._bound.getsockname()[1]
        self.lose = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with suppress(OSError):  # It is closed.
            while True:
                near = self._bound.accept()[0]
                far = socket.create_connection(self._there)
                for way in ((near, far, False), (far, near, True)):
                    threading.Thread(target=self._carry, args=way, daemon=True).start()

    def _carry(self, source: socket.socket, to: socket.socket, answers: bool) -> None:  # noqa: FBT001 - a thread's.
        with suppress(OSError), source, to:
            while data := source.recv(65_536):
                if answers and self.lose.is_set():
                    to.shutdown(socket.SHUT_RDWR)
                    return
                to.sendall(data)

    def close(self) -> None:
        """Listen no more."""
        self._bound.close()


@pytest.fixture
def losing(shared: Running) -> Iterator[Losing]:
    """Return the way on which answers can be lost."""
    way = Losing(shared.cluster.web)
    yield way
    way.close()


def test_a_lost_connection_asks_and_confirms_once(shared: Running, browser: Browser, losing: Losing) -> None:
    """Where the answer is lost, sending the same again leads to the request that was made, and its outcome."""
    there = shared.cluster.web_origin.partition("://")[2]
    one = another(browser.browser_type, f"--host-resolver-rules=MAP {there} 127.0.0.1:{losing.port}")
    visitor = Visitor(one, shared.layout)
    visitor.register()
    visitor.fill("follow", "n3", WHY, upstream="n1")
    before = _requests(shared)
    losing.lose.set()
    visitor.page.get_by_role("button", name="Make the plan").click()
    _lost(visitor.page)
    losing.lose.clear()
    visitor.page.go_back()
    visitor.page.locator("#plan").wait_for()
    assert _requests(shared) == before + 1
    request = visitor.page.url.rpartition("/")[2]
    losing.lose.set()
    visitor.press_confirm("n3")
    _lost(visitor.page)
    losing.lose.clear()
    visitor.goto(f"/requests/{request}")
    assert visitor.state() == "executed"
    events = shared.api.events(request)  # A browser may send again by itself, on a new connection; that is refused.
    assert [each for each in events if each != "refused"] == ["requested", "confirmed", "outcome"]
    visitor.close()
    one.close()


def test_confirming_twice_confirms_once(shared: Running, visitor: Visitor) -> None:
    """Two tabs of one plan: the second confirmation is led to what became of the first."""
    request = visitor.ask("follow", "n3", WHY, upstream="n1")
    response = visitor.page.evaluate(_ASSERTION)
    second = visitor.context.new_page()
    second.goto(visitor.page.url)
    for page in (visitor.page, second):
        page.evaluate(_SENDING, response)
        page.locator("#outcome").wait_for()
    assert shared.api.events(request).count("confirmed") == 1


def test_a_plan_made_here_is_confirmed_in_a_terminal(shared: Running, visitor: Visitor) -> None:
    """Without an authenticator the page gives the line that confirms the same request, with the same words."""
    visitor.ask("follow", "n3", WHY, upstream="n1")
    line = visitor.page.locator(".command").inner_text().split()
    words = " ".join(visitor.page.locator("ol.words").inner_text().split())
    said = visitor.terminal.types(*line[1:])
    assert said.code == 0, said.text
    assert words in said.text
    visitor.page.reload()
    assert visitor.state() == "executed"
    assert shared.api.events(line[-1]) == ["requested", "confirmed", "outcome"]


def test_a_switchover_step_by_the_keyboard_alone(visitor: Visitor) -> None:
    """Choosing, asking, reading and confirming need no mouse; the order is the page's own."""
    page = visitor.page
    visitor.goto("/")
    page.keyboard.press("g")
    page.keyboard.press("r")
    page.wait_for_url("**/requests")
    _tab_to(visitor, "Request an action")
    page.keyboard.press("Enter")
    page.wait_for_url("**/requests/new")
    _choose(visitor, "action", "follow")
    _tab_to(visitor, "Go on")
    page.keyboard.press("Enter")
    page.wait_for_url("**action=follow**")
    _choose(visitor, "target", "n3")
    _choose(visitor, "argument.upstream", "n1")
    page.keyboard.press("Tab")
    page.keyboard.type("by the keyboard alone")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator("#plan").wait_for()
    while page.evaluate("document.activeElement.id") != "typed":
        page.keyboard.press("Tab")
    page.keyboard.type("n3")
    page.keyboard.press("Enter")
    page.locator("#outcome").wait_for()
    assert visitor.state() == "executed"


def _focused(visitor: Visitor) -> str:
    """Return what a person is told of the element that has the focus; nothing where none has it."""
    asked = "document.activeElement === document.body ? '' : document.activeElement.innerText"
    return str(visitor.page.evaluate(asked))


def _tab_to(visitor: Visitor, text: str) -> None:
    for _ in range(60):
        visitor.page.keyboard.press("Tab")
        if text in _focused(visitor):
            outline = visitor.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", f"the focus on {text} cannot be seen"
            return
    pytest.fail(f"Tab never reaches {text}")


def _choose(visitor: Visitor, name: str, value: str) -> None:
    page = visitor.page
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.name") == name:
            break
    page.keyboard.press("Space")
    while page.evaluate(f"document.querySelector(\"input[name='{name}']:checked\").value") != value:
        page.keyboard.press("ArrowDown")


def test_shortcuts_can_be_turned_off(visitor: Visitor, browser: Browser) -> None:
    """A person whose software types letters by itself can turn the shortcuts off, and they stay off."""
    del browser
    visitor.goto("/keyboard")
    visitor.page.get_by_role("button", name="Turn shortcuts off").click()
    visitor.page.get_by_text("Shortcuts are off.").wait_for()
    visitor.goto("/")
    visitor.page.keyboard.press("g")
    visitor.page.keyboard.press("r")
    visitor.page.keyboard.press("?")
    assert visitor.page.url == f"{visitor.origin}/"
    visitor.goto("/keyboard")
    visitor.page.get_by_role("button", name="Turn shortcuts on").click()
