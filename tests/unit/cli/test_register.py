"""Registering on one's own machine: real sockets, a browser in software, a control plane that lies where told to."""

import http.client
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from msgspec.structs import replace

from aerodb.cli.commands import run
from aerodb.cli.desk import Desk, served
from aerodb.cli.failures import RegistrationLapsed
from aerodb.cli.session import Session
from aerodb.cli.terminal import Terminal
from aerodb.protocol import canonical, webauthn
from aerodb.protocol.api import Planned
from aerodb.protocol.authenticator import fingerprint, short_name
from aerodb.protocol.change import read_step, step_text
from aerodb.protocol.credentials import AuthenticatorList
from aerodb.protocol.plan import Plan
from aerodb.protocol.webauthn import Endorsement
from aerodb.protocol.words import words_of
from aerodb.registration import RegistrationInvalid
from aerodb.transport.guard import HEADERS
from aerodb.transport.server import listen, listen_as_localhost
from tests.unit.cli.stage import Screen, Shown, Stage, stage_in
from tests.unit.cli.test_wire import stage as listening
from tests.unit.protocol.authenticator import ORIGIN, PRESENT, VERIFIED, SoftAuthenticator, enrolling

__all__ = ["listening"]
LINK = re.compile(r"http://localhost:(\d+)/[\w-]{43}")
PATIENCE_SECONDS = 600
"""Against hanging alone."""
REASON = ("--reason", "a new key")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Yield an honest control plane."""
    with stage_in(tmp_path) as made:
        yield made


class Watched(Screen):
    """A screen that gives away the link as soon as it is shown."""

    def __init__(self) -> None:
        """Show nothing yet."""
        super().__init__()
        self.link: Future[str] = Future()

    def write(self, text: str) -> int:
        """Show a text."""
        found = LINK.search(text)
        if found and not self.link.done():
            self.link.set_result(found[0])
        return super().write(text)


class Browser:
    """A browser in software at a link; `headers` are what it says of the page that sends."""

    def __init__(self, link: str) -> None:
        """Open nothing yet."""
        parts = urlsplit(link)
        self.path, self.port = parts.path, parts.port or 0
        self.origin = f"http://localhost:{self.port}"

    def call(
        self, method: str, path: str, body: str | None = None, host: str = "127.0.0.1", **headers: str
    ) -> tuple[int, dict[str, str], str]:
        """Send exactly this, as the page would unless `headers` say otherwise; return status, headers and body."""
        connection = http.client.HTTPConnection(host, self.port, timeout=PATIENCE_SECONDS)
        own = {"Host": f"localhost:{self.port}", "Origin": self.origin, "Content-Type": "application/json"} | headers
        connection.request(method, path, body, {name: value for name, value in own.items() if value})
        answer = connection.getresponse()
        said = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()
        connection.close()
        return said

    def challenge(self) -> str:
        """Return the challenge on the page."""
        status, _, page = self.call("GET", self.path)
        assert status == 200
        found = re.search(r"challenge&#34;:&#34;([\w-]+)&#34;", page)
        assert found
        return found[1]

    def answers(self, response: str) -> tuple[int, dict[str, Any]]:
        """Send a response; return the status and the document that comes back."""
        status, _, body = self.call("POST", self.path, response)
        return status, json.loads(body)


Answer = Callable[[Browser], object]


def registering(stage: Stage, answer: Answer, *words: str, typed: str = "") -> Shown:
    """Run the command as alice does, while a browser answers at the link that it shows."""
    streams = Screen(typed), Watched(), Screen()
    ended: Future[object] = Future()

    def browse() -> None:
        try:
            ended.set_result(answer(Browser(streams[1].link.result(PATIENCE_SECONDS))))
        except BaseException as error:
            ended.set_exception(error)
            raise

    browser = threading.Thread(target=browse)
    browser.start()
    session = Session(terminal=Terminal(*streams), connect=stage._connect, folder=stage.profile)
    code = run(("register", *REASON, *words), session)
    if not streams[1].link.done():
        streams[1].link.set_exception(AssertionError("no link was shown"))
    browser.join()
    ended.result()
    return Shown(code, streams[1].getvalue(), streams[2].getvalue())


def good(key: SoftAuthenticator) -> Answer:
    """Return a browser that registers `key`."""
    return lambda browser: browser.answers(key.registers(browser.challenge(), browser.origin))


def enrolled(stage: Stage) -> list[tuple[str, str, str]]:
    """Return whose it is, the credential and the key of all that the primary's own version enrols."""
    newest = stage.room.houses["n1"].agent._versions.chain.newest
    return [(each.person, each.credential, each.public_key) for each in newest.enrolled]


