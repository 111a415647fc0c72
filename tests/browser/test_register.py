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
from msgspec.structs import replace
from playwright.sync_api import Browser, Page
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aerodb.audit.store import Log
from aerodb.control.authenticators import Authenticators
from aerodb.control.meters import Meters
from aerodb.control.record import Recorder
from aerodb.local.person import Person, Said
from aerodb.protocol import canonical, webauthn
from aerodb.protocol.credentials import Authenticator, Endorse, Endorsed
from aerodb.protocol.credentials import AuthenticatorList as Listed
from aerodb.protocol.webauthn import AssertionInvalid, Endorsement
from aerodb.transport.server import PageServer, Server, listen, listen_as_localhost
from aerodb.transport.tls import tls_in
from tests.browser.browsing import AUTHENTICATOR, Visitor
from tests.faults.conftest import Running
from tests.faults.hostile import log_key
from tests.unit.protocol.authenticator import SoftAuthenticator, assertion_of

pytestmark = pytest.mark.timeout(300)
LINK = re.compile(r"http://[\w-]+\.localhost:\d+/[\w-]{43}")


class Registering:
    """`aerodb register` at a terminal, while a browser is elsewhere."""

    def __init__(self, profile: Path, *words: str, answer: str | None = None) -> None:
        """Begin."""
        self._shown: queue.Queue[str] = queue.Queue()
        self._person = Person(profile, self._shown.put, colour=False)
        self._pool = ThreadPoolExecutor(1)
        self._said: Future[Said] = self._pool.submit(self._person.types, "register", *words, answer=answer)

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
        assert text in said.text
    second = visitor.context.new_page()
    with pytest.raises(Exception, match="ERR_CONNECTION_REFUSED"):
        second.goto(link)
    visitor.goto("/authenticators")
    assert visitor.page.get_by_text("endorsed", exact=True).count() == 1
    request = visitor.do("follow", "n3", "by the new authenticator", upstream="n1")
    assert shared.api.events(request) == ["requested", "confirmed", "outcome"]


def test_a_second_registration_of_the_same_authenticator_is_not_made(visitor: Visitor) -> None:
    """What is endorsed already is excluded; the browser says so, and nothing is sent."""
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


