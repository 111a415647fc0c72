"""Hosts on one machine, each with files, processes, a network address and a name of its own, and cables between them.

- The files are overlays over this machine's, so that what is installed here is installed on each; what a host changes
  stays its own. A file system that is mounted below / is not seen by them.
- Nothing of it has a name on this machine: all lies in the namespaces of the process that made it, which `alone` gives
  it. So two beds never meet, and a bed ends with that process, however it ends.
- This process is at the hub, at an address of its own, as an application would be.

Source: Linux manual: namespaces(7), pid_namespaces(7), pivot_root(2), veth(4); nft(8).
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.packages.guest import wait_until

NETWORK = "10.86.0"
ADDRESSES = {"n1": f"{NETWORK}.1", "n2": f"{NETWORK}.2", "n3": f"{NETWORK}.3", "ctl": f"{NETWORK}.254"}
"""The hosts of the three nodes, and the machine of the control plane."""
HUB = f"{NETWORK}.250"
FOLDER = Path("/mnt")
"""Where the bed keeps the hosts' files, in a mount namespace that nobody else is in."""
OWN = ("etc/postgresql", "var/lib/postgresql", "var/log/postgresql", "var/lib/aerodb", "root")
"""Folders of this machine that are empty on a host."""
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
INIT = """
set -eu
cd "$1"
mount -t proc proc proc
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount --rbind /dev dev
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mkdir run/postgresql run/lock
chown postgres:postgres run/postgresql
pivot_root . mnt
umount -l /mnt
hostname "$2"
ip link set lo up
echo up
while :; do sleep infinity & wait; done
"""
"""What the first process of a host does; then it waits for whatever lost its parent, as such a process has to."""


def alone(command: Sequence[str]) -> list[str]:
    """Return a command such that it can make a bed: with networks, mounts and processes of its own.

    It ends with the process that starts it, however that ends, and all that it started with it.
    """
    spaces = ("--net", "--mount", "--pid", "--ipc", "--uts", "--mount-proc", "--fork", "--kill-child")
    return ["setpriv", "--pdeathsig", "KILL", "--", "unshare", *spaces, "--", *command]


def as_user(user: str) -> tuple[str, ...]:
    """Return the words that run a command as a user, in place of whoever runs them."""
    return ("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups")


def _does(*command: str) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert ended.returncode == 0, f"{' '.join(command)}: {ended.stdout}{ended.stderr}"
    return ended.stdout


def _empty(inside: str, upper: Path) -> None:
    """Have a folder of this machine be an empty one in an overlay's upper layer; what is above it stays as it is."""
    made = Path()
    for part in Path(inside).parts:
        made /= part
        if not (upper / made).exists():
            (upper / made).mkdir()
            there = Path("/") / made
            if there.exists():
                shutil.copystat(there, upper / made)
                os.chown(upper / made, there.stat().st_uid, there.stat().st_gid)
    os.setxattr(upper / made, "trusted.overlay.opaque", b"y")


class Daemon:
    """A program that runs on a host until it is ended; what it prints is added to `log`."""

    def __init__(self, words: Sequence[str], log: Path) -> None:
        """Start it."""
        self.log = log
        with log.open("ab") as output:
            self._begin = log.stat().st_size
            self._entering = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=ENVIRONMENT, start_new_session=True
            )
        children = Path(f"/proc/{self._entering.pid}/task/{self._entering.pid}/children")
        wait_until(lambda: self.ended or children.read_text(encoding="utf-8") != "", f"the start of {words}")
        assert not self.ended, self.printed
        self.pid = int(children.read_text(encoding="utf-8").split()[0])

    @property
    def printed(self) -> str:
        """Return what it has printed since it started."""
        return self.log.read_bytes()[self._begin :].decode(errors="replace")

    @property
    def ended(self) -> bool:
        """Tell whether it has ended."""
        return self._entering.poll() is not None

    def wait_for(self, text: str) -> None:
        """Return once it has printed a text."""
        wait_until(lambda: self.ended or text in self.printed, f"{text} in {self.log}")
        assert not self.ended, self.printed

    def signal(self, number: int) -> None:
        """Send it a signal, and return once it has ended."""
        os.kill(self.pid, number)
        self._entering.wait(60)


