"""The package on a host: what dpkg does with it, and what its units do to PostgreSQL, with a real systemd.

Each test goes on from where the one before it left the host, so they are run as they are written.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.packages.guest import wait_until
from tests.packages.host import NODES, PROFILE, SHOP, Host

UNITS = ("aerodb-agent@.service", "aerodb-watch@.service", "aerodb-control.service", "aerodb-log-witness.service")
AGENTS = tuple(f"aerodb-agent@{name}" for name in NODES)
SERVERS = tuple(f"aerodb-postgres@{name}.service" for name in NODES)
WITHOUT_A_UNIT = "ExecStart=\\nExecStart=/usr/bin/aerodb agent --folder ${AERODB_FOLDER}\\n"
MAY_START = """
import sys
from pathlib import Path
from aerodb.kernel.postgres.place import Place
from aerodb.kernel.postgres.unit import may_start
print(may_start(Place(name="n1", home=Path("/"), host="", port=1, quorum=1, data_nodes=(), unit=sys.argv[1])))
"""


@contextmanager
def drop_in(host: Host, text: str, unit: str = "aerodb-agent@.service") -> Iterator[None]:
    """Change lines of a unit for as long as the block runs."""
    name = f"/etc/systemd/system/{unit}.d"
    host.guest.does("mkdir", "-p", name)
    host.guest.does("sh", "-c", f"printf '[Service]\\n{text}\\n' > {name}/test.conf && systemctl daemon-reload")
    try:
        yield
    finally:
        host.guest.does("sh", "-c", f"rm -r {name} && systemctl daemon-reload")
        assert not host.guest.path(name).exists()


def other_version(package: Path, folder: Path, version: str) -> Path:
    """Return the package made over as another version, which says so in one of its files."""
    whole = folder / version
    subprocess.run(["dpkg-deb", "-R", package, whole], check=True)
    control = whole / "DEBIAN" / "control"
    lines = control.read_text(encoding="utf-8").splitlines(keepends=True)
    control.write_text("".join(f"Version: {version}\n" if line.startswith("Version") else line for line in lines))
    (whole / "usr/lib/aerodb/other").write_text(version)
    made = folder / f"aerodb_{version}.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "-b", whole, made], check=True)
    shutil.rmtree(whole)
    return made


# Installing -----------------------------------------------------------------------------------------------------------


def test_installing_starts_and_enables_nothing(host: Host) -> None:
    """The users and folders are there, nothing runs, and nothing will at the next boot."""
    shutil.copy(host.package, host.guest.path("/srv"))
    host.guest.does("apt-get", "install", "-y", f"/srv/{host.package.name}")
    for unit in UNITS:
        assert host.guest.says("systemctl", "is-enabled", unit) == "disabled"
        host.guest.run("systemctl", "preset", unit)
        assert host.guest.says("systemctl", "is-enabled", unit) == "disabled"
    assert host.guest.says("pgrep", "-f", "/usr/lib/aerodb") == ""
    assert int(host.guest.does("sh", "-c", "find /usr/lib/aerodb -name '*.pyc' | wc -l")) > 500
    assert host.guest.does("stat", "-c", "%n %a %U", "/var/lib/aerodb", *(
        f"/var/lib/aerodb/{name}" for name in ("nodes", "control", "witness")
    )).splitlines() == [
        "/var/lib/aerodb 711 root", "/var/lib/aerodb/nodes 711 root",
        "/var/lib/aerodb/control 700 aerodb", "/var/lib/aerodb/witness 700 aerodb-witness",
    ]  # fmt: skip


def test_systemd_has_nothing_to_say_of_the_units(host: Host) -> None:
    """Verified where they are installed, beside the program that they run."""
    named = [unit.replace("@", "@n1") for unit in UNITS]
    assert host.guest.run("systemd-analyze", "verify", *named).stderr == ""


def test_help_is_at_hand(host: Host) -> None:
    """The program, its manual pages, and completion in a shell that loads it as shells do."""
    assert host.guest.does("aerodb", "--version").startswith("aerodb ")
    assert host.guest.does("man", "-w", "aerodb-status").endswith("aerodb-status.1.gz")
    asked = (
        "source /usr/share/bash-completion/completions/aerodb; COMP_WORDS=(aerodb stat); COMP_CWORD=1; "
        '_aerodb_completion aerodb; echo "${COMPREPLY[@]}"'
    )
    assert host.guest.does("bash", "-c", asked) == "status"


def test_without_the_extra_no_cluster_is_made(host: Host) -> None:
    """It is refused by its code, says what to install, and leaves no folder."""
    for words in (["up", "--folder", "/root/here"], ["init", "--folder", "/root/here"], ["demo"]):
        ended = host.guest.run("aerodb", *words)
        assert ended.returncode != 0
        assert ended.stderr.startswith("kernel.postgres-not-bundled: ")
        assert "aerodb[local]" in ended.stderr
    assert not host.guest.path("/root/here").exists()


def test_neither_variables_nor_a_users_folder_change_what_runs(host: Host) -> None:
    """What a person who types `sudo aerodb` has in their environment is not run as root."""
    host.guest.does("sh", "-c", "mkdir -p /root/evil && echo 'raise SystemExit(7)' > /root/evil/click.py")
    ended = host.guest.run("env", "PYTHONPATH=/root/evil", "sh", "-c", "cd /root/evil && aerodb whoami --help")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_postgresql_that_is_named_needs_no_extra(host: Host) -> None:
    """The whole demonstration is played with it; no process of it runs what a person has in their environment."""
    host.guest.does("sh", "-c", "echo 'raise SystemExit(7)' > /root/evil/msgspec.py")
    played = f"cd /root/evil && aerodb demo --postgres {host.programs()}"
    ended = host.guest.run("env", "PYTHONPATH=/root/evil", "sh", "-c", played)
    assert ended.returncode == 0, ended.stdout + ended.stderr


# Running --------------------------------------------------------------------------------------------------------------


def test_a_cluster_runs_by_its_units(host: Host) -> None:
    """Agents and control plane come up; the primary starts by a person's request; the control plane is not root."""
    host.make_cluster()
    host.units("start")
    wait_until(lambda: all(host.postmasters()[name] for name in ("n2", "n3")), "the standbys")
    wait_until(lambda: "n1" in host.status(), "the control plane")
    assert "EXECUTED on n1" in host.types("start", "n1", "--reason", "it is installed")
    host.wait_for_writes()
    control = host.guest.does("cat", f"/proc/{host.main_pid('aerodb-control')}/status")
    assert f"Uid:\t{host.guest.does('id', '-u', 'aerodb')}\t" in control
    assert "CapEff:\t0000000000000000\n" in control
    assert "NoNewPrivs:\t1\n" in host.guest.does("cat", f"/proc/{host.main_pid(AGENTS[0])}/status")


