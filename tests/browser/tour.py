"""`make tour`: the pictures of docs/tour.md, taken anew from the real UI in front of a real cluster under load."""

import html
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aerodb.local.demo import kill_postgres
from aerodb.local.layout import Layout
from aerodb.local.making import make_cluster
from aerodb.local.person import Person
from aerodb.local.size import Size
from aerodb.local.stage import Stage
from aerodb.local.writer import Writer
from aerodb.views.requests import CONFIRMING
from tests.browser.browsing import Visitor, chromium
from tests.browser.test_configuration import chosen, sent
from tests.browser.test_second import signs

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
WIDE_PIXELS, PHONE_PIXELS = 1440, 390
ROWS, COLUMNS = 24, 80
SCREEN = f"""
pre {{ font: 14px/18px monospace; width: {COLUMNS}ch; height: {18 * ROWS}px; margin: 0; padding: 10px;
overflow: hidden; color: #e6e6e6; background: #16181d; }}
"""
WHY = "kernel update on n1"
WHY_TWO = "two people replace a node's data"


@contextmanager
def _cluster() -> Iterator[tuple[Layout, Stage]]:
    """Run a cluster called orders, under a writer's load."""
    folder = Path(tempfile.mkdtemp(prefix="aerodb-tour-", dir="/var/tmp"))
    folder.chmod(0o711)
    make_cluster(folder / "orders", Size().at_free_ports(int(os.environ.get("AERODB_TEST_PORTS", "12000"))))
    layout = Layout(root=folder / "orders")
    stage = Stage(layout)
    stage.start()
    writer = Writer(layout.dsn())
    writer.start()
    try:
        yield layout, stage
    finally:
        writer.stop()
        stage.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _take(visitor: Visitor, name: str, *, dark: bool = False, whole: bool = False) -> None:
    """Keep one picture."""
    visitor.page.emulate_media(color_scheme="dark" if dark else "light")
    if whole:
        visitor.page.evaluate("window.scrollTo(0, 0)")  # Else the side, which stays in sight, stands in the middle.
    visitor.page.screenshot(path=PICTURES / f"{name}.png", full_page=whole)
    sys.stdout.write(f"docs/pictures/{name}.png\n")


def _take_all(visitor: Visitor, name: str, *, whole: bool = False) -> None:
    """Keep a page's picture light and dark, on a wide screen and on a phone."""
    for screen, width in (("", WIDE_PIXELS), ("-phone", PHONE_PIXELS)):
        visitor.page.set_viewport_size({"width": width, "height": 900})
        for scheme in ("", "-dark"):
            _take(visitor, f"{name}{screen}{scheme}", dark=bool(scheme), whole=whole)
    visitor.page.set_viewport_size({"width": WIDE_PIXELS, "height": 900})
    visitor.page.emulate_media(color_scheme="light")


def _type(visitor: Visitor, name: str, *words: str) -> None:
    """Keep a picture of the last rows that a command shows in a terminal of 80 x 24, up to its question if it asks."""
    person = Person(visitor.layout.profile("operator"), lambda _: None, colour=False, size=(ROWS, COLUMNS))
    said = person.types(*words, answer="").text
    head, asked, rest = said.partition(CONFIRMING)
    whole = head + asked + rest.partition(": ")[0] + ": " if asked else f"{head}$ "
    cut = [each[at : at + COLUMNS] for each in whole.split("\n") for at in range(0, max(len(each), 1), COLUMNS)]
    screen = visitor.context.new_page()
    text = "\n".join(cut[-ROWS:])
    screen.set_content(f"<title>{name}</title><style>{SCREEN}</style><pre>{html.escape(text)}</pre>")
    screen.locator("pre").screenshot(path=PICTURES / f"{name}.png")
    screen.close()
    sys.stdout.write(f"docs/pictures/{name}.png\n")


def _look(visitor: Visitor) -> None:
    visitor.goto("/")
    _take_all(visitor, "cluster")
    _type(visitor, "terminal-status", "status")
    visitor.goto("/now")
    _take(visitor, "now", dark=True)


def _register(visitor: Visitor) -> None:
    visitor.plug_in()
    visitor.goto("/authenticators")
    visitor.page.get_by_role("button", name="Register an authenticator").click()
    visitor.page.get_by_text("--enrol-authenticator").wait_for()
    _take(visitor, "authenticator")
    visitor.enrol()


def _joins(visitor: Visitor, layout: Layout) -> None:
    """Let alice join as an operator."""
    key = _issued(layout, "alice")
    chosen(visitor, "enrol", "n1")
    visitor.page.locator("#name").fill("alice")
    visitor.page.locator("input[name=role][value=operator]").check()
    visitor.page.locator("#key").fill(key)
    visitor.page.locator("#reason").fill("alice joins")
    _take(visitor, "configuration-form", whole=True)
    sent(visitor, "alice joins")
    _taken(visitor, "alice joins", "n2", "n3")