def test_what_the_browser_answered_is_shown_in_a_plan_and_enrolled(stage: Stage) -> None:
    """The change is of the browser's own key; both screens show the same; the primary takes it; who is next is said."""
    key = SoftAuthenticator()
    said: list[Any] = []
    public = webauthn.public_text(key.private.public_key())
    shown = registering(stage, lambda browser: said.append(good(key)(browser)), typed="n1\n")
    assert shown.code == 0, shown.err
    assert [path.rpartition("/")[2] for path in stage.posts()][1:] == ["confirmation"]
    assert enrolled(stage) == [("alice", key.credential, public)]
    ((status, page),) = said
    statement = Endorsement(
        cluster=stage.cluster.id, operator="alice", credential=key.credential, public_key=public, rp_id="localhost",
        origin=ORIGIN,
    )  # fmt: skip
    words = words_of(canonical.digest(canonical.encode(statement)))
    assert (status, page["name"], page["words"]) == (200, short_name(key.credential), words)
    text = " ".join(shown.plain.split())
    for part in (fingerprint(public), words, key.credential, page["key"], "aerodb configure n2 --take"):
        assert part in text, part


@pytest.mark.parametrize("typed", ["", "\n", "yes\n"])
def test_anything_but_the_nodes_name_signs_nothing(stage: Stage, typed: str) -> None:
    """What was registered is enrolled nowhere."""
    shown = registering(stage, good(SoftAuthenticator()), typed=typed)
    assert shown.code == 1
    assert enrolled(stage) == []
    assert not any(path.endswith("/confirmation") for path in stage.posts())


@pytest.mark.parametrize("thief", [SoftAuthenticator("EdDSA", identity=b"thief"), SoftAuthenticator("EdDSA")])
def test_a_control_plane_cannot_put_a_key_of_its_own_into_the_plan(stage: Stage, thief: SoftAuthenticator) -> None:
    """What is signed is what was read here: a plan for another key, under this id or another, is told and not shown."""
    own = enrolling(thief, "alice").after

    def steal(body: bytes) -> bytes:
        planned = canonical.decode(body, Planned)
        plan = canonical.decode(planned.plan.encode(), Plan)
        step = read_step(plan.request.arguments["change"], "change")
        forged = step_text(replace(step, change=replace(step.change, after=own)))
        request = replace(plan.request, arguments={"change": forged})
        text = canonical.encode(replace(plan, request=request).sealed()).decode()
        return canonical.encode(replace(planned, plan=text))

    stage.alter["POST /v1/requests"] = steal
    shown = registering(stage, good(SoftAuthenticator()), typed="n1\n")
    assert shown.code == 6
    assert "control.plan-unverified" in shown.err
    assert enrolled(stage) == []


def test_what_is_enrolled_is_not_made_anew(stage: Stage) -> None:
    """What the verified chain enrols as the person's is excluded, as long as it is not revoked; no list is believed."""
    key, pages = SoftAuthenticator(), list[str]()
    assert registering(stage, good(key), typed="n1\n").code == 0
    stage.alter["GET /v1/authenticators"] = lambda _: canonical.encode(AuthenticatorList(authenticators=()))
    other = SoftAuthenticator("EdDSA", identity=b"two")

    def browse(browser: Browser) -> None:
        pages.append(browser.call("GET", browser.path)[2])
        good(other)(browser)

    assert registering(stage, browse, typed="n1\n").code == 0
    assert key.credential in pages[0]
    assert [credential for _, credential, _ in enrolled(stage)] == [key.credential, other.credential]


def test_without_a_granted_primary_nothing_is_served(stage: Stage) -> None:
    """The primary takes it first: where none is known, no link is opened that could lead nowhere."""
    stage.missing["n1"] = "it is gone"
    shown = stage.run("register", *REASON, "--seconds", "1")
    assert (shown.code, stage.posts()) == (2, [])
    assert "input.primary-unknown" in shown.err
    assert "Open this link" not in shown.plain


BAD: dict[str, Answer] = {
    "another challenge": lambda browser: browser.answers(SoftAuthenticator().registers("AAAA", browser.origin)),
    "the admin UI's origin": lambda browser: browser.answers(SoftAuthenticator().registers(browser.challenge())),
    "another port": lambda browser: browser.answers(
        SoftAuthenticator().registers(browser.challenge(), "http://localhost:1")
    ),
    "a frame": lambda browser: browser.answers(
        SoftAuthenticator().registers(browser.challenge(), browser.origin, crossOrigin=True)
    ),
    "an assertion": lambda browser: browser.answers(
        SoftAuthenticator().registers(browser.challenge(), browser.origin, type="webauthn.get")
    ),
    "nobody present": lambda browser: browser.answers(
        SoftAuthenticator().registers(browser.challenge(), browser.origin, VERIFIED)
    ),
    "nobody verified": lambda browser: browser.answers(
        SoftAuthenticator().registers(browser.challenge(), browser.origin, PRESENT)
    ),
    "another party": lambda browser: browser.answers(
        SoftAuthenticator(rp_id="evil.example").registers(browser.challenge(), browser.origin)
    ),
    "no JSON": lambda browser: browser.answers("{"),
}


