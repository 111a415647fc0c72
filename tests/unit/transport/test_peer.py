"""Whose a connection is: the kernel's word on real sockets of this machine."""

import os
import socket
import subprocess
import sys
from contextlib import closing

import pytest

from aerodb.transport.errors import PeerUnknown
from aerodb.transport.peer import peer_of

FAMILIES = [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]


def listening(family: socket.AddressFamily, host: str) -> socket.socket:
    """Return a socket that listens, where the machine has the family."""
    bound = socket.socket(family)
    try:
        bound.bind((host, 0))
    except OSError:
        bound.close()
        pytest.skip("the machine has no such family")
    bound.listen()
    return bound


def ends(accepted: socket.socket) -> tuple[tuple[str, int], tuple[str, int]]:
    """Return our address and theirs."""
    return accepted.getsockname()[:2], accepted.getpeername()[:2]


@pytest.mark.parametrize(("family", "host"), FAMILIES, ids=["v4", "v6"])
def test_a_program_of_this_machine_is_known(family: socket.AddressFamily, host: str) -> None:
    """Two connections of one program are one peer; it is this process, of this account."""
    with closing(listening(family, host)) as bound:
        found = []
        for _ in range(2):
            with socket.create_connection((host, bound.getsockname()[1])), closing(bound.accept()[0]) as accepted:
                found.append(peer_of(*ends(accepted)))
    assert found[0] == found[1]
    assert found[0] is not None
    assert (found[0].account, found[0].process) == (os.geteuid(), os.getpid())
    assert found[0].its_account.process is None


def test_another_program_is_another_peer() -> None:
    """A program of the same account is told apart by its process."""
    with closing(listening(*FAMILIES[0])) as bound:
        script = f"import socket; s = socket.create_connection(('127.0.0.1', {bound.getsockname()[1]})); s.recv(1)"
        with subprocess.Popen([sys.executable, "-I", "-c", script]) as process, closing(bound.accept()[0]) as accepted:
            found = peer_of(*ends(accepted))
            accepted.sendall(b"x")
    assert found is not None
    assert found.process == process.pid


def test_a_closed_connection_is_nobodys() -> None:
    """Who sends and closes at once is told as nobody: the kernel shows a closed socket as if it were root's."""
    with closing(listening(*FAMILIES[0])) as bound:
        with socket.create_connection(bound.getsockname()) as gone:
            accepted = bound.accept()[0]
            gone.sendall(b"x")
        with closing(accepted), pytest.raises(PeerUnknown):
            peer_of(*ends(accepted))


def test_another_machine_is_none() -> None:
    """What the kernel has no end of came from elsewhere; from the loopback interface that cannot be."""
    assert peer_of(("192.0.2.1", 443), ("192.0.2.2", 50_000)) is None
    with pytest.raises(PeerUnknown):
        peer_of(("127.0.0.1", 1), ("127.0.0.1", 2))