def test_an_action_that_copies_and_moves_folders_works_in_the_sandbox(host: Host) -> None:
    """A standby is recloned: programs run as PostgreSQL's account, folders are made, owned and exchanged."""
    assert "EXECUTED on n3" in host.types("reclone", "n3", "--upstream", "n1", "--reason", "a try")
    host.wait_for_writes()


def test_the_admin_ui_answers(host: Host) -> None:
    """On its own host of this machine, by the control plane's user."""
    said = host.guest.does("journalctl", "-u", "aerodb-control", "-o", "cat", "--no-pager")
    address = said.partition('"origin": "http://')[2].partition('"')[0]
    code = host.guest.does(
        "python3",
        "-c",
        f"""
import http.client
calls = http.client.HTTPConnection("127.0.0.1", {address.rpartition(":")[2]})
calls.request("GET", "/", headers={{"Host": "{address}"}})
print(calls.getresponse().status)
""",
    )
    assert code in {"200", "303", "401", "403"}


# What ends an agent, and what that does to PostgreSQL ----------------------------------------------------------------


def test_postgresql_runs_in_a_unit_of_its_own(host: Host) -> None:
    """Each server is the main process of its unit, as PostgreSQL's account, with no right to gain any."""
    for server, (name, pid) in zip(SERVERS, host.postmasters().items(), strict=True):
        assert host.main_pid(server) == pid
        assert host.guest.does("cat", f"/proc/{pid}/cgroup").endswith(f"/{server}"), name
        status = host.guest.does("cat", f"/proc/{pid}/status")
        assert f"Uid:\t{host.guest.does('id', '-u', 'postgres')}\t" in status
        assert "CapBnd:\t0000000000000000\n" in status
        assert "NoNewPrivs:\t1\n" in status