@pytest.mark.parametrize("case", BAD)
def test_an_unsound_answer_ends_it(stage: Stage, case: str) -> None:
    """It is told with its reason, at once; nothing is asked, signed or sent."""
    shown = registering(stage, BAD[case], typed="anything\n")
    assert shown.code == 2
    assert re.search(r"input\.(registration-invalid|webauthn-malformed)", shown.err)
    assert not stage.posts()


def test_an_internal_failure_is_no_stack_trace(stage: Stage, capfd: pytest.CaptureFixture[str]) -> None:
    """Whatever goes wrong at the page is a problem in the browser, and no line on the terminal."""
    with served(stage.cluster, "alice", None) as desk:  # type: ignore[arg-type]
        browser = Browser(desk.link)
        status, _, text = browser.call("GET", browser.path)
    assert (status, json.loads(text)["code"]) == (500, "control.internal")
    assert capfd.readouterr() == ("", "")


# The link ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def desk(stage: Stage) -> Iterator[Desk]:
    """Yield a page that is served."""
    with served(stage.cluster, "alice", ()) as made:
        yield made


def test_the_link_takes_one_answer(desk: Desk) -> None:
    """The second is refused, sound as it is, and does not replace the first; so it is after an unsound one."""
    browser, first, second = Browser(desk.link), SoftAuthenticator(), SoftAuthenticator("EdDSA", identity=b"two")
    challenge = browser.challenge()
    assert browser.challenge() == challenge  # Looking spends nothing.
    assert browser.answers(first.registers(challenge, browser.origin))[0] == 200
    status, document = browser.answers(second.registers(challenge, browser.origin))
    assert (status, document["code"]) == (409, "input.link-used")
    assert desk.wait(0).endorsement.credential == first.credential


def test_an_unsound_answer_spends_the_link(desk: Desk) -> None:
    """There is no second try with one challenge."""
    browser = Browser(desk.link)
    assert browser.answers("{}")[0] == 400
    challenge = browser.challenge()
    assert browser.answers(SoftAuthenticator().registers(challenge, browser.origin))[0] == 409
    with pytest.raises(Exception, match="browser's response"):
        desk.wait(0)


def test_without_the_secret_there_is_nothing(desk: Desk) -> None:
    """Another user of the machine finds a port that says nothing, and spends nothing."""
    browser = Browser(desk.link)
    challenge = browser.challenge()
    response = SoftAuthenticator().registers(challenge, browser.origin)
    own = browser.path
    for path in ("/", "/" + "A" * 43, own[:-1], own + "A", own.upper(), "/favicon.ico", "/%C3%A9"):
        for method, body in (("GET", None), ("POST", response)):
            status, _, text = browser.call(method, path, body)
            assert status == 404, path
            assert "alice" not in text
            assert challenge not in text
    for name in ("/register.css", "/register.js"):
        assert browser.path not in browser.call("GET", name)[2]
    with pytest.raises(RegistrationLapsed):
        desk.wait(0)
    assert browser.answers(response)[0] == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421), ({"Host": "127.0.0.1"}, 421), ({"Origin": "http://localhost:7407"}, 403),
        ({"Origin": "null"}, 403), ({"Origin": ""}, 403), ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
    ids=str,
)  # fmt: skip
def test_nothing_is_taken_from_another_page(desk: Desk, headers: dict[str, str], status: int) -> None:
    """Not from the admin UI's own pages either: they are on the same host, and the control plane serves them."""
    browser = Browser(desk.link)
    response = SoftAuthenticator().registers(browser.challenge(), browser.origin)
    assert browser.call("POST", browser.path, response, **headers)[0] == status
    assert browser.answers(response)[0] == 200


def test_every_answer_is_guarded(desk: Desk) -> None:
    """The policy stands on everything; nothing runs inline; nothing is kept."""
    browser = Browser(desk.link)
    for path in (browser.path, "/nowhere", "/register.js", "/register.css"):
        _, headers, text = browser.call("GET", path)
        assert {name: headers[name.lower()] for name in HEADERS} == HEADERS
        assert headers["cache-control"] == "no-store"
        assert "set-cookie" not in headers
        assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son[a-z]+=", text), path
    assert "script-src 'self'" in HEADERS["Content-Security-Policy"]


def test_a_body_beyond_measure_is_refused(desk: Desk) -> None:
    """It spends nothing."""
    browser = Browser(desk.link)
    assert browser.call("POST", browser.path, "x" * (65 << 10))[0] == 413
    assert good(SoftAuthenticator())(browser)[0] == 200  # type: ignore[index]


