"""Another manager is found by the program that a process runs, not by a word in its arguments."""

from pathlib import Path

import pytest

from aerodb.kernel.watching.managers import LOOK_EVERY_SECONDS, Managers, managers_running, program_in


@pytest.mark.parametrize(
    ("line", "program"),
    [
        ("/usr/bin/python3 /usr/bin/patroni /etc/patroni/1.yml", "patroni"),
        ("python3.11 -X dev -I -m patroni 1.yml", "patroni"),
        ("python /opt/patroni.py 1.yml", "patroni"),
        ("/usr/bin/repmgrd -f /etc/repmgr.conf", "repmgrd"),
        ("/usr/sbin/pacemakerd", "pacemakerd"),
        ("/usr/lib/pacemaker/pacemaker-controld", "pacemaker-controld"),
        ("/usr/sbin/corosync -f", "corosync"),
        ("pg_autoctl: node active ", "pg_autoctl"),
        ("/usr/bin/python3 /usr/bin/patronictl list", None),
        ("vi /etc/patroni", None),
        ("python3 edit.py patroni", None),
        ("postgres: 15/main: walsender patroni 10.0.0.2(1) streaming 0/5", None),
        ("", None),
    ],
)
def test_a_manager_is_known_by_its_program(line: str, program: str | None) -> None:
    """Whether it is run by an interpreter or not."""
    assert program_in(line.split()) == program


def _process(proc: Path, pid: int, *words: str) -> None:
    (proc / str(pid)).mkdir()
    (proc / str(pid) / "cmdline").write_bytes("".join(f"{word}\0" for word in words).encode())


def test_processes_are_found_in_proc(tmp_path: Path) -> None:
    """In the order of their ids; what has ended meanwhile is none."""
    _process(tmp_path, 1, "/sbin/init")
    _process(tmp_path, 712, "/usr/bin/python3", "/usr/bin/patroni", "1.yml")
    _process(tmp_path, 99, "/usr/bin/repmgrd")
    (tmp_path / "100").mkdir()
    (tmp_path / "self").mkdir()
    assert managers_running(tmp_path) == ("repmgrd (process 99)", "patroni (process 712)")


def test_where_processes_are_hidden_nothing_is_said_to_be_none(tmp_path: Path) -> None:
    """Linux can hide the processes of others: then it is unknown which ones there are."""
    _process(tmp_path, 712, "/usr/bin/python3", "/usr/bin/patroni", "1.yml")
    assert managers_running(tmp_path) is None
    assert managers_running(tmp_path / "nowhere") is None


def test_they_are_looked_for_once_in_a_while() -> None:
    """All looks share what was found, until its time has come."""
    now, looks = [0.0], list[float]()

    def look() -> tuple[str, ...]:
        looks.append(now[0])
        return (f"patroni (process {len(looks)})",)

    managers = Managers(look, lambda: now[0])
    assert managers.known() == managers.known() == ("patroni (process 1)",)
    now[0] = LOOK_EVERY_SECONDS
    assert managers.known() == ("patroni (process 2)",)
