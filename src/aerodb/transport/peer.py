"""Tells which program of this machine is at the other end of a connection, by asking Linux, not the caller.

A cookie names a session, but does not prove who shows it: browsers send a cookie to every port of its host, so another
program of the machine may get hold of it. Linux knows which account owns each socket.

- The caller's end is looked up in the system's table of connections. If it is not there, the caller is on another
  machine, or its socket is closed already. A closed socket belongs to nobody, although the table shows root.
- The account is always known; the process only if this process may inspect that account's processes.

Source: proc(5), /proc/net/tcp, /proc/PID/fd, /proc/PID/stat.
"""

import ipaddress
import sys
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import msgspec

from aerodb.transport.errors import PeerUnknown

PROC = Path("/proc")
KNOWN_SOCKETS_MAX = 1_024
_BEGUN = 19
"""The index of a process's start time in /proc/PID/stat, counted after the parenthesis that ends its name."""

Address = tuple[str, int]


class PeerProgram(msgspec.Struct, frozen=True, kw_only=True):
    """One program of this machine: its account (uid), and its process if that is known.

    `begun` is the process's start in clock ticks since boot: it tells apart processes that had the same number.
    """

    account: int
    process: int | None = None
    begun: int = 0
    program: str = ""

    def __str__(self) -> str:
        """Return it as people read it."""
        named = f"process {self.process} ({self.program})" if self.process is not None else "a process"
        return f"{named} of account {self.account} on this machine"

    @property
    def its_account(self) -> "PeerProgram":
        """Return the account alone."""
        return PeerProgram(account=self.account)


def peer_of(ours: Address, theirs: Address) -> PeerProgram | None:
    """Return the program at the other end of the connection from `theirs` to `ours`; None if on another machine.

    Raises:
        PeerUnknown: the connection is within this machine, but its owner cannot be told.
    """
    found = _socket(ours, theirs)
    if found is not None:
        account, inode = found
        return _holder(account, inode)
    if ipaddress.ip_address(theirs[0]).is_loopback:
        raise PeerUnknown("the operating system does not say which program has this connection")
    return None


def _socket(ours: Address, theirs: Address) -> tuple[int, int] | None:
    """Return the account and inode of the caller's socket; None if this machine has no such open socket."""
    table = PROC / "net" / ("tcp6" if ":" in theirs[0] else "tcp")
    ends = [_hexadecimal(theirs), _hexadecimal(ours)]
    try:
        lines = table.read_text(encoding="ascii").splitlines()[1:]
    except OSError as error:
        raise PeerUnknown(f"the operating system's table of connections cannot be read: {error}") from error
    for line in lines:
        fields = line.split()
        if fields[1:3] == ends and int(fields[9]):
            return int(fields[7]), int(fields[9])
    return None


def _hexadecimal(address: Address) -> str:
    """Return an address as /proc/net/tcp writes it: words of four bytes, each in the machine's byte order."""
    packed = ipaddress.ip_address(address[0]).packed
    words = (int.from_bytes(packed[at : at + 4], sys.byteorder) for at in range(0, len(packed), 4))
    return "".join(f"{word:08X}" for word in words) + f":{address[1]:04X}"


@lru_cache(maxsize=KNOWN_SOCKETS_MAX)
def _holder(account: int, inode: int) -> PeerProgram:
    """Return the program that holds a socket. Caching is safe: an inode is not reused while its socket is open."""
    wanted = f"socket:[{inode}]"
    for folder in PROC.iterdir():
        if not folder.name.isdigit():
            continue
        with suppress(OSError):  # The process has ended, or may not be inspected.
            if folder.stat().st_uid == account and _holds(folder, wanted):
                return _described(account, folder)
    return PeerProgram(account=account)


def _holds(process: Path, wanted: str) -> bool:
    """Tell whether a process has the `wanted` socket open."""
    for each in (process / "fd").iterdir():
        with suppress(OSError):  # It was closed meanwhile.
            if str(each.readlink()) == wanted:
                return True
    return False


def _described(account: int, process: Path) -> PeerProgram:
    """Return a process as a `PeerProgram`. It chooses its own name, so the name is shown and never relied on."""
    name, _, rest = (process / "stat").read_text(encoding="utf-8", errors="replace").rpartition(") ")
    program = "".join(each if each.isascii() and each.isprintable() else "?" for each in name.partition("(")[2])
    return PeerProgram(account=account, process=int(process.name), begun=int(rest.split()[_BEGUN]), program=program)
