"""A backup of a data folder is put in that folder's place: its node forgets nothing of what it has acknowledged."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from aerodb.kernel.gate import refused
from aerodb.kernel.node import read_node
from aerodb.kernel.store import Store
from aerodb.local.demo import kill_postgres
from aerodb.local.writer import Writer
from aerodb.protocol.facts import State
from aerodb.rules.position import is_of
from aerodb.rules.reach import PUT_BACK, Reach
from tests.faults.behind import facts_of, instance_of, run
from tests.faults.conftest import Running
from tests.faults.verdicts import failing
from tests.faults.waiting import wait_until

ROWS = "create table if not exists kept (i integer)", "insert into kept select generate_series(1, 5000)"
COUNT = "select count(*) from kept"
EARLIER = "an earlier state of"


def copied(running: Running, node: str) -> Path:
    """Return a copy of a node's data folder, made while it is down."""
    running.api.do("stop", node)
    copy = running.home(node) / "backup"
    shutil.copytree(running.home(node) / "data", copy, symlinks=True, copy_function=shutil.copy2)
    _own(running, node, copy)
    running.api.do("start", node)
    wait_until(lambda: instance_of(running, node).state is State.RUNNING)
    return copy


def _own(running: Running, node: str, folder: Path) -> None:
    """Have a folder belong to whom the data folder belongs to."""
    found = (running.home(node) / "data").stat()
    for path in (folder, *folder.rglob("*")):
        shutil.chown(path, found.st_uid, found.st_gid)


def swapped(running: Running, node: str, other: Path) -> None:
    """Put a folder in the place of a node's data folder, which takes the other's; its PostgreSQL is down."""
    data = (running.home(node) / "data").resolve()
    aside = data.with_name("aside")
    data.rename(aside)
    other.rename(data)
    aside.rename(other)


def wait_until_noted(running: Running, node: str) -> None:
    """Return once the node has all rows, and its agent has noted that its WAL reaches them."""
    wait_until(lambda: run(running, node, COUNT) == [(5000,)])
    end = instance_of(running, node).position
    assert end is not None

    def noted() -> bool:
        reach = Store(running.layout.node(node) / "state").reach
        return reach is not None and reach.lsn >= end.lsn

    wait_until(noted)


def _differs(reach: Callable[[], Reach | None], before: Reach | None) -> bool:
    return reach() != before


def test_a_backup_in_place_of_the_only_voters_folder_elects_nobody(fresh: Running) -> None:
    """n3 alone acknowledges for n1, and is put back to before that; n1 is lost: n2 and n3 know nothing of its rows.

    With n3's own folder they do, and every row is there.
    """
    run(fresh, "n1", ROWS[0])
    backup = copied(fresh, "n3")
    fresh.api.do("stop", "n2")
    run(fresh, "n1", ROWS[1])
    wait_until_noted(fresh, "n3")
    kill_postgres(fresh.layout, "n1")
    kill_postgres(fresh.layout, "n3")
    swapped(fresh, "n3", backup)
    found = instance_of(fresh, "n3")
    assert (found.identity, found.quorum) == (PUT_BACK, None)
    assert EARLIER in refused(read_node(fresh.layout.node("n3")), "standby")
    fresh.api.do("start", "n2")
    fresh.api.do("start", "n3")
    assert EARLIER in failing(fresh, "fence", "n3", for_="n2")["position-known"]
    fresh.api.do("fence", "n2", for_="n2")
    assert {"election-quorum", "commit-quorum"} <= failing(fresh, "promote", "n2").keys()
    assert failing(fresh, "promote", "n3")
    fresh.api.do("stop", "n3")
    swapped(fresh, "n3", backup)
    fresh.api.do("start", "n3")
    fresh.api.do("fence", "n2", for_="n3")
    fresh.api.do("promote", "n3")
    assert run(fresh, "n3", COUNT) == [(5000,)]


def test_a_backup_in_place_of_the_primarys_folder_does_not_serve(fresh: Running) -> None:
    """It would acknowledge again what its standbys have otherwise; neither a request nor its host starts it."""
    run(fresh, "n1", ROWS[0])
    backup = copied(fresh, "n1")
    run(fresh, "n1", ROWS[1])
    wait_until_noted(fresh, "n2")
    wait_until_noted(fresh, "n3")
    ended = instance_of(fresh, "n2").position
    assert ended is not None
    wait_until(lambda: (reach := Store(fresh.layout.node("n1") / "state").reach) is not None and reach.lsn >= ended.lsn)
    kill_postgres(fresh.layout, "n1")
    swapped(fresh, "n1", backup)
    assert EARLIER in failing(fresh, "start", "n1")["role-fits"]
    assert EARLIER in refused(read_node(fresh.layout.node("n1")), "standing")
    fresh.api.do("fence", "n2", for_="n2")
    fresh.api.do("fence", "n3", for_="n2")
    fresh.api.do("follow", "n3", upstream="n2")
    fresh.api.do("promote", "n2")
    assert run(fresh, "n2", COUNT) == [(5000,)]
    assert failing(fresh, "follow", "n1", upstream="n2")
    fresh.api.do("reclone", "n1", upstream="n2")
    assert run(fresh, "n1", COUNT) == [(5000,)]


def test_a_standby_that_was_put_back_votes_again_once_it_is_recloned(fresh: Running) -> None:
    """While its primary lives nothing is lost: it is refused as it is, and a copy takes its folder's place."""
    run(fresh, "n1", ROWS[0])
    backup = copied(fresh, "n3")
    run(fresh, "n1", ROWS[1])
    wait_until_noted(fresh, "n3")
    kill_postgres(fresh.layout, "n3")
    swapped(fresh, "n3", backup)
    assert instance_of(fresh, "n3").identity == PUT_BACK
    fresh.api.do("reclone", "n3", upstream="n1")
    facts = facts_of(fresh, "n3")
    assert facts.instance is not None
    assert is_of(facts.standing, facts.instance.identity)
    wait_until(fresh.settled)
    assert not failing(fresh, "fence", "n3", for_="n2")


@pytest.mark.parametrize("node", ["n1", "n3"])
def test_no_crash_takes_a_wal_back_behind_what_was_noted(fresh: Running, node: str) -> None:
    """Killed under load, again and again: the folder is what it was, down, started, and cut from its upstream."""

    def reach() -> Reach | None:
        return Store(fresh.layout.node(node) / "state").reach

    for _ in range(2):
        writer = Writer(fresh.layout.dsn())
        writer.start()
        assert writer.wait_for_more(50)
        before = reach()
        wait_until(partial(_differs, reach, before))
        kill_postgres(fresh.layout, node)
        assert instance_of(fresh, node).identity not in {None, PUT_BACK}
        fresh.api.do("start", node)
        assert instance_of(fresh, node).identity not in {None, PUT_BACK}
        writer.stop()
    if node == "n3":
        fresh.api.do("fence", "n3", for_="n1")
        assert instance_of(fresh, node).identity not in {None, PUT_BACK}
