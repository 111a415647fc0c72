"""What is done on a host that AeroDB is installed on: as an administrator would, by dpkg, systemctl and the program."""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.packages.guest import Guest, wait_until

SHOP = "/var/lib/aerodb/shop"
NODES = ("n1", "n2", "n3")
PROFILE = f"AERODB_PROFILE={SHOP}/operator"
PORTS_FROM = "16000"
POSTGRES = os.environ.get("AERODB_TEST_POSTGRES", "")  # Of which PostgreSQL the cluster is; empty: the wheel's.
PROGRAMS = """
import sys
from aerodb.kernel.postgres.installation import COPIES, copy_wheel, find_installation
from aerodb.kernel.postgres.naming import programs_named

programs = find_installation(programs_named(sys.argv[1])).bin
print(copy_wheel(programs.parent, COPIES) / "bin" if "site-packages" in programs.parts else programs)
"""
"""The builder's own environment has PostgreSQL; the package has none, and is told these programs as a system's are."""
TYPING = """
import sys
from pathlib import Path
from aerodb.local.person import Person
said = Person(Path(sys.argv[1]), lambda text: None, colour=False, passphrase="a long passphrase").types(*sys.argv[2:])
print(said.text)
sys.exit(said.code)
"""


@dataclass(frozen=True)
class Host:
    """One host, and the package that is installed on it."""

    guest: Guest
    package: Path

    def install(self, package: Path) -> str:
        """Install a package as dpkg does; return what it says."""
        shutil.copy(package, self.guest.path("/root"))
        return self.guest.does("dpkg", "-i", f"/root/{package.name}")

    def programs(self) -> str:
        """Return the folder of PostgreSQL's programs that the package is told to use."""
        return self.guest.does(sys.executable, "-c", PROGRAMS, POSTGRES)

    def make_cluster(self) -> None:
        """Make a cluster of three nodes, and lay its folders out for the units."""
        asked = ("--folder", SHOP, "--postgres", self.programs(), "--ports-from", PORTS_FROM)
        self.guest.does("aerodb", "init", *asked)
        for name in NODES[:2]:
            self.guest.does("ln", "-s", f"../shop/nodes/{name}", f"/var/lib/aerodb/nodes/{name}")
        self.guest.does("sh", "-c", f"echo AERODB_FOLDER={SHOP}/nodes/n3 > /etc/aerodb/agent-n3.env")
        self.guest.does("mv", "-T", f"{SHOP}/control", "/var/lib/aerodb/control")
        self.guest.does("ln", "-s", "../control", f"{SHOP}/control")
        self.guest.does("chown", "-R", "aerodb:", "/var/lib/aerodb/control")

    def units(self, verb: str) -> None:
        """Have systemd do something with the agents and the control plane."""
        self.guest.does("systemctl", verb, *(f"aerodb-agent@{name}" for name in NODES), "aerodb-control")

    def typing(self, *words: str) -> tuple[str, ...]:
        """Return the command by which the operator types one of the package's, and confirms it."""
        return ("/usr/lib/aerodb/bin/python3", "-I", "-c", TYPING, f"{SHOP}/operator", *words)

    def types(self, *words: str) -> str:
        """Have the operator type a command of the package, and confirm it; return what they see."""
        return self.guest.does(*self.typing(*words))

    def status(self) -> str:
        """Return the first line of what the package's `aerodb status` says."""
        return self.guest.says("env", PROFILE, "aerodb", "status").partition("\n")[0]

    def wait_for_writes(self) -> None:
        """Return once n1 acknowledges writes, whichever standby is lost."""
        wait_until(lambda: "acknowledged by n1, survives the loss of 1" in self.status(), "writes")

    def postmasters(self) -> dict[str, str]:
        """Return, by node, the process id of its living PostgreSQL; empty where it does not run."""
        found = {}
        for name in NODES:
            pid = self.guest.says("head", "-n", "1", f"{SHOP}/nodes/{name}/postgres/data/postmaster.pid")
            runs = pid and self.guest.says("cat", f"/proc/{pid}/comm") == "postgres"
            found[name] = pid if runs else ""
        return found

    def main_pid(self, unit: str) -> str:
        """Return the process id of a unit's main process; "0" if it has none."""
        return self.guest.does("systemctl", "show", "--property", "MainPID", "--value", unit)

    def is_active(self, unit: str) -> str:
        """Return what systemd says of a unit, in a word."""
        return self.guest.says("systemctl", "is-active", unit)
