"""The package on the host of a PostgreSQL that others made: its watching unit, under a real systemd.

The tests go on from one another, so they are run as they are written.
"""

import re

import pytest

from tests.packages.guest import wait_until
from tests.packages.host import TYPING, Host

MAJOR = "15"
PORT = "5499"
DATA = f"/var/lib/postgresql/{MAJOR}/watched"
UNIT = "aerodb-watch@w1"
PLACE = "/root/watched"


def typing(*words: str) -> tuple[str, ...]:
    """Return how whoever runs the host types a command of the package, and the name that it asks for."""
    program = ("/usr/lib/aerodb/bin/python3", "-I", "-c", TYPING, f"{PLACE}/shop/operator")
    return ("env", "-C", PLACE, *program, *words)


def types(host: Host, *words: str) -> str:
    """Have them type one that succeeds; return what they see."""
    return host.guest.does(*typing(*words))


def psql(host: Host, statement: str) -> str:
    """Have PostgreSQL's superuser run a statement."""
    return host.guest.does("runuser", "-u", "postgres", "--", "psql", "-p", PORT, "-Atqc", statement)


def postmaster(host: Host) -> str:
    """Return the process id of the PostgreSQL that is watched."""
    return host.guest.does("head", "-n", "1", f"{DATA}/postmaster.pid")


@pytest.fixture(scope="module", autouse=True)
def watched(host: Host) -> None:
    """Make a PostgreSQL as Debian's packages do, the role, and all that joining takes."""
    if host.guest.run("dpkg-query", "-W", "aerodb").returncode:
        host.install(host.package)
    host.guest.does("pg_createcluster", "-p", PORT, MAJOR, "watched")
    host.guest.does("pg_ctlcluster", MAJOR, "watched", "start")
    psql(host, "create role aerodb_watch login; grant pg_monitor to aerodb_watch")
    host.guest.does("mkdir", "-p", PLACE)
    types(host, "join", "--watch", "--postgres", f"{MAJOR}/watched", "--name", "w1", "--address", "127.0.0.1:17401")
    types(host, "admit", "w1.join", "--name", "shop", "--control", "127.0.0.1:17410")
    types(host, "join", "--admitted", "shop/admitted/w1.admitted")
    host.guest.does("systemd-run", "--unit=watched-control", "aerodb", "serve", "--folder", f"{PLACE}/shop/control")


def status(host: Host) -> str:
    """Return what `aerodb status` says."""
    return host.guest.says("env", f"AERODB_PROFILE={PLACE}/shop/operator", "aerodb", "status")


def test_the_unit_watches(host: Host) -> None:
    """As its own user, without a right that it could gain; what it sees is said."""
    host.guest.does("systemctl", "start", UNIT)
    wait_until(lambda: re.search(r"w1 +primary", status(host)) is not None, "a look at w1")
    agent = host.main_pid(UNIT)
    said = host.guest.does("cat", f"/proc/{agent}/status")
    assert f"Uid:\t{host.guest.does('id', '-u', 'aerodb_watch')}\t" in said
    for line in ("CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"):
        assert f"{line}\n" in said


def test_the_agent_reads_and_writes_nothing_of_postgresql(host: Host) -> None:
    """Within its own mounts, even root finds PostgreSQL's folders closed, and nothing to write to but its own."""
    within = ("nsenter", "-t", host.main_pid(UNIT), "-m", "--")
    for folder in (DATA, f"/etc/postgresql/{MAJOR}/watched"):
        assert host.guest.run("test", "-e", folder).returncode == 0
        assert host.guest.run(*within, "test", "-e", folder).returncode == 1
    for path in ("/etc/x", "/usr/x", "/var/lib/x", "/var/lib/aerodb/x"):
        assert host.guest.run(*within, "touch", path).returncode == 1
    assert host.guest.run(*within, "test", "-e", "/var/lib/aerodb/nodes/n1").returncode == 1


@pytest.mark.parametrize("verb", ["restart", "stop", "kill"])
def test_what_ends_it_leaves_postgresql_alone(host: Host, verb: str) -> None:
    """It is the same PostgreSQL afterwards, and the agent is back by a person's hand alone."""
    before = postmaster(host)
    host.guest.does("systemctl", verb, UNIT)
    wait_until(lambda: host.is_active(UNIT) == ("active" if verb == "restart" else "inactive"), f"a {verb}")
    if verb != "restart":
        assert not re.search(r"w1 +primary", status(host))
        host.guest.does("systemctl", "start", UNIT)
    wait_until(lambda: re.search(r"w1 +primary", status(host)) is not None, "another look at w1")
    assert postmaster(host) == before
    assert psql(host, "select pg_is_in_recovery()") == "f"


def test_it_is_watched_and_nothing_else(host: Host) -> None:
    """An order for it is rejected, in words; PostgreSQL that goes down is said to be down, and is not started."""
    asked = host.guest.run(*typing("stop", "w1", "--reason", "a try"))
    assert asked.returncode != 0
    assert "REJECTED" in asked.stdout
    assert "only watched" in asked.stdout
    host.guest.does("pg_ctlcluster", MAJOR, "watched", "stop")
    wait_until(lambda: re.search(r"w1 +unknown +unreachable", status(host)) is not None, "the sight of an end")
    host.guest.does("systemctl", "restart", UNIT)
    wait_until(lambda: re.search(r"w1 +unknown +unreachable", status(host)) is not None, "the same afterwards")
    host.guest.does("pg_ctlcluster", MAJOR, "watched", "start")
    wait_until(lambda: re.search(r"w1 +primary", status(host)) is not None, "its return")
