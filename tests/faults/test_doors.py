"""Connections that jam the doors of a whole cluster: nobody who matters is kept out, and no node seems to fail."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from aerodb.transport.client import Client
from aerodb.transport.tls import client_context, tls_in
from tests.faults.conftest import Running
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
