"""Registering in the real browser: by a page of one's own machine, which no control plane can interfere with."""

import base64
import queue
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_private_key
from playwright.sync_api import Browser, Page
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aerodb.local.person import Person, Said
from aerodb.protocol import webauthn
from aerodb.protocol.authenticator import fingerprint
from aerodb.transport.server import PageServer, listen_as_localhost
from tests.browser.browsing import AUTHENTICATOR, Visitor
from tests.faults.conftest import Running
from tests.unit.protocol.authenticator import SoftAuthenticator

pytestmark = pytest.mark.timeout(300)
LINK = re.compile(r"http://[\w-]+\.localhost:\d+/[\w-]{43}")


class Registering:
    """`aerodb register` at a terminal, while a browser is elsewhere."""

    def __init__(self, profile: Path, *words: str, answer: str | None = None) -> None:
        """Begin."""
        self._shown: queue.Queue[str] = queue.Queue()
        self._person = Person(profile, self._shown.put, colour=False)
        self._pool = ThreadPoolExecutor(1)
        self._said: Future[Said] = self._pool.submit(
            self._person.types, "register", "--reason", "a new key", *words, answer=answer
        )

    def link(self) -> str:
        """Return the link, once it is shown."""
        text = ""
        while not LINK.search(text):
            text += self._shown.get(timeout=60)
        found = LINK.search(text)
        assert found
        return found[0]

    def ended(self) -> Said:
        """Return what the command said in the end."""
        said = self._said.result(60)
        self._pool.shutdown()
        return said


@pytest.fixture
def visitor(shared: Running, browser: Browser) -> Iterator[Visitor]:
    """Return the operator in front of a window, with an authenticator that nobody knows yet."""
    one = Visitor(browser, shared.layout)
    one.plug_in()
    yield one
    one.close()


def register(visitor: Visitor, *words: str) -> tuple[Said, dict[str, str]]:
    """Register the window's authenticator by the operator's own machine; return what both screens said."""
    begun = Registering(visitor.layout.profile("operator"), *words)
    visitor.page.goto(begun.link())
    visitor.page.get_by_role("button", name="Register").click()
    visitor.page.get_by_text("Go back to the terminal.").wait_for()
    shown = {
        name: visitor.page.locator(f"[data-{name}]").inner_text() for name in ("name", "key", "credential", "words")
    }
    visitor.check_access("register")
    return begun.ended(), shown


def test_registered_by_ones_own_machine_and_confirmed_in_the_admin_ui(shared: Running, visitor: Visitor) -> None:
    """The credential that was made on another port of the host confirms in the admin UI; both screens agreed."""
    begun = Registering(visitor.layout.profile("operator"))
    link = begun.link()
    visitor.page.goto(link)
    visitor.picture("register")
    visitor.page.get_by_role("button", name="Register").click()
    visitor.page.get_by_text("Go back to the terminal.").wait_for()
    shown = {name: visitor.page.locator(f"[data-{name}]").inner_text() for name in ("name", "key", "words")}
    visitor.picture("register-made")
    said = begun.ended()
    assert said.code == 0, said.text
    for text in shown.values():
        assert text in " ".join(said.text.split())
    second = visitor.context.new_page()
    with pytest.raises(Exception, match="ERR_CONNECTION_REFUSED"):
        second.goto(link)
    assert "aerodb configure n3 --take" in said.text
    for node in ("n2", "n3"):
        assert visitor.terminal.types("configure", node, "--take", "--reason", "a new key").code == 0
    visitor.goto("/authenticators")
    assert visitor.page.get_by_text("enrolled", exact=True).count() == 1
    request = visitor.do("follow", "n3", "by the new authenticator", upstream="n1")
    assert shared.api.events(request) == ["requested", "confirmed", "outcome"]


def test_a_second_registration_of_the_same_authenticator_is_not_made(visitor: Visitor) -> None:
    """What is enrolled already is excluded; the browser says so, and nothing is sent."""
    assert register(visitor)[0].code == 0
    begun = Registering(visitor.layout.profile("operator"), "--seconds", "10")
    visitor.page.goto(begun.link())
    visitor.page.get_by_role("button", name="Register").click()
    visitor.page.get_by_text("This authenticator is one of yours already. Nothing was sent.").wait_for()
    said = begun.ended()
    assert (said.code, "input.registration-lapsed" in said.text) == (2, True)


