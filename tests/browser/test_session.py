"""The browser's session against other programs of the machine, to which the browser itself sends its cookie."""

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.browsing import PAGE, Visitor
from tests.faults.conftest import Running
from tests.faults.test_trail import records

pytestmark = pytest.mark.timeout(300)

LISTENER = """
import http.client, http.server, sys
name, address, origin = sys.argv[1:]

class Thief(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        cookie = self.headers.get("Cookie", "")
        status = 0
        if cookie:
            host, _, port = address.rpartition(":")
            connection = http.client.HTTPConnection(host, int(port), timeout=60)
            connection.request("GET", "/", headers={"Host": name, "Cookie": cookie, "Origin": origin})
            status = connection.getresponse().status
        body = f"cookie={bool(cookie)} status={status}".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

server = http.server.HTTPServer(("127.0.0.1", 0), Thief)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


@pytest.fixture
def thief(shared: Running) -> Iterator[int]:
    """Return the port at which another program listens, takes each cookie that comes, and tries it at once."""
    cluster = shared.cluster
    words = [cluster.web_origin.partition("://")[2], cluster.web, cluster.web_origin]
    process = subprocess.Popen([sys.executable, "-I", "-c", LISTENER, *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    yield int(process.stdout.readline())
    process.kill()
    process.communicate()


def test_the_cookie_is_not_sent_to_the_machines_other_hosts(shared: Running, visitor: Visitor, thief: int) -> None:
    """What listens at localhost is another host than the cluster's own, and is sent nothing; the session goes on."""
    assert re.fullmatch(rf"[a-z0-9-]+-{shared.cluster.id[:8]}\.localhost", shared.cluster.rp_id)
    for host in ("localhost", "127.0.0.1", f"other-{shared.cluster.id[:8]}.localhost"):
        page = visitor.context.new_page()
        page.goto(f"http://{host}:{thief}/")
        assert page.inner_text("body") == "cookie=False status=0", host
        page.close()
    assert visitor.goto("/") == 200


def test_what_listens_at_another_port_of_the_host_cannot_use_the_cookie(
    shared: Running, visitor: Visitor, thief: int
) -> None:
    """Browsers send a cookie to every port of its host: the program that got it so is refused, and the session ends."""
    before = len(records(shared))
    page = visitor.context.new_page()
    page.goto(f"http://{shared.cluster.rp_id}:{thief}/")
    assert page.inner_text("body") == "cookie=True status=403"
    page.close()
    assert visitor.goto("/") == 401
    left = [(each.event, each.code) for each in records(shared)[before:]]
    assert left == [("refused", "control.session-foreign"), ("signed-out", "")]


def test_the_ticket_stays_in_no_address(shared: Running, visitor: Visitor) -> None:
    """Neither the page's file, nor any address that the browser was at, says the ticket; one button signs in."""
    found = PAGE.search(visitor.terminal.types("web").text)
    assert found
    seen: list[str] = []
    page = visitor.context.new_page()
    page.on("request", lambda request: seen.append(request.url))
    page.goto(found[0])
    page.get_by_role("button", name="Sign in").wait_for()
    assert "This signs you in as operator" in page.inner_text("main")
    ticket = page.locator("input[name=ticket]").input_value()
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{shared.cluster.web_origin}/")
    assert len(ticket) == 43
    assert not [url for url in seen if ticket in url]
    page.close()


def test_a_ticket_is_typed_in_a_browser_elsewhere(shared: Running, visitor: Visitor, browser: Browser) -> None:
    """Where no file can be opened, the ticket that the terminal prints is typed into the page that says so."""
    said = visitor.terminal.types("web", "--typed").text
    ticket = re.search(r"^\s*([\w-]{43})\s*$", said, re.MULTILINE)
    assert ticket
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{shared.cluster.web_origin}/enter")
    page.get_by_label("Ticket").fill(ticket[1])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{shared.cluster.web_origin}/")
    context.close()


def test_another_site_cannot_sign_a_person_in(shared: Running, visitor: Visitor, thief: int) -> None:
    """A page of elsewhere that has a ticket of its owner's own gets no session into the person's browser."""
    visitor.terminal.types("web")
    page_file = (shared.layout.profile("operator") / "sign-in.html").read_text(encoding="utf-8")
    ticket = re.search(r'value="([\w-]{43})"', page_file)
    assert ticket
    page = visitor.context.new_page()
    for path in ("/enter", "/enter/ticket"):
        page.goto(f"http://localhost:{thief}/")
        with page.expect_navigation():
            page.evaluate(_POSTING, [shared.cluster.web_origin + path, ticket[1]])
        assert "control.origin-foreign" in page.inner_text("main")
    page.close()
    assert visitor.goto("/") == 200


_POSTING = """([action, ticket]) => {
  const form = document.createElement("form");
  Object.assign(form, { method: "post", action });
  const field = document.createElement("input");
  Object.assign(field, { name: "ticket", value: ticket });
  form.append(field);
  document.body.append(form);
  form.submit();
}"""