class Host:
    """One host that is up."""

    def __init__(self, name: str, log: Path) -> None:
        """Switch it on. What programs that stay print is kept in files of the folder `log`."""
        self.name, self.address, self._log = name, ADDRESSES[name], log
        folder = FOLDER / name
        for each in ("upper", "work", "root"):
            (folder / each).mkdir(parents=True)
        shutil.copystat("/", folder / "upper")
        for each in OWN:
            _empty(each, folder / "upper")
        self._root = folder / "root"
        layers = f"lowerdir=/,upperdir={folder}/upper,workdir={folder}/work"
        _does("mount", "-t", "overlay", "overlay", "-o", layers, str(self._root))
        spaces = ("--mount", "--net", "--uts", "--ipc", "--pid", "--fork", "--kill-child")
        with (log / f"{name}.log").open("wb") as errors:
            self._outer = subprocess.Popen(
                ["unshare", *spaces, "bash", "-c", INIT, "init", str(self._root), name],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=ENVIRONMENT,
            )  # fmt: skip
        assert self._outer.stdout is not None
        assert self._outer.stdout.readline() == b"up\n", (log / f"{name}.log").read_text()
        children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children")
        self.first = int(children.read_text(encoding="utf-8").split()[0])

    def path(self, path: str) -> Path:
        """Return where this process sees a file of the host's disk; its path there begins with a slash."""
        return self._root / path.lstrip("/")

    def into(self, *command: str) -> list[str]:
        """Return the words that run a command on the host."""
        return ["nsenter", "-t", str(self.first), "-m", "-u", "-i", "-n", "-p", "--", *command]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command on the host, in root's folder."""
        return subprocess.run(
            self.into("env", "-C", "/root", *command),
            capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, env=ENVIRONMENT,
        )  # fmt: skip

    def does(self, *command: str) -> str:
        """Run a command on the host that must succeed; return what it prints."""
        ended = self.run(*command)
        assert ended.returncode == 0, f"{self.name}: {' '.join(command)}: {ended.stdout}{ended.stderr}"
        return ended.stdout.strip()

    def daemon(self, name: str, *command: str) -> Daemon:
        """Start a program on the host that stays; what it prints is kept under `name`."""
        return Daemon(self.into(*command), self._log / f"{name}.log")

    def carried(self, path: str, to: "Host", into: str = "/root") -> None:
        """Carry a file to another host."""
        shutil.copy(self.path(path), to.path(into))

    def psql(self, *statements: str, user: str = "postgres") -> str:
        """Have PostgreSQL on the host run statements, as somebody who logs in by peer; return what it prints."""
        words = [word for each in statements for word in ("-c", each)]
        return self.does(*as_user(user), "psql", "-XAtqd", "postgres", "-v", "ON_ERROR_STOP=1", *words)


class Bed:
    """All hosts, joined by one bridge."""

    def __init__(self, log: Path) -> None:
        """Switch them on; `log` is a folder for what is printed on them."""
        assert os.getpid() == 1, "a bed is made by a process that is alone: see `alone`"
        _does("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(FOLDER))  # An overlay's upper may lie on none.
        for words in ("add br0 type bridge", "set br0 up", "set lo up"):
            _does("ip", "link", *words.split())
        _does("ip", "address", "add", f"{HUB}/24", "dev", "br0")
        self.hosts = {name: self._host(name, log) for name in ADDRESSES}

    def _host(self, name: str, log: Path) -> Host:
        host = Host(name, log)
        _does("ip", "link", "add", f"to-{name}", "type", "veth", "peer", "name", "eth0", "netns", str(host.first))
        _does("ip", "link", "set", f"to-{name}", "master", "br0", "up")
        host.does("ip", "address", "add", f"{host.address}/24", "dev", "eth0")
        host.does("ip", "link", "set", "eth0", "up")
        return host

    @contextmanager
    def silent(self, one: str, other: str) -> Iterator[None]:
        """Have everything between two hosts vanish, both ways, while the block runs."""
        with self.one_way(one, other), self.one_way(other, one):
            yield

    @contextmanager
    def one_way(self, sender: str, receiver: str) -> Iterator[None]:
        """Have everything that one host sends to another vanish, while the block runs; what comes back arrives."""
        host, table = self.hosts[sender], f"inet to_{receiver}"
        host.does("nft", f"add table {table}; add chain {table} out {{ type filter hook output priority 0; }}; "
                  f"add rule {table} out ip daddr {ADDRESSES[receiver]} drop")  # fmt: skip
        try:
            yield
        finally:
            host.does("nft", f"delete table {table}")

    @contextmanager
    def pulled(self, name: str) -> Iterator[None]:
        """Have a host's cable pulled out while the block runs."""
        _does("ip", "link", "set", f"to-{name}", "down")
        try:
            yield
        finally:
            _does("ip", "link", "set", f"to-{name}", "up")