def test_nobody_else_can_answer_for_localhost(desk: Desk) -> None:
    """Both families of the loopback interface are this page's, wherever the machine has them."""
    browser = Browser(desk.link)
    for host in ("127.0.0.1", "::1"):
        with pytest.raises(OSError, match="in use"):
            listen(f"{'[::1]' if ':' in host else host}:{browser.port}")
        assert browser.call("GET", browser.path, host=host)[0] == 200


def test_a_port_that_somebody_else_has_is_not_used() -> None:
    """Neither family is left to others: a port that is taken in one of them is refused, or another one is found."""
    with ExitStack() as stack:
        taken = stack.enter_context(listen("[::1]:0"))
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            listen_as_localhost(port)
        stack.enter_context(listen(f"127.0.0.1:{port}"))  # It was let go of.
        first, second = (stack.enter_context(each) for each in listen_as_localhost())
        assert first.getsockname()[1] == second.getsockname()[1] != port


# Ends ----------------------------------------------------------------------------------------------------------------


def test_the_link_is_open_for_a_bounded_time(stage: Stage) -> None:
    """Then nothing listens any more, and nothing was signed or sent."""
    browsers: list[Browser] = []
    shown = registering(stage, browsers.append, "--seconds", "1")
    assert shown.code == 2
    assert "input.registration-lapsed" in shown.err
    assert not stage.posts()
    with pytest.raises(ConnectionRefusedError):
        browsers[0].call("GET", browsers[0].path)


@pytest.mark.parametrize(
    ("origin", "code"),
    [
        ("https://ui.example", "input.origin-elsewhere"),
        ("https://ui.localhost.example:7407", "input.origin-elsewhere"),
        ("", "input.admin-ui-absent"),
    ],
)
def test_an_admin_ui_elsewhere_is_said_to_be_so(stage: Stage, origin: str, code: str) -> None:
    """No page of this machine could register for it, so none is served, and nothing is asked."""
    elsewhere = msgspec.structs.replace(stage.cluster, web_origin=origin)
    (stage.profile / "cluster.json").write_bytes(canonical.encode(elsewhere))
    shown = stage.run("register", *REASON, "--seconds", "1")
    assert (shown.code, stage.sent) == (2, [])
    assert code in shown.err


def test_without_a_terminal_nothing_is_served(stage: Stage) -> None:
    """A script cannot register."""
    assert stage.run("register", *REASON, terminal=False).code == 5
    assert not stage.sent


def test_ctrl_c_leaves_nothing(listening: Stage) -> None:
    """The shipped program, in a terminal: stopped by hand, it ends at once; no port, no file, no record is left."""
    ours, theirs = pty.openpty()
    before = sorted(listening.profile.rglob("*"))
    # A job that a shell put into the background ignores SIGINT, and so would its children; a terminal's do not.
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "aerodb", "--profile", listening.profile, "register", *REASON],
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        )  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, ignored)
    os.close(theirs)
    text = _read_until(ours, LINK)
    found = LINK.search(text)
    assert found
    assert Browser(found[0]).call("GET", urlsplit(found[0]).path)[0] == 200
    with socket.create_connection(("127.0.0.1", int(found[1]))) as stranger:
        stranger.sendall(b"no HTTP at all\r\n\r\n")
        assert stranger.recv(65536).startswith(b"HTTP/1.1 400")
    process.send_signal(signal.SIGINT)
    text = _read_until(ours, re.compile("(?!)"))
    os.close(ours)
    assert process.wait() == 1
    assert "input.stopped" in text
    assert not re.search("Traceback|Invalid HTTP", text)  # A stranger's call is no line on this terminal.
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("localhost", int(found[1]))):
        pass
    assert sorted(listening.profile.rglob("*")) == before
    assert (listening.posts(), listening.log.size) == ([], 0)


def _read_until(terminal: int, pattern: re.Pattern[str]) -> str:
    text = ""
    while not pattern.search(text):
        assert select.select([terminal], [], [], PATIENCE_SECONDS)[0], text
        try:
            data = os.read(terminal, 65536)
        except OSError:  # The command has closed its side.
            return text
        text += data.decode()
    return text


def test_what_is_read_is_bound_to_its_page(stage: Stage) -> None:
    """An answer to one link is worth nothing at another: each has its own challenge and its own origin."""
    with served(stage.cluster, "alice", ()) as one, served(stage.cluster, "alice", ()) as other:
        first, second = Browser(one.link), Browser(other.link)
        assert second.answers(SoftAuthenticator().registers(first.challenge(), first.origin))[0] == 400
        with pytest.raises(RegistrationInvalid, match="challenge"):
            other.wait(0)
