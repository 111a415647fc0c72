"""A voter never forgets: logs that are replaced, under load, with every process that can die dying in between."""

import os
import signal
from pathlib import Path

import pytest

from aerodb.errors import AeroError
from aerodb.local.demo import kill_postgres
from aerodb.local.writer import Writer
from aerodb.protocol import canonical
from aerodb.protocol.facts import State
from aerodb.protocol.plan import Plan
from tests.faults.behind import facts_of, instance_of, pg_ctl, run
from tests.faults.conftest import Running
from tests.faults.dispatching import Confirming
from tests.faults.dying import dying_agent
from tests.faults.verdicts import failing
from tests.faults.waiting import wait_until

WAITING = "select count(*) from pg_stat_activity where wait_event = 'SyncRep'"
ENOUGH = 30


def _lose(running: Running, node: str) -> None:
    """Lose a host: its PostgreSQL and its agent."""
    kill_postgres(running.layout, node)
    running.stage.kill(node)


def _lives(pid: int) -> bool:
    """Tell whether a process is there, and not one that has ended and that nobody has taken note of."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except (OSError, ProcessLookupError):
        return False


# The log that is discarded --------------------------------------------------------------------------------------------


def test_the_only_voter_is_recloned_while_its_primary_dies(fresh: Running) -> None:
    """The issue's first loss: n3 alone acknowledges, and is recloned; n1 is lost as n3's old folder is stopped.

    Whatever the elections then say: where the claim is "none", every acknowledged row is there.
    """
    fresh.api.do("stop", "n2")
    writer = Writer(fresh.layout.dsn())
    writer.start()
    assert writer.wait_for_more(ENOUGH)
    planned = fresh.api.ask("reclone", "n3", upstream="n1")
    assert "Writes meanwhile: waiting" in planned.plan
    old, agent = fresh.postmaster("n3"), fresh.stage.process("n3").pid
    with Confirming(fresh, planned) as confirming:
        while not (fresh.home("n3") / "data-0002").exists():
            assert confirming.goes_on
        os.kill(agent, signal.SIGSTOP)  # After the copy, before the old folder is stopped.
        count = len(writer.acknowledged)
        wait_until(lambda: len(writer.acknowledged) >= count + ENOUGH or run(fresh, "n1", WAITING) == [(1,)])
        os.kill(agent, signal.SIGCONT)
        while _lives(old):
            assert confirming.goes_on
        _lose(fresh, "n1")
    fresh.api.do("start", "n2")
    fresh.api.do("fence", "n2", for_="n3")
    planned = fresh.api.ask("promote", "n3")
    assert planned.accepted, planned.plan  # The copy holds all: acknowledging had ended before it began.
    fresh.api.confirm(planned)
    fresh.api.do("reclone", "n2", upstream="n3")  # A copy has no WAL from before it, of which n2 lacks some.
    assert writer.wait_for_more(ENOUGH)
    writer.stop()
    assert writer.lost() == []


def test_the_only_voters_primary_dies_during_the_copy(fresh: Running) -> None:
    """The copy fails; the old log is kept, is of its node's vote, and has every acknowledged row."""
    fresh.api.do("stop", "n2")
    writer = Writer(fresh.layout.dsn())
    writer.start()
    assert writer.wait_for_more(ENOUGH)
    planned = fresh.api.ask("reclone", "n3", upstream="n1")
    with Confirming(fresh, planned) as confirming:
        while not any(fresh.home("n3").glob("data-0002*")):
            assert confirming.goes_on
        _lose(fresh, "n1")
    assert fresh.api.outcome(planned.request).result == "not executed"
    assert facts_of(fresh, "n3").standing.upstream is None
    fresh.api.do("start", "n2")
    fresh.api.do("fence", "n2", for_="n3")
    fresh.api.do("promote", "n3")
    fresh.api.do("follow", "n2", upstream="n3")
    assert writer.wait_for_more(ENOUGH)
    writer.stop()
    assert writer.lost() == []


# A term that nobody told ----------------------------------------------------------------------------------------------


