"""The admin UI over plain HTTP, as a browser would call it, and as nobody should: sessions, guards, roles, bytes."""

import hashlib
import http.client
import json
import re
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from urllib.parse import urlencode

import msgspec
import psycopg
import pytest

from aerodb.api.routes import ENDPOINTS
from aerodb.control.authenticators import PENDING_A_PERSON_MAX
from aerodb.kernel.node import read_node
from aerodb.kernel.postgres.installation import find_installation
from aerodb.protocol import canonical
from aerodb.protocol.api import Ticket
from aerodb.transport.guard import HEADERS
from aerodb.transport.server import PAGES as ROOM
from aerodb.transport.server import listen
from aerodb.web.pages.log import RECORDS_A_PAGE
from aerodb.web.site import PAGES, WRITES
from tests.faults.conftest import Running
from tests.faults.people import Api, new_id
from tests.faults.test_lifecycle import stopped
from tests.faults.waiting import wait_until
from tests.unit.protocol.authenticator import SoftAuthenticator

PAGE_BYTES_MAX = 100_000
LINK = re.compile(rb'(?:href|src)="(/[^"]*)"')
SNAPSHOT = re.compile(rb'<dt>Snapshot</dt><dd><details class="digest">.*?<code>(sha256:[0-9a-f]{64})</code>')
TOKEN = re.compile(rb'name="token" value="([0-9a-f]{64})"')


class Answer:
    """One answer: its status, its headers in lower case, its body."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        """Read it whole."""
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()


class Window:
    """One browser window's cookies, without a browser."""

    def __init__(self, running: Running, person: str = "operator") -> None:
        """Open it; nobody is signed in yet."""
        self.running, self.api = running, Api(running.layout, person)
        cluster = running.layout.cluster()
        self.origin, self.address = cluster.web_origin, cluster.web
        self.cookie = ""

    def call(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """Send exactly this, as a browser on a page of this origin would unless `headers` say otherwise."""
        host, _, port = self.address.rpartition(":")
        connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=60)
        own = {"Host": self.origin.partition("://")[2]}
        if self.cookie:
            own["Cookie"] = self.cookie
        if body is not None:
            own |= {"Origin": self.origin, "Content-Type": "application/x-www-form-urlencoded"}
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, {name: value for name, value in (own | given).items() if value})
        answer = Answer(connection.getresponse())
        connection.close()
        return answer

    def get(self, path: str, **headers: str) -> Answer:
        """Ask for a page."""
        return self.call("GET", path, None, **headers)

    def post(self, path: str, fields: dict[str, str], **headers: str) -> Answer:
        """Send a form."""
        return self.call("POST", path, urlencode(fields).encode(), **headers)

    def ticket(self) -> str:
        """Return a ticket, as `aerodb web` gets it."""
        return canonical.decode(self.api.client.post("/v1/sessions", b"{}"), Ticket).ticket

    def sign_in(self) -> "Window":
        """Spend a ticket."""
        answer = self.post("/enter", {"ticket": self.ticket()})
        assert answer.status == 303
        self.cookie = answer.headers["set-cookie"].partition(";")[0]
        return self

    def token(self) -> str:
        """Return what the forms of this session carry."""
        found = TOKEN.search(self.get("/roles").body)
        assert found is not None
        return found[1].decode()


@pytest.fixture
def window(shared: Running) -> Window:
    """Return the operator's window."""
    return Window(shared).sign_in()


# Signing in ----------------------------------------------------------------------------------------------------------


def test_a_ticket_works_once(shared: Running) -> None:
    """Bringing a ticket spends nothing; the button spends it, once; a newer ticket replaces an older one."""
    window = Window(shared)
    first = window.ticket()
    for _ in range(2):
        brought = window.post("/enter/ticket", {"ticket": first}, Origin="null", Sec_Fetch_Site="cross-site")
        assert (brought.status, b"operator" in brought.body, "set-cookie" in brought.headers) == (200, True, False)
    second = window.ticket()
    assert window.post("/enter", {"ticket": first}).status == 403
    assert window.post("/enter", {"ticket": second}).status == 303
    again = window.post("/enter", {"ticket": second})
    assert again.status == 403
    assert b"control.ticket-spent" in again.body
    assert "set-cookie" not in again.headers


def test_the_cookie_is_for_this_site_and_no_script(shared: Running) -> None:
    """A session's cookie is HttpOnly, SameSite=Strict, for every path, and ends with the browser."""
    window = Window(shared)
    said = window.post("/enter", {"ticket": window.ticket()}).headers["set-cookie"].lower()
    assert {"httponly", "samesite=strict", "path=/"} <= set(said.split("; "))
    assert "max-age" not in said
    assert "expires" not in said


