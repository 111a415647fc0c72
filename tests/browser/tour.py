"""`make tour`: the pictures of docs/tour.md, taken anew from the real UI in front of a real cluster under load."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aerodb.local.demo import kill_postgres
from aerodb.local.layout import Layout
from aerodb.local.making import make_cluster
from aerodb.local.size import Size
from aerodb.local.stage import Stage
from aerodb.local.writer import Writer
from tests.browser.browsing import Visitor, chromium

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
WHY = "kernel update on n1"


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
    visitor.page.screenshot(path=PICTURES / f"{name}.png", full_page=whole)
    sys.stdout.write(f"docs/pictures/{name}.png\n")


def _look(visitor: Visitor) -> None:
    visitor.goto("/")
    _take(visitor, "cluster")
    visitor.goto("/now")
    _take(visitor, "now", dark=True)


def _register(visitor: Visitor) -> None:
    visitor.plug_in()
    visitor.goto("/authenticators")
    visitor.page.get_by_role("button", name="Register an authenticator").click()
    visitor.page.get_by_text("--enrol-authenticator").wait_for()
    _take(visitor, "authenticator")
    visitor.enrol()


def _switchover(visitor: Visitor) -> None:
    visitor.fill("follow", "n3", WHY, upstream="n2")
    _take(visitor, "form")
    visitor.do("follow", "n3", WHY, upstream="n2")
    visitor.ask("demote", "n1", WHY, for_="n2")
    visitor.page.locator("#confirm").scroll_into_view_if_needed()
    _take(visitor, "plan", whole=True)
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
    _take(visitor, "primary-dead")
    for node in ("n3", "n1"):
        visitor.do("fence", node, "n2 is dead", for_="n3")
    visitor.do("promote", "n3", "n2 is dead")
    visitor.do("follow", "n1", "n2 is dead", upstream="n3")


def _read(visitor: Visitor) -> None:
    visitor.goto("/timeline")
    _take(visitor, "timeline")
    visitor.goto("/audit")
    visitor.page.get_by_text("proven in this browser").first.wait_for()
    _take(visitor, "audit")
    visitor.goto("/audit?event=outcome&action=promote")
    visitor.page.locator("tbody a[href^='/decisions/']").first.click()
    visitor.page.get_by_text("proven in this browser").first.wait_for()
    _take(visitor, "decision", dark=True, whole=True)


def main() -> None:
    """Take every picture."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with _cluster() as (layout, stage), chromium() as browser:
        visitor = Visitor(browser, layout)
        _look(visitor)
        _register(visitor)
        _switchover(visitor)
        _failover(visitor, layout, stage)
        _read(visitor)
        visitor.close()


if __name__ == "__main__":
    main()
