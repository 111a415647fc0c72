"""Connections that jam the doors of a whole cluster: nobody who matters is kept out, and no node seems to fail."""

import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from urllib.parse import quote, urlencode

import msgspec
import pytest

from aerodb.control.allowance import BURST
from aerodb.errors import AeroError
from aerodb.kernel.service import ORDER_BYTES_MAX
from aerodb.protocol.plan import Order
from aerodb.transport.client import Client, Kept
from aerodb.transport.tls import client_context, tls_in
from aerodb.web.site import PAGES
from tests.faults.conftest import Running
from tests.faults.people import UNCONFIRMED, Api, Published, new_id
from tests.faults.test_web import Window

JAM = 600
"""More than any service has seats."""


def dialled(address: str) -> socket.socket:
    """Open a connection."""
    host, _, port = address.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), 30)


@contextmanager
def jammed(running: Running) -> Iterator[None]:
    """Hold idle connections: without a credential at the admin UI, an observer's at an agent and the control plane."""
    context = client_context(tls_in(running.layout.profile("observer")))
    cluster = running.cluster
    with ExitStack() as ending:
        for _ in range(JAM):
            ending.enter_context(dialled(cluster.web))
        for name, address in (("n1", cluster.member("n1").agent), ("control", cluster.control)):
            for _ in range(JAM):
                opened: ssl.SSLSocket = context.wrap_socket(dialled(address), server_hostname=name)
                ending.enter_context(opened)
        yield


def test_idle_connections_silence_no_service(shared: Running) -> None:
    """The node is observed, a balancer is told what is, a person is shown pages, and an action is executed."""
    with jammed(shared):
        status = shared.api.status()
        assert not status.snapshot.missing
        address = shared.cluster.member("n1").agent
        for caller in ("observer", "operator"):
            balancer = Client(address, tls_in(shared.layout.profile(caller)), "n1", 30)
            assert balancer.get("/primary") == b"primary\n"
        assert Window(shared).call("GET", "/").status == 401
        shared.api.do("checkpoint", "n1")


FLOOD = 60


def test_no_certificate_uses_up_ids_or_fills_the_log(shared: Running) -> None:
    """The control plane's certificate leaves nothing on a node; an observer's a few records, and a count."""
    journal = shared.layout.node("n2") / "state" / "journal"
    before, size = sorted(journal.iterdir()), len(Published(shared.api).records)
    observer = Api(shared.layout, "observer")
    request = new_id()
    for _ in range(FLOOD):
        with pytest.raises(AeroError) as error:
            shared.impostor.agent("n2").post(f"/v1/outcomes/{new_id()}", UNCONFIRMED)
        assert (error.value.code, error.value.executed) == ("kernel.confirmation-missing", "unknown")
        with pytest.raises(AeroError) as error:
            observer.ask("stop", "n2", request=new_id())
        assert error.value.code == "control.role-denied"
    assert sorted(journal.iterdir()) == before
    refusals = [msgspec.json.decode(each) for each in Published(shared.api).records[size:]]
    refusals = [each for each in refusals if each["event"] == "refused"]
    assert len(refusals) <= BURST + 3
    assert "were counted, and not recorded" in refusals[-1]["message"]
    with pytest.raises(AeroError):
        observer.ask("stop", "n2", request=request)  # It is dropped: whoever may ask is free to use the id, once.
    planned = shared.api.ask("checkpoint", "n2", request=request)
    assert shared.api.confirm(planned).result == "executed"
    with pytest.raises(AeroError) as error:
        shared.api.confirm(planned)
    assert error.value.code == "control.confirmation-replayed"


ODD = ("é", "²", "\x00", "%", "\u202e", "9" * 5_000, "../../x", "[" * 2_000, "\N{FULLWIDTH DIGIT ONE}")
FILLED = re.compile(r"\{[a-z]+\}")


def test_no_text_in_a_path_a_query_a_form_or_a_cookie_is_a_failure(shared: Running) -> None:
    """Every page, with every odd text in each place: refused or answered, and never by a failure of the service."""
    window = Window(shared).sign_in()
    session, token = window.cookie, window.token()
    for page in (each for each in PAGES if each.path != "/leave"):
        for text in ODD:
            path = FILLED.sub(lambda _, text=text: quote(text, safe=""), page.path)  # type: ignore[misc]
            names = ("before", "node", "term", "digest", "id", "action", "target", "reason", "since", "operator",
                     "kind", "name", "role", "key", "version")  # fmt: skip
            fields = urlencode({**dict.fromkeys(names, text), "token": token if text != "é" else text})
            if page.method == "GET":
                assert window.get(f"{path}?{fields}").status < 500, (page.path, text)
            else:
                assert window.call("POST", path, fields.encode()).status < 500, (page.path, text)
    for text in ("é", "\xff", '"', "a=b; a=c", "9" * 5_000):
        window.cookie = f"{session.partition('=')[0]}={text}"
        assert window.get("/").status < 500
    lines = (shared.layout.logs / "control.log").read_text(encoding="utf-8").splitlines()
    assert "internal failure" not in {json.loads(line)["event"] for line in lines}


def heavy() -> bytes:
    """Return a body that is as large as one may be, canonical, and slow to be read: it is an order of nonsense."""
    order = Order(
        plan="", signature="", record="", proof="", consistency=("\U0001f600",) * 900_000, reports={}, late={}
    )
    return msgspec.json.encode(order, order="sorted")


def test_a_body_that_is_slow_to_be_read_holds_up_nobody(shared: Running) -> None:
    """Whoever has the control plane's certificate sends the worst order there is: balancers are answered meanwhile."""
    body = heavy()
    assert len(body) < ORDER_BYTES_MAX
    sender = shared.impostor.agent("n1")
    balancer = Kept(Client(shared.cluster.member("n1").agent, tls_in(shared.layout.monitor), "n1", 60))
    balancer.get("/primary")
    refused = Future[str]()

    def send() -> None:
        try:
            sender.post("/v1/judge", body)
        except AeroError as error:
            refused.set_result(error.code)

    waits = list[float]()
    thread = threading.Thread(target=send)
    thread.start()
    begun = time.monotonic()
    while not refused.done():
        asked = time.monotonic()
        assert balancer.get("/primary") == b"primary\n"
        waits.append(time.monotonic() - asked)
    whole = time.monotonic() - begun
    thread.join()
    balancer.close()
    assert refused.result().startswith(("input.", "kernel."))
    assert max(waits) < 0.7 * whole, f"{max(waits):.3f} s of {whole:.3f} s, of {len(waits)} answers"