@pytest.mark.parametrize("verb", ["restart", "stop", "kill", "kill all"])
def test_what_ends_an_agent_leaves_postgresql_alone(host: Host, verb: str) -> None:
    """Restarted, stopped, or killed at once, with all of its unit: PostgreSQL's processes go on, and so do commits."""
    before = host.postmasters()
    if verb.startswith("kill"):
        whom = "all" if verb == "kill all" else "main"
        host.guest.does("systemctl", "kill", f"--kill-whom={whom}", "--signal=KILL", *AGENTS)
        wait_until(lambda: host.is_active(AGENTS[0]) == "failed", "the end of an agent that was killed")
    else:
        host.guest.does("systemctl", verb, *AGENTS)
    assert host.postmasters() == before
    assert all(before.values())
    if verb != "restart":
        assert host.main_pid(AGENTS[0]) == "0"
        host.guest.does("systemctl", "start", *AGENTS)
    host.wait_for_writes()
    assert host.postmasters() == before


def test_its_unit_is_what_keeps_it_alive_whatever_the_agents_says(host: Host) -> None:
    """With systemd's default for the agent's unit, PostgreSQL goes on; in the agent's control group it does not."""
    before = host.postmasters()["n3"]
    with drop_in(host, "KillMode=control-group"):
        host.guest.does("systemctl", "restart", AGENTS[2])
        host.wait_for_writes()
        assert host.postmasters()["n3"] == before
    with drop_in(host, f"{WITHOUT_A_UNIT}KillMode=control-group"):
        host.guest.does("systemctl", "restart", AGENTS[2])
        host.wait_for_writes()
        assert "EXECUTED on n3" in host.types("restart", "n3", "--reason", "into the agent's control group")
        shared = host.postmasters()["n3"]
        assert shared not in {"", before}
        host.guest.does("systemctl", "restart", AGENTS[2])
        wait_until(lambda: host.postmasters()["n3"] not in {"", shared}, "another PostgreSQL of n3")
    host.guest.does("systemctl", "restart", AGENTS[2])
    host.wait_for_writes()
    assert "EXECUTED on n3" in host.types("restart", "n3", "--reason", "back into its unit")
    assert host.main_pid(SERVERS[2]) == host.postmasters()["n3"] != ""


def test_a_drop_in_under_its_name_confines_postgresql(host: Host) -> None:
    """What an administrator asks of systemd for one server holds from its next start on, and for no other."""
    with drop_in(host, "LimitNOFILE=4321", SERVERS[2]):
        assert "EXECUTED on n3" in host.types("restart", "n3", "--reason", "a limit")
        limits = {name: host.guest.does("cat", f"/proc/{pid}/limits") for name, pid in host.postmasters().items()}
    assert {name for name, said in limits.items() if "4321" in said} == {"n3"}
    host.wait_for_writes()


def test_a_start_that_fails_leaves_no_unit_and_can_be_asked_again(host: Host) -> None:
    """The outcome ends with what PostgreSQL said; once it is mended, the next start is as any other."""
    settings = f"{SHOP}/nodes/n3/postgres/conf/postgresql.conf"
    assert "EXECUTED on n3" in host.types("stop", "n3", "--reason", "to break it")
    assert host.is_active(SERVERS[2]) == "inactive"
    host.guest.does("sh", "-c", f"cp -p {settings} /root/kept && echo shared_buffers = 4TB >> {settings}")
    failed = host.guest.run(*host.typing("start", "n3", "--reason", "broken"))
    assert failed.returncode != 0
    assert "not executed" in failed.stdout.lower()
    assert "could not map anonymous shared memory" in failed.stdout
    assert host.guest.does("systemctl", "show", "--property=LoadState", "--value", SERVERS[2]) == "not-found"
    host.guest.does("cp", "-p", "/root/kept", settings)
    assert "EXECUTED on n3" in host.types("start", "n3", "--reason", "mended")
    host.wait_for_writes()