def test_signing_out_ends_the_session(shared: Running) -> None:
    """After signing out the same cookie opens nothing."""
    window = Window(shared).sign_in()
    assert window.post("/leave", {"token": window.token()}).status == 303
    assert window.get("/").status == 401


@pytest.mark.parametrize("entry", PAGES, ids=lambda entry: f"{entry.method} {entry.path}")
def test_nobody_reads_a_page_without_a_session(shared: Running, entry: object) -> None:
    """Every page but the way in asks who calls, and so does what is sent."""
    path, method = getattr(entry, "path", ""), getattr(entry, "method", "")
    window = Window(shared)
    window.cookie = "aerodb-00000000=forged"
    answer = window.get(path) if method == "GET" else window.post(path, {"token": "0" * 64})
    assert answer.status == 401
    assert b"aerodb web" in answer.body


# Guards --------------------------------------------------------------------------------------------------------------


def test_another_host_gets_nothing(window: Window) -> None:
    """A name that points here from elsewhere opens no page (DNS rebinding)."""
    for host in ("evil.example", "127.0.0.1:1", "localhost", ""):
        assert window.get("/", Host=host or "x").status == 421


def test_nobody_else_can_answer_for_localhost(window: Window) -> None:
    """Browsers try both families of the loopback interface, so both are the admin UI's: its links carry tickets."""
    port = window.address.rpartition(":")[2]
    with pytest.raises(OSError, match="in use"):
        listen(f"[::1]:{port}")
    window.address = f"[::1]:{port}"
    assert window.get("/").status == 200


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": ""}, {"Sec_Fetch_Site": "cross-site"}],
    ids=["another origin", "a hidden origin", "no origin", "another site"],
)
def test_forms_from_elsewhere_are_refused(shared: Running, window: Window, headers: dict[str, str]) -> None:
    """Whatever another site sends in the person's name is refused before any page is asked, and nothing is recorded."""
    before = shared.api.status().log_size
    answer = window.post("/requests", {"token": window.token(), "action": "stop"}, **headers)
    assert answer.status == 403
    assert b"control.origin-foreign" in answer.body
    assert shared.api.status().log_size == before


def test_a_form_of_another_session_is_refused(shared: Running, window: Window) -> None:
    """A form carries its own session's token."""
    foreign = Window(shared, "auditor").sign_in().token()
    for token in (foreign, "", "0" * 64, "é", "\x00", "\N{FULLWIDTH DIGIT ZERO}" * 64):
        answer = window.post("/requests", {"token": token, "action": "stop"})
        assert (answer.status, b"control.form-forged" in answer.body) == (403, True)


def test_a_field_that_is_there_twice_is_refused(window: Window) -> None:
    """Which of two values counts is never a question."""
    answer = window.call("POST", "/requests", f"token={window.token()}&action=stop&action=promote".encode())
    assert (answer.status, b"input.form-malformed" in answer.body) == (400, True)


def test_every_answer_is_guarded(window: Window) -> None:
    """The policy stands on pages, errors and assets alike; pages are kept by nobody; nothing runs inline."""
    icon = next(link.decode() for link in LINK.findall(window.get("/").body) if link.startswith(b"/assets/"))
    for path in ("/", "/now", "/nowhere", "/enter", icon):
        answer = window.get(path)
        for name, value in HEADERS.items():
            assert answer.headers[name.lower()] == value
        kept = answer.headers["cache-control"]
        assert ("immutable" in kept) == path.startswith("/assets/"), kept
        assert not re.search(rb"<script(?![^>]*src=)|<style|\sstyle=|\son[a-z]+=", answer.body), path


def test_an_error_is_a_page_without_a_stack_trace(window: Window) -> None:
    """An error says its code, its message, and whether anything was executed."""
    answer = window.get("/requests/none")
    assert answer.status == 404
    assert b"input.request-unknown" in answer.body
    assert b"not executed" in answer.body
    assert b"Traceback" not in answer.body


# Roles ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("person", "path", "status"),
    [
        ("observer", "/", 200), ("observer", "/now", 200), ("observer", "/requests", 200),
        ("observer", "/audit", 403), ("observer", "/audit/0", 403), ("observer", "/requests/new", 403),
        ("auditor", "/requests/new", 403),
        ("auditor", "/audit", 200), ("auditor", "/timeline", 200),
        ("operator", "/requests/new", 200), ("auditor", "/authenticators", 200),
    ],
)  # fmt: skip
def test_a_role_reads_what_it_may(shared: Running, person: str, path: str, status: int) -> None:
    """The control plane's own rights decide, whatever a page offers."""
    answer = Window(shared, person).sign_in().get(path)
    assert answer.status == status
    assert status != 403 or b"control.role-denied" in answer.body


