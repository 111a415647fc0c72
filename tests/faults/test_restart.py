"""Restart, for real: what waits for a start is in force afterwards; a node that does not come back is said to be so."""

import pytest

from aerodb.local.writer import Writer
from aerodb.protocol.facts import State
from tests.faults.behind import append_to, facts_of, instance_of, run
from tests.faults.conftest import Running
from tests.faults.waiting import wait_until


@pytest.mark.parametrize("node", ["n1", "n3"])
def test_what_waited_for_a_start_is_in_force(fresh: Running, node: str) -> None:
    """The plan names the setting; afterwards it is in force, in the same standing, and nothing acknowledged is lost."""
    append_to(fresh.home(node) / "conf" / "postgresql.conf", "max_connections = 123\n")
    standing, before = facts_of(fresh, node).standing, instance_of(fresh, node).started
    writer = Writer(fresh.layout.dsn())
    writer.start()
    assert writer.wait_for_more(20)
    planned = fresh.api.ask("restart", node)
    assert "Taken up by this restart: max_connections." in planned.plan
    assert fresh.api.confirm(planned).result == "executed"
    assert writer.wait_for_more(20)
    writer.stop()
    assert writer.lost() == []
    assert run(fresh, node, "show max_connections") == [("123",)]
    assert facts_of(fresh, node).standing == standing
    assert instance_of(fresh, node).started != before
    wait_until(fresh.settled)


def test_a_node_that_does_not_come_back_is_said_to_be_down(fresh: Running) -> None:
    """What no look at the files can find wrong: the old server is gone, the outcome says DOWN, and start is the way."""
    append_to(fresh.home("n3") / "conf" / "postgresql.conf", "shared_preload_libraries = 'not there'\n")
    planned = fresh.api.ask("restart", "n3")
    assert planned.accepted
    done = fresh.api.confirm(planned)
    assert done.result == "executed"
    assert "DOES NOT RUN" in str(done)
    assert instance_of(fresh, "n3").state is State.STOPPED
    assert not fresh.api.ask("restart", "n3").accepted
    append_to(fresh.home("n3") / "conf" / "postgresql.conf", "shared_preload_libraries = ''\n")
    fresh.api.do("start", "n3")
    wait_until(fresh.settled)


@pytest.mark.parametrize("value", ["50", "0x32"])
def test_a_standby_with_less_than_its_primary_is_not_stopped(shared: Running, value: str) -> None:
    """PostgreSQL would refuse to start on it: what the next start takes up is held against what the WAL asks for."""
    before, file = instance_of(shared, "n3").started, shared.home("n3") / "conf" / "postgresql.conf"
    text = file.read_text(encoding="utf-8")
    append_to(file, f"max_connections = {value}\n")
    planned = shared.api.ask("restart", "n3")
    reloading = shared.api.ask("reload", "n3")
    file.write_text(text, encoding="utf-8")
    assert not planned.accepted
    assert f"max_connections is {value}, and the WAL asks for 100" in planned.plan
    assert reloading.accepted
    assert instance_of(shared, "n3").started == before


def test_a_setting_that_was_taken_out_of_the_files_is_its_own_default(fresh: Running) -> None:
    """A primary raised it; a standby whose files no longer name it would start with the default, and so not at all."""
    for node in ("n2", "n3", "n1"):
        append_to(fresh.home(node) / "conf" / "postgresql.conf", "max_connections = 123\n")
        fresh.api.do("restart", node)
        wait_until(fresh.settled)
    file = fresh.home("n3") / "conf" / "postgresql.conf"
    file.write_text(file.read_text(encoding="utf-8").replace("max_connections = 123\n", ""), encoding="utf-8")
    planned = fresh.api.ask("restart", "n3")
    assert not planned.accepted
    assert "and the WAL asks for 123" in planned.plan
    reloading = fresh.api.ask("reload", "n3")
    assert reloading.accepted
    assert "Not taken up before n3 is started anew: max_connections." in reloading.plan


def test_a_file_that_is_wrong_ends_nothing(shared: Running) -> None:
    """An error that PostgreSQL sees in its files is a rejection: the server runs on, and was never touched."""
    before, file = instance_of(shared, "n1").started, shared.home("n1") / "conf" / "postgresql.conf"
    text = file.read_text(encoding="utf-8")
    append_to(file, "work_mem = 'plenty'\n")
    planned = shared.api.ask("restart", "n1")
    file.write_text(text, encoding="utf-8")
    assert not planned.accepted
    assert "work_mem" in planned.plan
    assert instance_of(shared, "n1").started == before
