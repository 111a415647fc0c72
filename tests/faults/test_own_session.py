"""The agent's own session: nothing that is set in the database cuts it off, misleads it, or is left by it."""

import pytest

from aerodb.kernel.postgres.capabilities import Capability, has
from tests.faults.behind import connect, facts_of, instance_of, run
from tests.faults.conftest import Running
from tests.faults.waiting import wait_until

HOSTILE = (
    "alter role aerodb password 'changed by a hand'",
    "alter role aerodb set default_transaction_read_only = on",
    "alter role aerodb set statement_timeout = '1ms'",
    "alter role aerodb set lock_timeout = '1ms'",
    "alter role aerodb set search_path = nowhere",
    "alter role aerodb set role = app",
    "alter role aerodb set synchronous_commit = local",
    "alter role aerodb set session_preload_libraries = 'not there'",
    "alter role aerodb set default_transaction_isolation = serializable",
    "alter role aerodb set session_replication_role = replica",
    "alter role aerodb set datestyle = 'SQL, DMY'",
    "alter database postgres set default_transaction_read_only = on",
    "alter database postgres set idle_session_timeout = '1ms'",
)
NEWER = {
    Capability.TRANSACTION_TIMEOUT: "alter database postgres set transaction_timeout = '1ms'",
    Capability.EVENT_TRIGGERS: "alter role aerodb set event_triggers = on",
}
"""Hostile settings that not every version has."""


def _new_agent(running: Running, node: str) -> None:
    running.stage.kill(node)
    running.stage.start_agent(node)
    running.stage.wait_for(node)


def test_nothing_that_is_set_for_its_role_or_database_reaches_it(fresh: Running) -> None:
    """With a new password and hostile settings, new sessions look as before, and a switchover writes its term's row."""
    major = int(instance_of(fresh, "n1").major)
    newer = [statement for capability, statement in NEWER.items() if has(major, capability)]
    with connect(fresh, "n1") as session:
        for statement in (*newer, *HOSTILE):
            session.execute(statement.encode())
    end = instance_of(fresh, "n1").position
    assert end is not None
    wait_until(lambda: (seen := instance_of(fresh, "n2").position) is not None and seen.lsn >= end.lsn)
    for node in ("n1", "n2", "n3"):
        _new_agent(fresh, node)
    assert instance_of(fresh, "n1").drift == ("synchronous_commit of a role or database",)
    assert instance_of(fresh, "n1").damage == ()
    fresh.api.do("follow", "n3", upstream="n2")
    fresh.api.do("demote", "n1", for_="n2")
    fresh.api.do("promote", "n2")
    found = instance_of(fresh, "n2")
    assert found.position is not None
    assert (found.position.term, found.drift) == (2, ("synchronous_commit of a role or database",))


def test_a_row_that_could_not_be_written_leaves_no_setting(fresh: Running) -> None:
    """What the agent sets in order to write a term's row ends with that transaction, however it ends."""
    fresh.api.do("fence", "n2", for_="n1")
    with connect(fresh, "n1") as holder, holder.transaction():
        planned = fresh.api.ask("renew", "n1")
        holder.execute("lock table aerodb.terms in share mode")
        assert fresh.api.confirm(planned).result != "executed"
    assert instance_of(fresh, "n1").drift == ()


@pytest.mark.parametrize("line", ["synchronous_commit = off", "synchronous_commit = local"])
def test_what_others_get_is_seen_behind_what_is_set_for_itself(fresh: Running, line: str) -> None:
    """A server whose commits wait for nobody is seen, though the agent's own role has it the right way."""
    run(fresh, "n1", "alter role aerodb set synchronous_commit = on")
    with (fresh.home("n1") / "conf" / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")
    run(fresh, "n1", "select pg_reload_conf()")
    _new_agent(fresh, "n1")
    wait_until(lambda: instance_of(fresh, "n1").drift == ("synchronous_commit",))
    wait_until(lambda: facts_of(fresh, "n1").standing.weakened)