def test_a_primary_is_lost_before_it_told_its_term(fresh: Running) -> None:
    """n2 promotes, acknowledges with n3 that was carried along, and is lost for good before its term's row is written.

    n3 alone holds those rows, and nothing in its log tells their term: n3 can be elected, n1 cannot.
    """
    fresh.api.do("follow", "n3", upstream="n2")
    fresh.api.do("demote", "n1", for_="n2")
    planned = fresh.api.ask("promote", "n2")
    with dying_agent(fresh, "n2", _STEPS_TO_PROMOTE):
        assert fresh.api.confirm(planned).result == "unknown"
    writer = Writer(fresh.layout.dsn())
    writer.start()
    assert writer.wait_for_more(ENOUGH)
    wait_until(lambda: instance_of(fresh, "n3").lineage[-1].timeline == 2)
    position = instance_of(fresh, "n3").position
    assert position is not None
    assert position.term is None
    _lose(fresh, "n2")
    fresh.api.do("start", "n1")
    fresh.api.do("fence", "n3", for_="n1")
    assert "wal-prefix" in failing(fresh, "promote", "n1")
    fresh.api.do("fence", "n1", for_="n3")
    fresh.api.do("promote", "n3")
    fresh.api.do("follow", "n1", upstream="n3")
    assert writer.wait_for_more(ENOUGH)
    writer.stop()
    assert writer.lost() == []
    fresh.stage.start_agent("n2", leave_down=True)
    fresh.stage.wait_for("n2")
    assert fresh.api.outcome(planned.request).result == "executed"
    fresh.api.do("reclone", "n2", upstream="n3")
    wait_until(lambda: {sender.node for sender in instance_of(fresh, "n3").senders} == {"n1", "n2"})


_STEPS_TO_PROMOTE = 4
"""The cut, the pledge, the mark, the promotion; then comes the row."""


# The folder in use ----------------------------------------------------------------------------------------------------


def _diverged(running: Running) -> None:
    """Elect n2 in term 2, on timeline 2, and leave n3 down with a timeline 2 of its own, promoted by hand."""
    running.api.do("stop", "n1")  # Its log is nowhere beyond the others', so that it can vote for n2.
    running.api.do("fence", "n2", for_="n2")
    running.api.do("fence", "n3", for_="n2")
    pg_ctl(running, "n3", "promote", "-w")
    run(running, "n3", "set synchronous_commit = local; create table only_here (n int)")
    pg_ctl(running, "n3", "stop", "-m", "fast", "-w")
    running.api.do("fence", "n1", for_="n2")
    running.api.do("promote", "n2")


@pytest.mark.parametrize("step", range(1, 10))
def test_an_agent_that_dies_in_a_reclone_leaves_no_log_with_anothers_history(fresh: Running, step: int) -> None:
    """A diverged node, cut off after each step: as long as the old folder is in use, it is part of nothing."""
    _diverged(fresh)
    planned = fresh.api.ask("reclone", "n3", upstream="n2")
    assert planned.accepted, planned.plan
    with dying_agent(fresh, "n3", step):
        assert fresh.api.confirm(planned).result == "unknown"
    done = fresh.api.outcome(planned.request)
    old = instance_of(fresh, "n3").folder == "data-0001"
    assert done.result == ("not executed" if old else "executed")
    if old:
        assert "wal-ancestry" in failing(fresh, "follow", "n3", upstream="n2")
        position = instance_of(fresh, "n3").position
        assert position is not None
        assert position.term is None
        fresh.api.do("reclone", "n3", upstream="n2")
    elif instance_of(fresh, "n3").state is not State.RUNNING:
        fresh.api.do("follow", "n3", upstream="n2")
    wait_until(lambda: (found := instance_of(fresh, "n3").receiver) is not None and found.status == "streaming")
    assert run(fresh, "n3", "select to_regclass('only_here') is null") == [(True,)]