def test_a_start_under_way_in_a_unit_is_not_called_over(host: Host) -> None:
    """Whether PostgreSQL may yet come to run is asked of systemd; where it does not answer, it may."""

    def may_start(unit: str, *environment: str) -> str:
        return host.guest.does("env", *environment, "/usr/lib/aerodb/bin/python3", "-I", "-c", MAY_START, unit)

    waits = ("--property=ExecStartPre=sleep 3600", "--no-block", "--collect")
    host.guest.does("systemd-run", "--unit=late.service", *waits, "true")
    assert may_start("late.service") == "True"
    host.guest.does("systemctl", "stop", "late.service")
    assert may_start("late.service") == "False"
    assert may_start(SERVERS[0]) == "True"
    assert may_start("late.service", "PATH=/nowhere") == "True"
    assert may_start("") == "False"


def test_postgresql_that_is_stopped_by_its_unit_ends_cleanly_and_stays_down(host: Host) -> None:
    """By hand, past AeroDB: its agent says that it is down, nothing starts it, and a person's request does."""
    host.guest.does("systemctl", "stop", SERVERS[2])
    assert not host.postmasters()["n3"]
    log = host.guest.path(f"{SHOP}/nodes/n3/postgres/run/postgres.log").read_text(encoding="utf-8")
    assert log.rstrip().endswith("database system is shut down")
    assert log.rpartition(" shutdown request")[0].endswith("received fast")
    assert host.guest.run("systemctl", "start", SERVERS[2]).returncode != 0
    assert "EXECUTED on n3" in host.types("start", "n3", "--reason", "it was stopped by hand")
    host.wait_for_writes()


def test_a_lost_process_of_postgresql_does_not_end_the_agent(host: Host) -> None:
    """Whatever ends a process of PostgreSQL, its agent goes on and says what it sees."""
    agent = host.main_pid(AGENTS[1])
    host.guest.does("kill", "-KILL", host.postmasters()["n2"])
    wait_until(lambda: not host.postmasters()["n2"], "the end of PostgreSQL on n2")
    assert (host.is_active(AGENTS[1]), host.main_pid(AGENTS[1])) == ("active", agent)
    assert "EXECUTED on n2" in host.types("start", "n2", "--reason", "it was killed")
    host.wait_for_writes()


# Upgrading, removing --------------------------------------------------------------------------------------------------


def test_nothing_is_upgraded_under_a_process_that_runs(host: Host, tmp_path: Path) -> None:
    """The upgrade is refused by name and leaves everything as it was; once all has ended, nothing is started."""
    newer = other_version(host.package, tmp_path, "9.9-1")
    shutil.copy(newer, host.guest.path("/root"))
    before = host.postmasters()
    refused = host.guest.run("dpkg", "-i", f"/root/{newer.name}")
    assert refused.returncode == 1
    assert "nothing was replaced" in refused.stderr
    assert "agent --folder /var/lib/aerodb/nodes/n1" in refused.stderr
    assert host.guest.run("test", "-e", "/usr/lib/aerodb/other").returncode == 1
    assert host.guest.does("dpkg-query", "-Wf", "${Status}", "aerodb") == "install ok installed"
    host.wait_for_writes()
    host.units("stop")
    host.install(newer)
    assert host.guest.does("cat", "/usr/lib/aerodb/other") == "9.9-1"
    assert (host.postmasters(), host.main_pid(AGENTS[0]), host.main_pid("aerodb-control")) == (before, "0", "0")
    host.units("start")
    host.wait_for_writes()
    assert host.postmasters() == before