def test_an_auditors_request_is_refused_and_recorded(shared: Running) -> None:
    """Who may not ask is refused by the control plane, not by a missing button."""
    window = Window(shared, "auditor").sign_in()
    request = "11111111-2222-4333-8444-555555555555"
    fields = {"token": window.token(), "id": request, "action": "stop", "target": "n3", "reason": "a test"}
    assert window.post("/requests", fields).status == 403
    assert shared.api.codes(request) == ["control.role-denied"]


# Bytes ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def paths(shared: Running) -> list[str]:
    """Return the address of every page, in a cluster with a history: more of everything than a page shows at once."""
    api, key = shared.api, SoftAuthenticator(identity=b"weighed")
    api.enrol(key)
    planned = api.ask("follow", "n3", upstream="n1")
    for _ in range(RECORDS_A_PAGE // 2 + 1):  # A page of the log with nothing on it but the largest records there are.
        planned = api.ask("follow", "n3", upstream="n1")
        assert api.confirm_by(key, planned).result == "executed"
    for action, target in (("promote", "n3"), ("stop", "n1"), ("stop", "n2"), ("start", "n2")) * 20:
        api.ask(action, target, reason="w" * 200)
    for at in range(PENDING_A_PERSON_MAX):
        api.register(SoftAuthenticator(identity=f"pending {at}".encode()))
    names = {"request": planned.request, "action": "promote", "sequence": str(api.status().log_size - 1)}
    names |= {"digest": json.loads(planned.plan)["snapshot"], "node": "n3", "invariant": "wal-prefix"}
    names["procedure"] = "maintenance"
    pages = (each for each in PAGES if each.method == "GET" and not each.for_scripts)  # A script's.
    found = [each.path.format(**names) for each in pages]
    form = f"/requests/new?action=promote&id={new_id()}"
    searches = [f"/audit?event={event}" for event in ("confirmed", "requested", "outcome")]
    procedures = ["/procedures/maintenance?node=n3&reason=x", "/procedures/switchover?primary=n1&successor=n2&reason="]
    return [*found, form, *procedures, *searches, "/timeline?node=n3", "/timeline?term=1", "/nowhere"]


FOLLOWING = ("/timeline", "/nodes/")
"""Where the pages that show what nodes saw begin."""


def _state(window: Window, path: str) -> bytes:
    """Return what a page that follows the cluster shows, as the API has it; nothing for all other pages."""
    return window.api.client.get("/v1/timeline") if path.startswith(FOLLOWING) else b""


@pytest.fixture
def unobserved(shared: Running) -> Iterator[None]:
    """Let no agent look at its node by itself: what it writes down would change the timeline each second."""
    _watch(shared, 0)
    yield
    _watch(shared, msgspec.UNSET)


def _watch(running: Running, seconds: int | msgspec.UnsetType) -> None:
    """Start every agent anew, to look that often."""
    for name in running.cluster.data_nodes:
        folder = running.layout.node(name)
        changed = msgspec.structs.replace(read_node(folder).file, watch_seconds=seconds)
        running.stage.kill(name)
        (folder / "node.json").write_bytes(canonical.encode(changed))
        running.stage.start_agent(name)
        running.stage.wait_for(name)


@pytest.mark.usefixtures("unobserved")
def test_the_same_state_gives_the_same_bytes(window: Window, paths: list[str]) -> None:
    """Two readings of one state by one session are the same page, byte for byte: of every page that there is.

    The one thing that is the session's own is its forms' token, which is a function of the session; so one session
    is compared with itself. What a page that follows the cluster shows is told by its snapshot or by the API.
    """
    for path in paths:
        pages: dict[tuple[bytes, bytes], list[bytes]] = {}

        def seen_twice(path: str = path, pages: dict[tuple[bytes, bytes], list[bytes]] = pages) -> bool:
            """Read the page once more; tell whether one state of it has been read twice."""
            before = _state(window, path)
            body = window.get(path).body
            if _state(window, path) == before:
                snapshot = SNAPSHOT.search(body)
                assert snapshot or b"<dt>Consistent</dt>" not in body, path  # Else other states count as one.
                pages.setdefault((before, snapshot[1] if snapshot else b""), []).append(body)
            return any(len(bodies) > 1 for bodies in pages.values())

        wait_until(seen_twice)
        assert all(len(set(bodies)) == 1 for bodies in pages.values()), path


def test_pages_are_light(window: Window, paths: list[str]) -> None:
    """Every page with all its assets is under 100 kB, however much there is to show."""
    weights = {}
    for path in paths:
        answer = window.get(path)
        assert answer.status == (404 if path == "/nowhere" else 200), path
        assets = {link for link in LINK.findall(answer.body) if link.startswith(b"/assets/")}
        assert len(assets) >= 3, path
        weights[path] = len(answer.body) + sum(len(window.get(link.decode()).body) for link in assets)
    assert {path: weight for path, weight in weights.items() if weight >= PAGE_BYTES_MAX} == {}, weights


# Looking changes nothing ---------------------------------------------------------------------------------------------


def _crawl(window: Window) -> Iterator[str]:
    """Follow every link from the first page; yield each path that was read."""
    waiting, seen = ["/"], {"/"}
    while waiting:
        path = waiting.pop()
        answer = window.get(path)
        assert answer.status in {200, 303, 403}, path
        yield path
        for link in (found.decode().replace("&amp;", "&") for found in LINK.findall(answer.body)):
            if link not in seen:
                seen.add(link)
                waiting.append(link)


RECORDED = {"/v1/requests/{request}/evidence", "/v1/audit/export"}
"""Reading these owes a record of its own, and tests of the log's side show that it is one and no more."""


def _read_every_endpoint(api: Api, request: str) -> None:
    """Read every GET of the API that owes no record."""
    digest = json.loads(api.decision(request).plan or "")["snapshot"]
    for endpoint in ENDPOINTS:
        if endpoint.method != "GET" or endpoint.path in RECORDED:
            continue
        query = "?action=stop&target=n3" if endpoint.path.endswith("/explain") else ""
        query = "?node=n3&reason=a%20test" if "{procedure}" in endpoint.path else query
        path = endpoint.path.replace("{request}", request).replace("{sequence}", "0").replace("{digest}", digest)
        path = path.replace("{procedure}", "maintenance")
        api.client.get(path + query)
    for path in ("/v1/audit/checkpoint", "/v1/openapi.json"):
        api.client.get(path)


def _files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _everything(running: Running) -> dict[str, object]:
    """Return everything that looking must leave alone: journals and standings, settings, WAL, the log.

    How far a node's WAL has been its agent notes by itself, whoever looks.
    """
    found: dict[str, object] = {"log": running.api.client.get("/v1/audit/checkpoint")}
    for name in running.stage.cluster.data_nodes:
        folder = running.layout.node(name)
        home = Path(read_node(folder).file.home)
        found[f"{name} state"] = {path: data for path, data in _files(folder / "state").items() if path != "reach.json"}
        found[f"{name} settings"] = _files(home / "conf")
    return found


def _end_of_wal(running: Running) -> str:
    with psycopg.connect(running.layout.dsn()) as connection:
        row = connection.execute("select pg_current_wal_flush_lsn()::text").fetchone()
    assert row is not None
    return str(row[0])


def _written_since(running: Running, begin: str) -> list[str]:
    """Return what PostgreSQL has written since, but what it writes by itself: when nobody looks, or with any SELECT.

    FPI_FOR_HINT: the first reader of a page after a checkpoint notes in it which writers committed. No row changes.
    """
    if _end_of_wal(running) == begin:
        return []
    folder = running.home("n1") / "data" / "pg_wal"
    dumped = find_installation().run(
        "pg_waldump", "--path", folder, "--start", begin, "--end", _end_of_wal(running), timeout_seconds=60
    )
    own = re.compile(r"RUNNING_XACTS|CHECKPOINT_(ONLINE|REDO)|FPI_FOR_HINT")
    return [line for line in dumped.output.splitlines() if line and not own.search(line)]


def test_looking_changes_nothing(fresh: Running) -> None:
    """Every page behind every link, and every GET of the API, leave kernel, journals, settings, WAL and log alone."""
    planned = fresh.api.ask("stop", "n3")
    fresh.api.do("follow", "n3", upstream="n2")
    windows = [Window(fresh, person).sign_in() for person in ("operator", "auditor", "observer")]
    before, begin = _everything(fresh), _end_of_wal(fresh)
    read = [path for window in windows for path in _crawl(window)]
    _read_every_endpoint(fresh.api, planned.request)
    assert _everything(fresh) == before
    assert _written_since(fresh, begin) == []
    assert f"/decisions/{planned.request}" in read
    assert json.loads(fresh.api.client.get("/v1/status"))["log_size"] == 4 + len(windows)  # Each sign-in is a record.


def test_lines_that_wait_for_a_node_take_no_place_of_a_page(shared: Running) -> None:
    """However many ask whether writes are acknowledged while an agent hangs, pages are answered."""
    window, answers = Window(shared).sign_in(), list[int]()
    asking = [Thread(target=lambda: answers.append(window.get(WRITES).status)) for _ in range(40)]
    with stopped(shared.stage.process("n3").pid):
        for each in asking:
            each.start()
        wait_until(lambda: answers.count(429) >= len(asking) - ROOM.calls.each)
        assert window.get("/requests").status == 200
        assert any(each.is_alive() for each in asking)
    for each in asking:
        each.join()
    assert set(answers) == {200, 429}
