"""Reload, for real: what the files hold is judged before it is in force, and is seen to be in force afterwards."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aerodb.protocol import canonical
from aerodb.protocol.plan import Plan, Verdict
from tests.faults.behind import facts_of, instance_of, run
from tests.faults.conftest import Running
from tests.faults.waiting import wait_until


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Hold one process still."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def conf(running: Running, node: str, name: str = "postgresql.conf") -> Path:
    """Return one of a node's settings files."""
    return running.layout.node(node) / "postgres" / "conf" / name


@contextmanager
def added(path: Path, line: str) -> Iterator[None]:
    """Add a line to a file, and take it out again."""
    before = path.read_text(encoding="utf-8")
    path.write_text(f"{before}{line}\n", encoding="utf-8")
    yield
    path.write_text(before, encoding="utf-8")


def shown(running: Running, node: str, name: str) -> str:
    """Return the value in force of a setting, in a new session."""
    return str(run(running, node, f"show {name}")[0][0])


def verdicts_of(text: str) -> tuple[Verdict, ...]:
    """Return the verdicts of a plan."""
    return canonical.decode(text.encode(), Plan).verdicts


@pytest.mark.older_too
def test_what_was_changed_is_in_force_afterwards(fresh: Running) -> None:
    """A changed setting is in force on the primary and on a standby once their reload is executed, and not before."""
    for node in ("n1", "n2"):
        with added(conf(fresh, node), "work_mem = '5MB'"):
            assert shown(fresh, node, "work_mem") == "4MB"
            before = fresh.postmaster(node)
            assert fresh.api.do("reload", node).result == "executed"
            assert shown(fresh, node, "work_mem") == "5MB"
            assert fresh.postmaster(node) == before
        assert fresh.api.do("reload", node).result == "executed"
        assert shown(fresh, node, "work_mem") == "4MB"


@pytest.mark.parametrize(
    ("name", "line", "said"),
    [
        ("postgresql.conf", "this is no setting", "syntax error"),
        ("postgresql.conf", "work_mme = '5MB'", "work_mme"),
        ("postgresql.conf", "work_mem = 'plenty'", "work_mem"),
        ("postgresql.conf", "include 'nowhere.conf'", "nowhere.conf"),
        ("postgresql.conf", "synchronous_standby_names = ''", "synchronous_standby_names"),
        ("postgresql.conf", "primary_conninfo = 'host=nowhere'", "primary_conninfo"),
        ("pg_hba.conf", "host all all nowhere", "pg_hba.conf line"),
        ("pg_ident.conf", "agent /( aerodb", "pg_ident.conf line"),
    ],
)
def test_what_the_files_hold_wrongly_is_refused_before(shared: Running, name: str, line: str, said: str) -> None:
    """An error in a file, and what would weaken a proof, is a rejection that says which; nothing is reloaded."""
    with added(conf(shared, "n1", name), line):
        planned = shared.api.ask("reload", "n1")
        failed = {each.invariant: each.evidence for each in verdicts_of(planned.plan) if each.result != "holds"}
        assert list(failed) == ["settings-loadable"]
        assert said in failed["settings-loadable"]
    assert shared.api.ask("reload", "n1").accepted
    assert facts_of(shared, "n1").unfinished is None


def test_what_waits_for_a_start_is_told_and_does_not_stand_in_the_way(shared: Running) -> None:
    """A setting that only a start takes up is named in the plan, and the rest is taken up all the same."""
    with added(conf(shared, "n1"), "max_connections = 123"), added(conf(shared, "n1"), "work_mem = '6MB'"):
        planned = shared.api.ask("reload", "n1")
        assert planned.accepted
        assert "Not taken up before n1 is started anew: max_connections." in planned.plan
        assert shared.api.do("reload", "n1").result == "executed"
        assert (shown(shared, "n1", "work_mem"), shown(shared, "n1", "max_connections")) == ("6MB", "100")
    assert shared.api.do("reload", "n1").result == "executed"


def test_it_mends_what_is_in_force_alone(fresh: Running) -> None:
    """A policy that somebody weakened in force is again the agent's by a reload, once the file is mended; and noted."""
    with added(conf(fresh, "n1"), "synchronous_standby_names = ''"):
        os.kill(fresh.postmaster("n1"), signal.SIGHUP)
        wait_until(lambda: facts_of(fresh, "n1").standing.weakened)
        assert not fresh.api.ask("reload", "n1").accepted
    assert shown(fresh, "n1", "synchronous_standby_names") == ""
    assert fresh.api.do("reload", "n1").result == "executed"
    assert shown(fresh, "n1", "synchronous_standby_names").startswith("ANY 1")
    assert instance_of(fresh, "n1").drift == ()


def test_it_begins_no_streaming_that_nobody_judged(fresh: Running) -> None:
    """Where the files name another upstream than is in force, as after an agent's death in a follow, it is refused."""
    file = conf(fresh, "n3", "standing.conf")
    before, (one, two) = file.read_text(encoding="utf-8"), (fresh.cluster.member(name) for name in ("n1", "n2"))
    named = before.replace("# upstream: n1", "# upstream: n2").replace(
        f"port={one.postgres_port}", f"port={two.postgres_port}"
    )
    assert named.count(str(two.postgres_port)) == 1
    file.write_text(named, encoding="utf-8")
    planned = fresh.api.ask("reload", "n3")
    failed = {each.invariant: each.evidence for each in verdicts_of(planned.plan) if each.result != "holds"}
    assert list(failed) == ["settings-loadable"]
    assert "from whom it receives" in failed["settings-loadable"]
    fresh.api.do("stop", "n3")  # The way out that the evidence names.
    fresh.api.do("start", "n3")
    assert fresh.api.do("reload", "n3").result == "executed"


def test_a_frozen_server_leaves_it_unknown_until_it_works_again(fresh: Running) -> None:
    """A signal that is not taken up is never called not executed: it is, as soon as the server thaws."""
    planned = fresh.api.ask("reload", "n3")
    postmaster = fresh.postmaster("n3")
    with stopped(postmaster):
        done = fresh.api.confirm(planned)
        assert (done.result, fresh.api.outcome(planned.request).result) == ("unknown", "unknown")
    wait_until(lambda: fresh.api.outcome(planned.request).result == "executed")