@pytest.mark.parametrize("how", ["-r", "-P"])
def test_removal_leaves_postgresql_and_all_that_is_durable(host: Host, how: str) -> None:
    """Refused while agents run; afterwards PostgreSQL runs on, and every file below /var/lib/aerodb is as it was.

    /etc/aerodb is kept by a removal; a purge takes the package's own files of it, and says what it leaves.
    """
    host.guest.does("sh", "-c", "echo AERODB_OPTIONS= > /etc/aerodb/agent-n1.env")
    before = host.postmasters()
    refused = host.guest.run("dpkg", how, "aerodb")
    assert refused.returncode == 1
    assert "nothing was removed" in refused.stderr
    host.wait_for_writes()
    host.units("stop")
    found = "find /var/lib/aerodb -path '*/state*' -o -path '*/control*' | sort"
    listed = ("sh", "-c", f"{found} | xargs stat -c '%n %U %a %s %y'")
    kept = host.guest.does(*listed)
    ended = host.guest.does("dpkg", how, "aerodb")
    assert host.postmasters() == before
    assert all(before.values())
    assert host.guest.does(*listed) == kept
    assert host.guest.run("test", "-e", "/usr/lib/aerodb").returncode == 1
    assert host.guest.run("test", "-e", "/etc/aerodb/agent-n1.env").returncode == 0
    assert host.guest.run("test", "-e", "/etc/aerodb/agent.env").returncode == (0 if how == "-r" else 1)
    assert ("/var/lib/aerodb stays" in ended) == (how == "-P")
    host.install(host.package)
    host.units("start")
    host.wait_for_writes()
    assert host.postmasters() == before


# The log witness ------------------------------------------------------------------------------------------------------


def test_a_log_witness_runs_by_its_unit(host: Host) -> None:
    """As a user of its own, in a folder that only that user reads."""
    made = ("aerodb", "witness-log", "init", "--folder", "/var/lib/aerodb/witness", "--name", "witness.example/w1")
    assert host.guest.does("runuser", "-u", "aerodb-witness", "--", *made).startswith("witness.example/w1+")
    host.guest.does("systemctl", "start", "aerodb-log-witness")
    said = ("journalctl", "-u", "aerodb-log-witness", "-o", "cat", "--no-pager")
    wait_until(lambda: '"address": "127.0.0.1:7500"' in host.guest.does(*said), "the log witness")
    assert host.is_active("aerodb-log-witness") == "active"
    owner = host.guest.does("ps", "-o", "user:20=", "-p", host.main_pid("aerodb-log-witness"))
    assert owner.strip() == "aerodb-witness"
    host.guest.does("systemctl", "stop", "aerodb-log-witness")


# The host goes down ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("agents", ["running", "stopped"])
def test_a_host_that_goes_down_shuts_postgresql_down_and_comes_back_as_its_standings_say(
    host: Host, agents: str
) -> None:
    """Every PostgreSQL ends cleanly before the host does; then the standbys start with it, and the primary waits.

    So it does where no agent runs that could end it.
    """
    host.guest.does("systemctl", "enable", *AGENTS, "aerodb-control")
    if agents == "stopped":
        host.guest.does("systemctl", "stop", *AGENTS)
        assert all(host.postmasters().values())
    host.guest.power_off()
    for name in NODES:
        log = host.guest.path(f"{SHOP}/nodes/{name}/postgres/run/postgres.log").read_text(encoding="utf-8")
        assert log.rstrip().endswith("database system is shut down")
        assert log.rpartition(" shutdown request")[0].endswith("received fast")
    host.guest.boot()
    wait_until(lambda: all(host.postmasters()[name] for name in ("n2", "n3")), "the standbys, after the boot")
    assert not host.postmasters()["n1"]
    wait_until(lambda: "n1" in host.status(), "the control plane, after the boot")
    assert "EXECUTED on n1" in host.types("start", "n1", "--reason", "the host is back")
    host.wait_for_writes()
    assert host.guest.says("env", PROFILE, "aerodb", "audit", "verify").count("intact") >= 1