def _rule(visitor: Visitor) -> None:
    """Ask for a second person where a node's data is replaced."""
    chosen(visitor, "second-person", "n1")
    visitor.page.locator("input[name=name][value=data]").check()
    sent(visitor, WHY_TWO)
    _taken(visitor, WHY_TWO, "n2")
    visitor.goto("/configuration")
    _take(visitor, "configuration", whole=True)
    _taken(visitor, WHY_TWO, "n3")


def _issued(layout: Layout, name: str) -> str:
    """Make somebody's profile, as the runbook has it; return their public key."""
    words = ["certificate", "issue", name, "--role", "operator", "--folder", str(layout.root)]
    subprocess.run([sys.executable, "-m", "aerodb", *words], env=os.environ, capture_output=True, check=True)
    return (layout.profile(name) / "id_ed25519.pub").read_text(encoding="utf-8")


def _taken(visitor: Visitor, reason: str, *nodes: str) -> None:
    """Have nodes take the next version, each by the link that the page has beside it."""
    for node in nodes:
        visitor.goto("/configuration")
        visitor.page.get_by_role("link", name=f"Ask {node} to take the next").click()
        sent(visitor, reason)


def _switchover(visitor: Visitor) -> None:
    visitor.fill("follow", "n3", WHY, upstream="n2")
    _take(visitor, "form")
    visitor.do("follow", "n3", WHY, upstream="n2")
    _type(visitor, "terminal-plan", "demote", "n1", "--for", "n2", "--reason", WHY)
    visitor.ask("demote", "n1", WHY, for_="n2")
    _take_all(visitor, "plan", whole=True)
    visitor.press_confirm("n1")
    visitor.page.locator("#outcome").wait_for(timeout=60_000)
    visitor.do("promote", "n2", WHY)
    _take(visitor, "executed")
    visitor.do("follow", "n1", WHY, upstream="n2")


def _failover(visitor: Visitor, layout: Layout, stage: Stage) -> None:
    visitor.ask("promote", "n3", "somebody is in a hurry")
    _take(visitor, "rejected", dark=True)
    kill_postgres(layout, "n2")
    stage.kill("n2")
    visitor.goto("/")
    _take_all(visitor, "primary-dead")
    _type(visitor, "terminal-primary-dead", "status")
    for node in ("n3", "n1"):
        visitor.do("fence", node, "n2 is dead", for_="n3")
    visitor.do("promote", "n3", "n2 is dead")
    visitor.do("follow", "n1", "n2 is dead", upstream="n3")


def _two(visitor: Visitor, second: Visitor, stage: Stage) -> None:
    """Bring n2 back by a new copy of its data, which two people sign, each with an authenticator of their own."""
    stage.start_agent("n2", leave_down=True)
    stage.wait_for("n2")
    request = visitor.ask("reclone", "n2", "n2 comes back", upstream="n3")
    signs(visitor, request)
    visitor.page.get_by_text("It awaits a second person").wait_for()
    visitor.page.get_by_role("heading", name="Confirm").scroll_into_view_if_needed()
    _take(visitor, "second-awaited")
    second.goto(f"/requests/{request}")
    second.page.locator("#confirm").evaluate("heading => heading.scrollIntoView()")
    second.page.locator("#typed").fill("n2")
    _take(second, "second-signs", dark=True)
    second.press_confirm("n2")
    second.page.locator("#outcome").wait_for(timeout=60_000)
    second.page.get_by_text("EXECUTED on n2").wait_for()


def _read(visitor: Visitor) -> None:
    visitor.goto("/timeline")
    _take_all(visitor, "timeline")
    visitor.goto("/audit")
    visitor.page.get_by_text("proven in this browser").first.wait_for()
    _take(visitor, "audit")
    visitor.goto("/audit?event=outcome&action=promote")
    visitor.page.locator("tbody a[href^='/decisions/']").first.click()
    visitor.page.get_by_text("proven in this browser").first.wait_for()
    _take_all(visitor, "decision", whole=True)


def main() -> None:
    """Take every picture."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with _cluster() as (layout, stage), chromium() as browser:
        visitor = Visitor(browser, layout)
        visitor.page.set_viewport_size({"width": WIDE_PIXELS, "height": 900})
        _look(visitor)
        _register(visitor)
        _joins(visitor, layout)
        second = Visitor(browser, layout, "alice")
        second.register()
        _rule(visitor)
        _switchover(visitor)
        _failover(visitor, layout, stage)
        _two(visitor, second, stage)
        _read(visitor)
        for each in (second, visitor):
            each.close()


if __name__ == "__main__":
    main()
