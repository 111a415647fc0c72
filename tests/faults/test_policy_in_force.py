"""The synchronous policy that was in force is known, whichever file sets it, or that it was not is remembered."""

import os
import signal
from pathlib import Path

import pytest

from aerodb.kernel.gate import refused
from aerodb.kernel.node import read_node
from aerodb.local.demo import kill_postgres
from aerodb.protocol.facts import State
from tests.faults.behind import append_to, connect, facts_of, instance_of
from tests.faults.conftest import Running
from tests.faults.verdicts import refusing
from tests.faults.waiting import wait_until

WEAKER = "synchronous_standby_names = ''\n"


def _failing(running: Running, action: str, target: str, **arguments: str) -> dict[str, str]:
    """Return the invariants that refuse an action now, with their results."""
    return {name: verdict.result for name, verdict in refusing(running, action, target, **arguments).items()}


def _in_the_main_file(conf: Path) -> Path:
    return conf / "postgresql.conf"


def _in_an_included_file(conf: Path) -> Path:
    append_to(conf / "postgresql.conf", "include_if_exists = 'more.conf'\n")
    (conf / "more.conf").touch()
    return conf / "more.conf"


def _in_an_included_folder(conf: Path) -> Path:
    (conf / "more.d").mkdir()
    (conf / "more.d").chmod(0o755)
    append_to(conf / "postgresql.conf", "include_dir 'more.d'\n")
    (conf / "more.d" / "some.conf").touch()
    return conf / "more.d" / "some.conf"


@pytest.mark.parametrize("place", [_in_the_main_file, _in_an_included_file, _in_an_included_folder])
def test_a_weaker_policy_is_found_while_the_node_is_down(fresh: Running, place: object) -> None:
    """Whichever file sets it, the primary does not start under a policy that nobody configured."""
    assert callable(place)
    fresh.api.do("stop", "n1")
    file = place(fresh.home("n1") / "conf")
    file.chmod(0o644)
    whole = file.read_text(encoding="utf-8")
    append_to(file, WEAKER)
    assert instance_of(fresh, "n1").drift == ("synchronous_standby_names",)
    assert _failing(fresh, "start", "n1") == {"policy-known": "violated"}
    file.write_text(whole, encoding="utf-8")
    assert instance_of(fresh, "n1").drift == ()
    fresh.api.do("start", "n1")


def test_no_host_starts_a_primary_under_a_weaker_policy(fresh: Running) -> None:
    """Where the node is configured to start as a primary with its host, the gate asks for the policy too."""
    kill_postgres(fresh.layout, "n1")
    node = read_node(fresh.layout.node("n1"))
    assert refused(node, "standing") == ""
    append_to(fresh.home("n1") / "conf" / "postgresql.conf", WEAKER)
    assert "synchronous_standby_names" in refused(node, "standing")


def test_settings_that_do_not_parse_are_unknown(fresh: Running) -> None:
    """With a settings file that PostgreSQL itself refuses, the node is still looked at, and is not started."""
    fresh.api.do("stop", "n1")
    append_to(fresh.home("n1") / "conf" / "postgresql.conf", "fsync = maybe\n")
    found = instance_of(fresh, "n1")
    assert (found.state, found.position is not None) == (State.STOPPED, True)
    assert [said.partition(":")[0] for said in found.damage] == ["settings"]
    assert _failing(fresh, "start", "n1") == {"policy-known": "unknown"}


def test_a_primary_that_served_under_a_weaker_policy_is_not_passed_over(fresh: Running) -> None:
    """It is remembered, over an agent's and PostgreSQL's restarts, until the standbys hold all that it acknowledged.

    Until then the others elect nobody without it: it may have acknowledged commits that it alone holds.
    """
    receivers = [_receiver(fresh, node) for node in ("n2", "n3")]
    for pid in receivers:
        os.kill(pid, signal.SIGSTOP)
    conf = fresh.home("n1") / "conf" / "postgresql.conf"
    whole = conf.read_text(encoding="utf-8")
    append_to(conf, WEAKER)
    os.kill(fresh.postmaster("n1"), signal.SIGHUP)
    with connect(fresh, "n1") as session:
        wait_until(lambda: session.execute("show synchronous_standby_names").fetchall() == [("",)])
        session.execute("create table acknowledged_alone (n int)")
    wait_until(lambda: facts_of(fresh, "n1").standing.weakened)
    conf.write_text(whole, encoding="utf-8")
    os.kill(fresh.postmaster("n1"), signal.SIGHUP)
    wait_until(lambda: instance_of(fresh, "n1").drift == ())
    assert facts_of(fresh, "n1").standing.weakened
    fresh.stage.kill("n1")
    fresh.stage.start_agent("n1")
    fresh.stage.wait_for("n1")
    found = facts_of(fresh, "n1")
    assert found.standing.weakened
    assert found.instance is not None
    assert found.instance.quorum is None
    for pid in receivers:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: not facts_of(fresh, "n1").standing.weakened)
    assert instance_of(fresh, "n1").quorum == 1


def test_an_election_asks_for_the_log_of_a_primary_that_served_weakly(fresh: Running) -> None:
    """With the primary gone while it is remembered, a majority of the others is not enough: unknown counts as no."""
    append_to(fresh.home("n1") / "conf" / "postgresql.conf", WEAKER)
    os.kill(fresh.postmaster("n1"), signal.SIGHUP)
    wait_until(lambda: facts_of(fresh, "n1").standing.weakened)
    kill_postgres(fresh.layout, "n1")
    wait_until(lambda: instance_of(fresh, "n1").state is State.CRASHED)
    fresh.api.do("fence", "n2", for_="n2")
    fresh.api.do("fence", "n3", for_="n2")
    assert _failing(fresh, "promote", "n2") == {"commit-quorum": "unknown"}


def _receiver(running: Running, node: str) -> int:
    """Return the process id of a node's WAL receiver."""
    with connect(running, node) as session:
        rows = session.execute("select pid from pg_stat_wal_receiver").fetchall()
    return int(rows[0][0])
