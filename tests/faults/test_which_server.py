"""The server that is looked at is the one that is meant: its folder, its settings file, its process."""

import pytest

from aerodb.protocol.facts import State
from tests.faults.behind import append_to, instance_of, pg_ctl, run
from tests.faults.conftest import Running
from tests.faults.verdicts import failing
from tests.faults.waiting import wait_until


def test_no_file_says_which_folder_is_used(fresh: Running) -> None:
    """`data_directory` in postgresql.conf beats -D; a reclone's new folder is the one that serves all the same."""
    old = (fresh.home("n3") / "data").resolve()
    append_to(fresh.home("n3") / "conf" / "postgresql.conf", f"data_directory = '{old}'\n")
    fresh.api.do("reclone", "n3", upstream="n1")
    new = (fresh.home("n3") / "data").resolve()
    assert new != old
    assert run(fresh, "n3", "show data_directory") == [(str(new),)]
    assert instance_of(fresh, "n3").state is State.RUNNING


@pytest.mark.parametrize("settings", ["ours", "its own"])
def test_a_server_on_another_folder_is_unknown(fresh: Running, settings: str) -> None:
    """Somebody starts the old folder: the node is neither down nor what that server says, and is not started."""
    fresh.api.do("reclone", "n3", upstream="n1")
    fresh.api.do("stop", "n3")
    old, conf = fresh.home("n3").resolve() / "data-0001", fresh.home("n3").resolve() / "conf"
    port = fresh.cluster.member("n3").postgres_port
    options = f"-c config_file={conf}/postgresql.conf -c hba_file={conf}/pg_hba.conf -c ident_file={conf}/pg_ident.conf"
    if settings == "its own":
        options = f"-c port={port} -c listen_addresses='' -c unix_socket_directories=@elsewhere -c max_wal_senders=16"
    pg_ctl(fresh, "n3", "start", "-w", "-o", options, "-l", str(old / "log"), folder=old)
    found = instance_of(fresh, "n3")
    assert (found.state, found.recovery, found.position) == (State.UNREACHABLE, None, None)
    assert "running-fits" in failing(fresh, "start", "n3")
    pg_ctl(fresh, "n3", "stop", "-m", "fast", "-w", folder=old)
    wait_until(lambda: instance_of(fresh, "n3").state is State.STOPPED)
    fresh.api.do("start", "n3")


def test_a_server_with_other_settings_is_unknown(fresh: Running) -> None:
    """On the folder in use, but with other settings files: nothing that it says is believed; it can be stopped."""
    fresh.api.do("stop", "n3")
    home = fresh.home("n3").resolve()
    copy = home / "conf" / "copy.conf"
    text = (home / "conf" / "postgresql.conf").read_text(encoding="utf-8")
    copy.write_text(text.replace("standing.conf", str(home / "conf" / "standing.conf")), encoding="utf-8")
    copy.chmod(0o644)
    files = f"-c hba_file={home}/conf/pg_hba.conf -c ident_file={home}/conf/pg_ident.conf"
    pg_ctl(fresh, "n3", "start", "-w", "-o", f"-c config_file={copy} {files}", "-l", str(home / "data" / "log"))
    found = instance_of(fresh, "n3")
    assert (found.state, found.position) == (State.UNREACHABLE, None)
    assert "copy.conf" in found.damage[0]
    fresh.api.do("stop", "n3")
    fresh.api.do("start", "n3")
    assert instance_of(fresh, "n3").state is State.RUNNING