class HostileControl:
    """In the place of the control plane, with all of its keys: it puts its own key wherever an authenticator's is."""

    def __init__(self, running: Running) -> None:
        """Take over the log and the port."""
        running.stage.kill("control")
        self.cluster, self.person = running.cluster, running.cluster.operators[0]
        self.log = Log(running.layout.control / "log", self.cluster.origin, log_key(running))
        recorder = Recorder(self.log, canonical.encode(self.cluster), Meters(self.log))
        self.authenticators = Authenticators(recorder)
        self.thief = SoftAuthenticator("EdDSA")
        self.handed_in: list[Endorsed] = []
        self.signed: list[tuple[str, str]] = []
        self._tls = tls_in(running.layout.control)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Answer as the control plane."""
        ending, bound = threading.Event(), listen(self.cluster.control)
        server = Server(self._application(), self._tls)
        serving = threading.Thread(target=server.run_on, args=(bound, ending))
        serving.start()
        try:
            yield
        finally:
            ending.set()
            serving.join()
            self.log.close()

    def _application(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/authenticators", self._list),
                Route("/v1/endorsements", self._admit, methods=["POST"]),
                Route("/v1/authenticators/{credential}/endorsement", self._endorse, methods=["POST"]),
            ]
        )

    def own(self, text: str) -> str:
        """Return an endorsement with the thief's key in the place of the authenticator's."""
        key = webauthn.public_text(self.thief.private.public_key())
        return canonical.encode(replace(canonical.decode(text.encode(), Endorsement), public_key=key)).decode()

    def _shown(self, each: Authenticator) -> Authenticator:
        """Return what it lists: consistent in all its parts, and its own."""
        fingerprint = webauthn.fingerprint(
            canonical.decode(self.own(each.endorsement).encode(), Endorsement).public_key
        )
        return replace(each, endorsement=self.own(each.endorsement), algorithm="EdDSA", fingerprint=fingerprint)

    async def _list(self, _: Request) -> Response:
        found = tuple(self._shown(each) for each in self.authenticators.mine(self.person))
        return Response(canonical.encode(Listed(authenticators=found)))

    async def _admit(self, request: Request) -> Response:
        handed = canonical.decode(await request.body(), Endorsed)
        self.handed_in.append(handed)
        with pytest.raises(AssertionInvalid, match="not endorsed"):
            self.authenticators.admit(self.person, self.own(handed.endorsement), handed.signature)
        recorded = self.authenticators.admit(self.person, handed.endorsement, handed.signature)
        return Response(canonical.encode(self._shown(recorded)))

    async def _endorse(self, request: Request) -> Response:
        (pending,) = self.authenticators.mine(self.person)
        signature = canonical.decode(await request.body(), Endorse).signature
        self.signed.append((self.own(pending.endorsement), signature))
        return Response(canonical.encode(replace(self._shown(pending), state="endorsed", signature=signature)))


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
        assert (said.code, "Nothing was signed." in said.text) == (1, True)
        assert webauthn.fingerprint(webauthn.public_text(made().private.public_key())) in said.text


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


# With the control plane in a thief's hands: a cluster of its own, so these come last ----------------------------------


def test_a_hostile_control_plane_gets_nowhere(fresh: Running, browser: Browser) -> None:
    """What is signed is the authenticator's own key; no key of the thief's confirms anything, and the lie is told."""
    hostile = HostileControl(fresh)
    origin, plan = fresh.cluster.web_origin, b'{"plan":"x"}'
    with hostile.running(), window(browser) as (page, made):
        begun = Registering(fresh.layout.profile("operator"))
        page.goto(begun.link())
        page.get_by_role("button", name="Register").click()
        page.get_by_text("Go back to the terminal.").wait_for()
        said = begun.ended()
        assert (said.code, "control.endorsement-unverified" in said.text) == (6, True), said.text
        (handed,) = hostile.handed_in
        genuine = made()
    endorsement = canonical.decode(handed.endorsement.encode(), Endorsement)
    assert endorsement.public_key == webauthn.public_text(genuine.private.public_key())
    assert webauthn.fingerprint(endorsement.public_key) in said.text
    trust = (handed.endorsement, handed.signature)
    confirmed = assertion_of(genuine.confirms(plan, origin), trust)
    assert webauthn.verify(confirmed, plan, fresh.cluster, hostile.person).verified
    thief = SoftAuthenticator("EdDSA", identity=genuine.identity)
    for text in (handed.endorsement, hostile.own(handed.endorsement)):
        stolen = assertion_of(thief.confirms(plan, origin), (text, handed.signature))
        with pytest.raises(AssertionInvalid):
            webauthn.verify(stolen, plan, fresh.cluster, hostile.person)


def test_the_same_control_plane_fools_who_endorses_what_it_lists(fresh: Running) -> None:
    """So it is as hostile as is claimed, and the warning that `aerodb endorse` gives is true."""
    hostile = HostileControl(fresh)
    challenge = hostile.authenticators.begin(hostile.person).challenge
    genuine = SoftAuthenticator()
    hostile.authenticators.finish(hostile.person, genuine.registers(challenge, fresh.cluster.web_origin))
    with hostile.running():
        said = Person(fresh.layout.profile("operator"), lambda _: None, colour=False).types("endorse")
    assert said.code == 0, said.text
    assert "aerodb register" in said.text
    plan = b'{"plan":"x"}'
    confirmed = assertion_of(hostile.thief.confirms(plan, fresh.cluster.web_origin), hostile.signed[0])
    assert webauthn.verify(confirmed, plan, fresh.cluster, hostile.person).verified
