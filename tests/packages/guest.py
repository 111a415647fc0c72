"""A host within this one: the same files under an overlay, with a systemd of its own as its first process.

- It has its own processes, network, name and control groups. What it changes lies in one folder, and stays there when
  it is powered off, to be looked at or booted again.
- It needs root, util-linux and a systemd; nothing of it outlives the process that made it.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

GROUPS = (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup"))
SECONDS_MAX = 120.0
OUTSIDE = """
echo $$ > "$GROUP/cgroup.procs"
exec unshare --mount --uts --ipc --pid --net --cgroup --fork bash -c "$INIT"
"""
INIT = """
set -eu
mount --make-rprivate /
mount -t overlay overlay -o lowerdir=/,upperdir=$GUEST/upper,workdir=$GUEST/work $GUEST/root
cd $GUEST/root
mount -t proc proc proc
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
for folder in $SHOWN; do mkdir -p ./$folder; mount --bind $folder ./$folder; done
mount -t tmpfs -o mode=755 tmpfs dev
for name in null zero full random urandom tty; do touch dev/$name; mount --bind /dev/$name dev/$name; done
mkdir dev/shm dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx; ln -s /proc/self/fd dev/fd
mount -t sysfs -o ro sysfs sys
mount -t tmpfs tmpfs sys/fs/cgroup; umount -l sys/fs/cgroup; mount -t cgroup2 cgroup2 sys/fs/cgroup
mkdir -p mnt; mount --bind mnt mnt; pivot_root . mnt; umount -l /mnt
mount --bind /proc/sys /proc/sys; mount -o bind,remount,ro /proc/sys
hostname guest
exec env -i container=aerodb PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --unit=multi-user.target
"""
MASKED = ("systemd-modules-load", "systemd-sysctl", "systemd-remount-fs", "systemd-udevd", "systemd-logind", "openipmi")
"""Units of every host that have nothing to do in a guest; what was enabled on this one has not either."""


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Poll until `condition` holds; fail, saying `what` was awaited, if it does not in time."""
    end = time.monotonic() + SECONDS_MAX
    while not condition():
        assert time.monotonic() < end, f"{what} did not come about"
        time.sleep(0.1)


class Guest:
    """One such host; it is off at first."""

    def __init__(self, folder: Path, shown: tuple[Path, ...] = ()) -> None:
        """Prepare what it will keep in `folder`; the folders `shown` are seen in it, wherever they lie."""
        self._folder, self._shown = folder, shown
        self._group = next(root for root in GROUPS if (root / "cgroup.procs").exists()) / f"aerodb-guest-{os.getpid()}"
        self._outer: subprocess.Popen[bytes] | None = None
        self._first = 0
        for name in ("upper", "work", "root"):
            (folder / name).mkdir(parents=True)
        units = folder / "upper" / "etc" / "systemd" / "system"
        units.mkdir(parents=True)
        shutil.copystat("/etc", folder / "upper" / "etc")
        enabled = {path.name for path in Path("/etc/systemd/system").glob("*.wants/*")}
        for name in enabled | {f"{name}.service" for name in (*MASKED, "postgresql")}:
            (units / name).symlink_to("/dev/null")
        (folder / "upper" / "etc" / "machine-id").write_text("")
        (folder / "upper" / "etc" / "fstab").write_text("")
        (folder / "upper" / "etc" / "hostname").write_text("guest\n")
        (folder / "upper" / "root").mkdir(mode=0o700)
        (folder / "upper" / "srv").mkdir()

    def boot(self) -> None:
        """Switch it on, and return when it has come up."""
        self._group.mkdir(exist_ok=True)
        shown = " ".join(map(str, self._shown))
        told = {"GUEST": str(self._folder), "SHOWN": shown, "INIT": INIT, "GROUP": str(self._group)}
        with (self._folder / "console").open("ab") as console:
            self._outer = subprocess.Popen(
                ["bash", "-c", OUTSIDE], stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                env=os.environ | told, start_new_session=True,
            )  # fmt: skip
        outer = self._outer.pid

        def came_up() -> bool:
            children = Path(f"/proc/{outer}/task/{outer}/children").read_text().split()
            self._first = int(children[0]) if children else 0
            return bool(self._first) and self.says("systemctl", "is-system-running") in {"running", "degraded"}

        wait_until(came_up, "a guest's boot")

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command within it."""
        into = ("nsenter", "-t", str(self._first), "-m", "-u", "-i", "-n", "-p", "-C", "--")
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
        return subprocess.run(
            [*into, *map(str, command)], capture_output=True, text=True, check=False, cwd="/", env=environment
        )

    def says(self, *command: str | Path) -> str:
        """Return what a command within it prints, whatever its exit code is."""
        return self.run(*command).stdout.strip()

    def does(self, *command: str | Path) -> str:
        """Run a command within it that must succeed; return what it prints."""
        ended = self.run(*command)
        assert ended.returncode == 0, f"{command}: {ended.stdout}{ended.stderr}"
        return ended.stdout.strip()

    def power_off(self) -> None:
        """Have it go down as hosts do, and return when it is off."""
        assert self._outer is not None
        self.run("systemctl", "poweroff", "--no-wall")
        self._outer.wait(SECONDS_MAX * 2)
        self._off()

    def path(self, path: str) -> Path:
        """Return where a file that it has changed or made lies; its path there begins with a slash."""
        return self._folder / "upper" / path.lstrip("/")

    def end(self) -> None:
        """Cut its power."""
        if self._outer is not None:
            with suppress(ProcessLookupError):
                os.kill(self._first or self._outer.pid, signal.SIGKILL)
            self._outer.wait()
            self._off()

    def _off(self) -> None:
        self._outer, self._first = None, 0
        for folder, _, _ in os.walk(self._group, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()
