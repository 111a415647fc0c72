"""Which program of this machine is at the other end of a connection, by the kernel's word and not by the caller's.

A cookie says which session; it does not say who shows it. Browsers send a cookie to every port of its host, so another
program of the machine may come to have one. The kernel knows whose each socket is.

- The kernel's table of connections is asked for the caller's own end: no answer means that the caller is elsewhere, or
  that its socket is closed already. A closed one is of nobody, never of root.
- The account is always known. The process is known where this one may look at that account's processes.

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
"""The place of a process' start time in /proc/PID/stat, after the parenthesis that ends its name."""

Address = tuple[str, int]


class PeerProgram(msgspec.Struct, frozen=True, kw_only=True):
    """One program of this machine: its account, and its process where that can be told.

    `begun` is when the process began, in clock ticks since the machine did: process numbers are used again.
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
    """Return which program holds the other end of the connection from `theirs` to `ours`; None is another machine's.

    Raises:
        PeerUnknown: the connection is within this machine, and the kernel does not say whose it is.
    """
    found = _socket(ours, theirs)
    if found is not None:
        account, inode = found
        return _holder(account, inode)
    if ipaddress.ip_address(theirs[0]).is_loopback:
        raise PeerUnknown("the kernel does not say which program this connection is of")
    return None


def _socket(ours: Address, theirs: Address) -> tuple[int, int] | None:
    """Return the account and the inode of the caller's end, where the kernel has it."""
    table = PROC / "net" / ("tcp6" if ":" in theirs[0] else "tcp")
    ends = [_hexadecimal(theirs), _hexadecimal(ours)]
    try:
        lines = table.read_text(encoding="ascii").splitlines()[1:]
    except OSError as error:
        raise PeerUnknown(f"the kernel's table of connections cannot be read: {error}") from error
    for line in lines:
        fields = line.split()
        if fields[1:3] == ends and int(fields[9]):
            return int(fields[7]), int(fields[9])
    return None


def _hexadecimal(address: Address) -> str:
    """Return an address as the kernel's table has it: words of four bytes, each in the machine's own order."""
    packed = ipaddress.ip_address(address[0]).packed
    words = (int.from_bytes(packed[at : at + 4], sys.byteorder) for at in range(0, len(packed), 4))
    return "".join(f"{word:08X}" for word in words) + f":{address[1]:04X}"


@lru_cache(maxsize=KNOWN_SOCKETS_MAX)
def _holder(account: int, inode: int) -> PeerProgram:
    """Return the program that holds a socket; an inode's number is not used again while the socket is open."""
    wanted = f"socket:[{inode}]"
    for folder in PROC.iterdir():
        if not folder.name.isdigit():
            continue
        with suppress(OSError):  # It ended meanwhile, or is not ours to look at.
            if folder.stat().st_uid == account and _holds(folder, wanted):
                return _described(account, folder)
    return PeerProgram(account=account)


def _holds(process: Path, wanted: str) -> bool:
    """Tell whether a process has something open."""
    for each in (process / "fd").iterdir():
        with suppress(OSError):  # It was closed meanwhile.
            if str(each.readlink()) == wanted:
                return True
    return False


def _described(account: int, process: Path) -> PeerProgram:
    """Return what a process is; its name is its own choice, and so is only ever shown."""
    name, _, rest = (process / "stat").read_text(encoding="utf-8", errors="replace").rpartition(") ")
    program = "".join(each if each.isascii() and each.isprintable() else "?" for each in name.partition("(")[2])
    return PeerProgram(account=account, process=int(process.name), begun=int(rest.split()[_BEGUN]), program=program)
