"""A service of the package, run on a host without a systemd: by the user, the command and the confinement of its unit.

What the unit demands is read in the file that the package installed, so that what is tried is what systemd would run;
of its sandbox what needs no systemd is there: what it may not see, where it may write, and no privileges.
"""

from collections import defaultdict

from tests.hosts.bed import ENVIRONMENT, Daemon, Host

FOLDER = "/usr/lib/systemd/system"
CONFINED = """
set -eu
for folder in $UNSEEN; do [ ! -d "$folder" ] || mount -t tmpfs -o mode=000,ro tmpfs "$folder"; done
mount --bind "$WRITES" "$WRITES"
for place in / /run /tmp; do mount -o remount,bind,ro "$place"; done
umask "$MASK"
exec setpriv --reuid "$USER" --regid "$GROUP" --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all \\
    env -i LANG=C.UTF-8 PATH="$PATH" $COMMAND
"""


def unit(host: Host, name: str, instance: str) -> dict[str, list[str]]:
    """Return what an installed unit says of an instance: by each name, the values."""
    found = defaultdict[str, list[str]](list)
    for line in host.path(f"{FOLDER}/{name}@.service").read_text(encoding="utf-8").splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found[key].append(value.replace("%i", instance))
    return found


def started(host: Host, name: str, instance: str) -> Daemon:
    """Start an instance of an installed service as its unit would."""
    says = unit(host, name, instance)
    assert (says["ProtectSystem"], says["NoNewPrivileges"], says["CapabilityBoundingSet"]) == (
        ["strict"],
        ["yes"],
        [""],
    )
    told = {
        "UNSEEN": " ".join(each.lstrip("-") for line in says["InaccessiblePaths"] for each in line.split()),
        "WRITES": says["BindPaths"][0],
        "MASK": says["UMask"][0],
        "USER": says["User"][0],
        "GROUP": says["Group"][0],
        "COMMAND": says["ExecStart"][0],
        "PATH": ENVIRONMENT["PATH"],
    }
    words = [f"{key}={value}" for key, value in told.items()]
    return host.daemon(f"{name}@{instance}", "env", *words, "unshare", "--mount", "sh", "-c", CONFINED)