def test_a_folder_that_a_hand_put_in_use_has_no_history(fresh: Running) -> None:
    """The old folder, put back in use behind the agent's back, is not taken for the one that is remembered."""
    fresh.api.do("reclone", "n3", upstream="n1")
    assert instance_of(fresh, "n3").folder == "data-0002"
    fresh.api.do("stop", "n3")
    link = fresh.home("n3") / "data"
    link.unlink()
    link.symlink_to("data-0001")
    found = instance_of(fresh, "n3")
    assert found.position is not None
    assert (found.position.term, found.position.bound) == (None, None)
    assert "wal-ancestry" in failing(fresh, "follow", "n3", upstream="n1")
    assert "position-known" in failing(fresh, "fence", "n3", for_="n2")
    fresh.api.do("reclone", "n3", upstream="n1")
    wait_until(lambda: (found := instance_of(fresh, "n3").receiver) is not None and found.status == "streaming")


# The term's row -------------------------------------------------------------------------------------------------------

ROWS = "select term, timeline, node from aerodb.terms order by term"
PROMOTED = [(1, 1, "n1"), (2, 2, "n2")]


def test_an_agent_that_dies_before_the_terms_row_writes_it_when_it_is_asked(fresh: Running) -> None:
    """A standby that was carried along is a prefix of its primary, and is never called diverged."""
    fresh.api.do("follow", "n3", upstream="n2")
    fresh.api.do("demote", "n1", for_="n2")
    planned = fresh.api.ask("promote", "n2")
    with dying_agent(fresh, "n2", 4):
        assert fresh.api.confirm(planned).result == "unknown"
    assert run(fresh, "n2", ROWS) == PROMOTED[:1]
    assert fresh.api.outcome(planned.request).result == "executed"
    assert run(fresh, "n2", ROWS) == PROMOTED
    assert run(fresh, "n2", "select term, epoch from aerodb.epochs order by term") == [(1, 1), (2, 1)]
    wait_until(lambda: run(fresh, "n3", ROWS) == PROMOTED)
    assert failing(fresh, "follow", "n3", upstream="n2") == {}
    fresh.api.do("follow", "n1", upstream="n2")


REFUSE = """
create function aerodb.refuse() returns trigger language plpgsql as $$ begin raise 'no'; end $$;
create trigger refuse before insert on aerodb.terms execute function aerodb.refuse()
"""


def test_a_row_that_is_refused_leaves_no_grant_without_it(fresh: Running) -> None:
    """The outcome is unknown, nothing is granted; once the row can be written, the outcome writes it, then grants."""
    run(fresh, "n1", REFUSE)
    fresh.api.do("follow", "n3", upstream="n2")
    fresh.api.do("demote", "n1", for_="n2")
    planned = fresh.api.ask("promote", "n2")
    assert planned.accepted, planned.plan
    assert fresh.api.confirm(planned).result == "unknown"
    assert facts_of(fresh, "n2").standing.granted.term == 1
    with pytest.raises(AeroError):
        fresh.api.outcome(planned.request)
    run(fresh, "n2", "set synchronous_commit = local; drop trigger refuse on aerodb.terms")
    assert fresh.api.outcome(planned.request).result == "executed"
    assert run(fresh, "n2", ROWS) == PROMOTED
    assert facts_of(fresh, "n2").standing.granted.term == 2
    wait_until(lambda: run(fresh, "n3", ROWS) == PROMOTED)
    assert failing(fresh, "follow", "n3", upstream="n2") == {}


# What only a discarded log holds --------------------------------------------------------------------------------------


def test_commits_are_none_only_where_the_log_was_read(fresh: Running) -> None:
    """Commits of a node that somebody promoted: not known while it runs, listed once it was shut down cleanly."""
    pg_ctl(fresh, "n3", "promote", "-w")
    for name in ("one", "two", "three"):
        run(fresh, "n3", f"set synchronous_commit = local; create table only_{name} (n int)")
    assert "not known: the WAL was not read" in failing(fresh, "follow", "n3", upstream="n1")["wal-ancestry"]
    pg_ctl(fresh, "n3", "stop", "-m", "fast", "-w")
    assert "3 commit(s) are seen beyond it; the newest" in failing(fresh, "follow", "n3", upstream="n1")["wal-ancestry"]
    planned = canonical.decode(fresh.api.ask("reclone", "n3", upstream="n1").plan.encode(), Plan)
    assert planned.accepted
    assert "cannot be told" in planned.loss.statement
    assert any("3 commit(s)" in each for each in planned.loss.arithmetic)