def test_two_tabs_of_one_link_register_once(shared: Running, visitor: Visitor, browser: Browser) -> None:
    """Somebody else's window, with an authenticator of their own, is refused once the link was answered."""
    before = len(shared.api.authenticators())
    begun = Registering(visitor.layout.profile("operator"))
    link = begun.link()
    context = browser.new_context()
    other = context.new_page()
    devices = context.new_cdp_session(other)
    devices.send("WebAuthn.enable")
    devices.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    other.goto(link)
    visitor.page.goto(link)
    visitor.page.get_by_role("button", name="Register").click()
    visitor.page.get_by_text("Go back to the terminal.").wait_for()
    other.get_by_role("button", name="Register").click()
    other.get_by_text("Not registered").wait_for()
    assert begun.ended().code == 0
    assert len(shared.api.authenticators()) == before + 1
    context.close()


# A hostile control plane ----------------------------------------------------------------------------------------------


@contextmanager
def window(browser: Browser) -> Iterator[tuple[Page, Callable[[], SoftAuthenticator]]]:
    """Yield a page with an authenticator, and what returns the key that it has made."""
    context = browser.new_context()
    page = context.new_page()
    devices = context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    device = devices.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})["authenticatorId"]

    def made() -> SoftAuthenticator:
        (found,) = devices.send("WebAuthn.getCredentials", {"authenticatorId": device})["credentials"]
        private = load_der_private_key(base64.b64decode(found["privateKey"]), None)
        assert isinstance(private, ec.EllipticCurvePrivateKey)
        return SoftAuthenticator(identity=base64.b64decode(found["credentialId"]), key=private)

    yield page, made
    context.close()


@contextmanager
def pages_of_another(host: str) -> Iterator[str]:
    """Yield the origin of a page on another port of the host, as a hostile control plane could serve one."""

    async def empty(_: Request) -> Response:
        return Response("<!doctype html><title>hostile</title>", media_type="text/html")

    ending = threading.Event()
    bound, *more = listen_as_localhost()
    server = PageServer(Starlette(routes=[Route("/", empty)]), None)
    serving = threading.Thread(target=server.run_on, args=(bound, ending, *more))
    serving.start()
    yield f"http://{host}:{bound.getsockname()[1]}"
    ending.set()
    serving.join()


_TRYING = """async (link) => {
  const tried = async (act) => { try { return String(await act()); } catch (error) { return error.name; } };
  const frame = document.createElement("iframe");
  frame.src = link;
  const loaded = new Promise((resolve) => { frame.onload = resolve; });
  document.body.append(frame);
  await loaded;
  const body = JSON.stringify({});
  return {
    read: await tried(async () => (await fetch(link)).status),
    sent: await tried(async () => (await fetch(link, { method: "POST", body })).status),
    blind: await tried(async () => (await fetch(link, { method: "POST", mode: "no-cors", body })).status),
    framed: await tried(() => frame.contentDocument.title),
  };
}"""


def test_a_page_beside_it_that_even_knows_the_link_gets_nothing(shared: Running, browser: Browser) -> None:
    """The admin UI's pages share the host, never the origin: they read nothing, frame nothing, and spend nothing."""
    begun = Registering(shared.layout.profile("operator"), answer="no")
    link = begun.link()
    with window(browser) as (page, made), pages_of_another(shared.cluster.rp_id) as other:
        page.goto(other)
        tried = page.evaluate(_TRYING, link)
        assert tried == {"read": "TypeError", "sent": "TypeError", "blind": "TypeError", "framed": "TypeError"}
        with page.expect_popup() as popup:
            page.evaluate("(link) => { window.opened = window.open(link); }", link)
        popup.value.get_by_role("button", name="Register").wait_for()
        assert page.evaluate("window.opened.closed")  # It is told no more: the page opens in a group of its own.
        popup.value.close()
        page.goto(link)
        page.get_by_role("button", name="Register").click()
        page.get_by_text("Go back to the terminal.").wait_for()
        said = begun.ended()
        assert (said.code, "DECLINED" in said.text) == (1, True), said.text
        assert fingerprint(webauthn.public_text(made().private.public_key())) in "".join(said.text.split())


# In the admin UI ------------------------------------------------------------------------------------------------------


def test_the_admin_ui_shows_the_key_as_the_browser_read_it(visitor: Visitor) -> None:
    """The page of a pending credential says whether the server shows the key that this browser was given."""
    visitor.goto("/authenticators")
    visitor.page.get_by_role("button", name="Register an authenticator").click()
    visitor.page.locator("[data-read-here]").get_by_text("the same key").wait_for()
    visitor.page.evaluate("""() => {
      for (const name of Object.keys(sessionStorage)) sessionStorage.setItem(name, "SHA256:other");
    }""")
    visitor.page.reload()
    visitor.page.locator("[data-read-here]").get_by_text("ANOTHER KEY, SHA256:other").wait_for()
    elsewhere = visitor.context.new_page()
    elsewhere.goto(f"{visitor.origin}/authenticators")
    elsewhere.get_by_text("shown only in the window in which it was registered").wait_for()
