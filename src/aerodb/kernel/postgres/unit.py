"""PostgreSQL in a unit of its own: started by the host's service manager, so outside of its agent's control group.

- The unit exists only while PostgreSQL runs, and the agent alone starts it: nothing else can, at boot or by a name, so
  nothing starts PostgreSQL without asking its standing first.
- What ends, limits or confines the agent does not reach PostgreSQL. Drop-ins under the unit's name do.
- Where the host goes down the unit ends by a fast shutdown, before the network does, whether an agent runs or not.

Source: systemd-run(1), systemd.service(5), systemd.kill(5), systemd.unit(5); PostgreSQL manual 18.3, 18.5.
"""

import subprocess
import time
from collections.abc import Sequence

from aerodb.kernel.postgres.children import Children
from aerodb.kernel.postgres.errors import CommandFailed
from aerodb.kernel.postgres.installation import Installation
from aerodb.kernel.postgres.place import Place
from aerodb.kernel.postgres.settings import given

ASKED_SECONDS_MAX = 30.0
"""How long the service manager may take to answer, in seconds; to start is to have run the program, and no more."""
SETTLED_SECONDS_MAX = 10.0
"""How long the unit of the PostgreSQL that ran before may take to be gone, in seconds."""
POLL_SECONDS = 0.02
ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "HOME": "/"}
PROPERTIES = (
    "After=network-online.target",
    # The agent's own way of ending it: a fast shutdown. What is left of the group after the postmaster ends at once.
    "KillSignal=SIGINT",
    "KillMode=mixed",
    "TimeoutStopSec=1h",
    # Where the system kills one process of PostgreSQL for want of memory, its postmaster recovers by itself.
    "OOMPolicy=continue",
    "TasksMax=infinity",
)
SANDBOX = (
    "CapabilityBoundingSet=",
    "NoNewPrivileges=yes",
    # Not strict: data folders, tablespaces and archives are where their owner put them.
    "ProtectSystem=full",
    "ProtectHome=read-only",
    "PrivateDevices=yes",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "LockPersonality=yes",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    # AF_NETLINK: PostgreSQL asks for the host's addresses where pg_hba.conf says samehost or samenet.
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallErrorNumber=EPERM",
    "UMask=0077",
)
"""What neither PostgreSQL nor its extensions, archive_command and the like need, as a rule; a drop-in gives it back.

Left out are PrivateTmp and PrivateIPC, since a second server must find what tells it of the first, and
MemoryDenyWriteExecute, since PostgreSQL compiles queries.
"""
_OVER = {"inactive", "failed"}


def start(installation: Installation, place: Place) -> None:
    """Have the service manager run PostgreSQL in its unit; return when it runs the program, ready or not.

    Raises:
        CommandFailed: the service manager does not say that it does. Whether it does is then to be seen.
    """
    if not _settled(place.unit):
        raise CommandFailed(f"the unit {place.unit} of the PostgreSQL that ran before is not over")
    _ask(command(installation, place))


def command(installation: Installation, place: Place) -> list[str]:
    """Return the command that has the service manager start PostgreSQL in the data folder in use.

    Raises:
        FolderBroken: there is none.
    """
    data = place.data()
    # Whatever PostgreSQL says before its own log begins goes where pg_ctl would have it.
    properties = [
        *PROPERTIES, *SANDBOX, f"Description=PostgreSQL of node {place.name}", f"WorkingDirectory={data}",
        f"StandardOutput=append:{place.log}", f"StandardError=append:{place.log}",
    ]  # fmt: skip
    if installation.account is not None:
        properties += [f"User={installation.account.name}", f"Group={installation.account.gid}"]
    server = [str(installation.bin / "postgres"), "-D", str(data), *given(place, data)]
    return [
        "systemd-run", "--quiet", "--no-ask-password", "--collect", "--service-type=exec", f"--unit={place.unit}",
        *(f"--property={each}" for each in properties),
        *(f"--setenv={name}={value}" for name, value in ENVIRONMENT.items()),
        "--",
        *(word.replace("$", "$$") for word in server),  # Else the service manager puts a variable's value there.
    ]  # fmt: skip


def may_start(place: Place) -> bool:
    """Tell whether PostgreSQL runs in its unit, or may come to: a start that nobody waits for may be under way there.

    Of a node whose PostgreSQL has no unit, no. If the service manager does not say, it may.
    """
    if not place.unit:
        return False
    try:
        said = _shown(place.unit)
    except CommandFailed:
        return True
    return said["ActiveState"] not in _OVER or said["Job"] not in {"", "0"}


def _settled(unit: str) -> bool:
    """Wait until the service manager has let go of a unit that is over; return whether it has in time."""
    end = time.monotonic() + SETTLED_SECONDS_MAX
    while True:
        said = _shown(unit)
        if said["LoadState"] == "not-found":
            return True
        if time.monotonic() > end:
            # It may be a unit that somebody else made: the service manager says so, in its own words.
            return said["ActiveState"] in _OVER
        time.sleep(POLL_SECONDS)


def _shown(unit: str) -> dict[str, str]:
    """Return what the service manager says of a unit.

    Raises:
        CommandFailed: it does not answer, or not all of it.
    """
    names = ("LoadState", "ActiveState", "Job")
    text = _ask(["systemctl", "show", *(f"--property={name}" for name in names), unit])
    said = {name: value for name, _, value in (line.partition("=") for line in text.splitlines())}
    if "LoadState" not in said or "ActiveState" not in said:
        raise CommandFailed(f"the service manager does not say how {unit} is: {text.strip()!r}")
    return {"Job": "", **said}


def _ask(words: Sequence[str]) -> str:
    """Run one of the service manager's programs to its end, and return what it prints.

    Raises:
        CommandFailed: it cannot be run, fails, or does not end in time; what it was to do may be done all the same.
    """
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    try:
        with Children().started(words, **pipes) as child:
            output, said = child.communicate(timeout=ASKED_SECONDS_MAX)
    except subprocess.TimeoutExpired as error:
        late = f"{words[0]} did not end within {ASKED_SECONDS_MAX:.0f} s"
        raise CommandFailed(late, executed="unknown") from error
    except OSError as error:
        raise CommandFailed(f"{words[0]} cannot be run: {error}") from error
    if child.returncode:
        tail = said.strip()[-2000:]
        raise CommandFailed(f"{words[0]} ended with code {child.returncode}: {tail}", executed="unknown")
    return str(output)
