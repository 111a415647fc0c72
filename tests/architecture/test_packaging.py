"""The package's own files: how an agent is ended, what the scripts never do, how versions sort."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from packages.deb import FILES, PLACES, SCRIPTS
from packages.version import made_of, version_of

ENDING = """
import signal, sys, time
def caught(number, frame):
    time.sleep(0.3)
    print(signal.Signals(number).name, flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, caught)
signal.signal(signal.SIGINT, caught)
print("ready", flush=True)
signal.pause()
"""
AGENT = (FILES / "aerodb-agent@.service").read_text(encoding="utf-8")


def ended_by(folder: Path, systemctl: str) -> tuple[str, bool]:
    """Run the script that ends an agent, with a `systemctl` of its own; return the signal, and whether it waited."""
    (folder / "systemctl").write_text(f"#!/bin/sh\n{systemctl}\n", encoding="ascii")
    (folder / "systemctl").chmod(0o755)
    with subprocess.Popen([sys.executable, "-c", ENDING], stdout=subprocess.PIPE, text=True) as agent:
        assert agent.stdout is not None
        assert agent.stdout.readline() == "ready\n"
        path = f"{folder}:{os.environ['PATH']}"
        script = subprocess.Popen(["sh", FILES / "end-agent", str(agent.pid)], env={"PATH": path}, stdout=-3)
        said = agent.stdout.readline().strip()
        waited = script.poll() is None
        agent.wait()
        assert script.wait(10) == 0
    return said, waited


@pytest.mark.parametrize(
    ("systemctl", "expected"),
    [
        ("echo stopping; exit 1", "SIGINT"),
        ("echo running", "SIGTERM"),
        ("echo degraded; exit 1", "SIGTERM"),
        ("echo maintenance; exit 1", "SIGTERM"),
        ("echo 'Failed to connect to bus' >&2; exit 1", "SIGTERM"),
        ("exit 127", "SIGTERM"),
    ],
)
def test_only_a_host_that_goes_down_has_an_agent_stop_postgresql(tmp_path: Path, systemctl: str, expected: str) -> None:
    """SIGINT where systemd says that it is stopping, SIGTERM for anything else; and it waits for the agent's end."""
    assert ended_by(tmp_path, systemctl) == (expected, True)


def test_an_agent_that_has_ended_by_itself_is_not_signalled() -> None:
    """Then systemd names no process; nor is one that is gone by now a failure."""
    script = ["sh", str(FILES / "end-agent")]
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    for arguments in ([], [""], [str(gone.pid)]):
        assert subprocess.run([*script, *arguments], check=False, stdout=subprocess.DEVNULL).returncode == 0


def test_the_agents_unit_ends_the_agent_alone() -> None:
    """The lines that PostgreSQL's life hangs on, and none that would take its files from under it."""
    lines = [line for line in AGENT.splitlines() if not line.startswith("#")]
    for needed in ("KillMode=process", "Restart=no", "OOMPolicy=continue", "TasksMax=infinity"):
        assert needed in lines
    names = {line.partition("=")[0] for line in lines}
    assert not names & {"PrivateTmp", "PrivateIPC", "RuntimeDirectory", "RemoveIPC", "MemoryDenyWriteExecute", "User"}
    assert "ExecStop=-/usr/lib/aerodb/end-agent $MAINPID" in lines


@pytest.mark.parametrize("name", [*SCRIPTS, "running", "end-agent"])
def test_no_script_starts_stops_or_enables_anything(name: str) -> None:
    """Each is a sound script for any shell; all that it has systemd do is to read the units again."""
    text = (FILES / name).read_text(encoding="utf-8")
    subprocess.run(["sh", "-n", FILES / name], check=True)
    code = "\n".join(line for line in text.splitlines() if "echo" not in line and not line.lstrip().startswith("#"))
    asked = [line.strip() for line in code.splitlines() if "systemctl" in line and "'aerodb-agent@*'" not in line]
    assert all("daemon-reload" in line or "is-system-running" in line for line in asked)
    for word in ("deb-systemd-invoke", "invoke-rc.d", "rm -r", "pkill", "killall"):
        assert word not in code


@pytest.mark.parametrize("name", [name for name in PLACES if name.endswith(".service")])
def test_every_unit_is_left_to_a_person(name: str) -> None:
    """None restarts by itself, and the preset enables none."""
    assert "\nRestart=no\n" in (FILES / name).read_text(encoding="utf-8")
    assert f"disable {name}\n" in (FILES / "aerodb.preset").read_text(encoding="ascii")


def test_a_version_says_what_it_was_made_of() -> None:
    """A clean release has its own; anything else is told apart from it, and from a release that it is not."""
    assert version_of("0.2.0", ["v0.2.0"], "20261127113924.10fe25ede053") == "0.2.0"
    assert version_of("0.2.0", ["v0.1.0"], "20261127113924.10fe25ede053") == "0.2.0+20261127113924.10fe25ede053"
    assert version_of("0.2.0", ["v0.2.0"], "2026.10fe.dirty") == "0.2.0+2026.10fe.dirty"


def test_a_packages_date_is_never_the_clocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the one that is asked for, where there is no commit to take it from."""
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.0"\n', encoding="utf-8")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "15")
    assert made_of(tmp_path).epoch == 15
