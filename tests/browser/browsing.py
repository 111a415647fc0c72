"""A real browser with a virtual authenticator, and one person in front of it."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, BrowserType, ConsoleMessage, Page, sync_playwright

from aerodb.local.layout import Layout
from aerodb.local.person import Person, Said

ARGUMENTS = [
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    *(["--no-sandbox"] if os.geteuid() == 0 else []),
]
SCHEMES = ("light", "dark")
AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PICTURES = Path(__file__).parents[2] / "build" / "screenshots"
WIDE = {"width": 1360, "height": 900}
NARROW = {"width": 390, "height": 844}
CUT_OFF = """() => [document.documentElement, ...document.querySelectorAll('.sheet, .sheet *, .map, .nodes, .claim')]
    .filter(each => each.scrollWidth > each.clientWidth + 1 && each.clientWidth)
    .map(each => each.tagName + '.' + each.className)"""
"""What is wider than its place, of what must be read whole on a phone."""
PAGE = re.compile(r"file://\S+")
AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


def chromium_path() -> str:
    """Return where Debian's Chromium is."""
    found = os.environ.get("AERODB_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
    assert Path(found).exists(), "Chromium is missing: apt install chromium"
    return found


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run one browser."""
    with sync_playwright() as playwright:
        browser = another(playwright.chromium)
        yield browser
        browser.close()


def another(kind: BrowserType, *arguments: str) -> Browser:
    """Return one more browser, told something more on its command line."""
    return kind.launch(executable_path=chromium_path(), args=[*ARGUMENTS, *arguments])


class Visitor:
    """One person in front of one browser window, signed in, with an authenticator of their own."""

    options: ClassVar[dict[str, Any]] = {}
    """What else their window is made with."""

    def __init__(self, browser: Browser, layout: Layout, person: str = "operator") -> None:
        """Open the window and sign in by the page that `aerodb web` writes."""
        self.layout, self.name = layout, person
        self.origin = layout.cluster().web_origin
        self.terminal = Person(layout.profile(person), lambda _: None, colour=False)
        self.context: BrowserContext = browser.new_context(viewport=WIDE, **self.options)  # type: ignore[arg-type]
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self._devices: Any = self.context.new_cdp_session(self.page)
        self._device = ""
        self.sign_in()

    def _heard(self, message: ConsoleMessage) -> None:
        """Note what the browser complains about: a blocked script is one; a refusal's own status is none."""
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def sign_in(self) -> None:
        """Open the page that the command line writes, and press the one button that it leads to."""
        page = PAGE.search(self.terminal.types("web").text)
        assert page
        self.page.goto(page[0])
        if not self.options.get("java_script_enabled", True):  # Else the page's own script presses it.
            self.page.get_by_role("button", name="Go on").click()
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(f"{self.origin}/")

    def goto(self, path: str) -> int:
        """Go to a page; return its status."""
        response = self.page.goto(self.origin + path)
        assert response is not None
        return response.status

    # The authenticator ------------------------------------------------------------------------------------------------

    def plug_in(self, **options: bool) -> None:
        """Give this window an authenticator; the window's pages can use it, their scripts cannot."""
        self._devices.send("WebAuthn.enable")
        answer = self._devices.send("WebAuthn.addVirtualAuthenticator", {"options": {**AUTHENTICATOR, **options}})
        self._device = answer["authenticatorId"]

    def present(self, *, touching: bool) -> None:
        """Touch the authenticator whenever it asks, or never."""
        self._devices.send(
            "WebAuthn.setAutomaticPresenceSimulation", {"authenticatorId": self._device, "enabled": touching}
        )

    def verified(self, *, known: bool) -> None:
        """Be known to the authenticator, or be somebody else who holds it."""
        self._devices.send("WebAuthn.setUserVerified", {"authenticatorId": self._device, "isUserVerified": known})

    def register(self) -> Said:
        """Register the authenticator here, and enrol it in a terminal, on every node, as the page says."""
        self.plug_in()
        self.goto("/authenticators")
        self.page.get_by_role("button", name="Register an authenticator").click()
        said = self.enrol()
        self.goto("/authenticators")
        return said

    def enrol(self) -> Said:
        """Type what the page says of the newest authenticator that awaits its enrolment; every node takes it."""
        command = self.page.locator("p.command", has_text="--enrol-authenticator").last
        words = command.inner_text().split()[1:]
        said = self.terminal.types(*words, "--reason", "a new key")
        assert said.code == 0, said.text
        for member in self.layout.cluster().members:
            if member.name != words[1]:
                taken = self.terminal.types("configure", member.name, "--take", "--reason", "a new key")
                assert taken.code == 0, taken.text
        return said

    # A request --------------------------------------------------------------------------------------------------------

    def fill(self, action: str, target: str, reason: str, **arguments: str) -> None:
        """Choose everything that a request needs; nothing is sent yet."""
        self.goto("/requests/new")
        assert self.page.locator("input:checked").count() == 0
        self.page.locator(f"input[name=action][value={action}]").check()
        self.page.get_by_role("button", name="Go on").click()
        assert self.page.locator("input:checked").count() == 0
        self.page.locator(f"input[name=target][value={target}]").check()
        for name, value in arguments.items():
            self.page.locator(f"input[name='argument.{name.rstrip('_')}'][value={value}]").check()
        self.page.locator("#reason").fill(reason)

    def ask(self, action: str, target: str, reason: str, **arguments: str) -> str:
        """Ask for an action; return the request's id, which the page that follows is of."""
        self.fill(action, target, reason, **arguments)
        self.page.get_by_role("button", name="Make the plan").click()
        self.page.wait_for_url("**/requests/*")
        return self.page.url.rpartition("/")[2]

    def press_confirm(self, typed: str) -> None:
        """Type a node's name, and press the button."""
        self.page.locator("#typed").fill(typed)
        self.page.get_by_role("button", name="Confirm and have it executed").click()

    def state(self) -> str:
        """Return the state that the request's page shows."""
        return self.page.locator("dl.facts dd").first.inner_text().strip()

    def do(self, action: str, target: str, reason: str, **arguments: str) -> str:
        """Ask for an action and confirm it; it must be executed."""
        request = self.ask(action, target, reason, **arguments)
        self.press_confirm(target)
        self.page.locator("#outcome").wait_for(timeout=60_000)
        assert self.state() == "executed", self.page.locator("main").inner_text()
        return request

    # Looking at the page ----------------------------------------------------------------------------------------------

    def picture(self, name: str) -> None:
        """Keep the page's picture, light and dark, and hold both to WCAG 2.2 AA."""
        for scheme in SCHEMES:
            self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            folder = PICTURES / scheme
            folder.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=folder / f"{name}.png", full_page=True)
            self.check_access(f"{name} ({scheme})")
        self.page.emulate_media(color_scheme="light")
        self.check_narrow(name)

    def check_narrow(self, name: str) -> None:
        """Refuse a page that is cut off sideways on a phone; keep its picture."""
        self.page.set_viewport_size(NARROW)  # type: ignore[arg-type]
        folder = PICTURES / "narrow"
        folder.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=folder / f"{name}.png", full_page=True)
        cut_off = self.page.evaluate(CUT_OFF)
        self.page.set_viewport_size(WIDE)  # type: ignore[arg-type]
        assert cut_off == [], name

    def check_access(self, name: str) -> None:
        """Refuse a page on which axe finds anything."""
        found = Axe().run(self.page, options={"runOnly": {"type": "tag", "values": AXE_TAGS}})
        said = [
            f"{each['id']}: {each['help']}: {json.dumps([node['html'] for node in each['nodes'][:3]])}"
            for each in found.response["violations"]
        ]
        assert not said, f"{name}:\n" + "\n".join(said)

    def close(self) -> None:
        """Close the window; the browser must not have complained about anything."""
        self.context.close()
        assert self.complaints == []
