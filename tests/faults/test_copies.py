"""Copies of data folders that are not simple: tablespaces, a log on a volume of its own, odd paths, no room."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from aerodb.kernel.postgres.installation import find_installation
from aerodb.local.layout import Layout
from aerodb.local.making import make_cluster
from aerodb.local.size import Size
from aerodb.protocol.facts import State
from tests.faults.behind import connect, facts_of, instance_of, run
from tests.faults.conftest import Ground, Running
from tests.faults.waiting import wait_until


def _owned(path: Path) -> Path:
    """Give a new folder or file to PostgreSQL's account."""
    account = find_installation().account
    if account is not None:
        os.chown(path, *account.owner)
    return path


def _streaming(running: Running, node: str) -> bool:
    receiver = instance_of(running, node).receiver
    return receiver is not None and receiver.status == "streaming"


def test_a_copy_without_room_is_refused_before_anything_is_done(fresh: Running) -> None:
    """The source says what there is to copy; the node streams on, attached as it was, and keeps no new folder."""
    large = fresh.home("n1") / "data" / "base" / "large"
    with large.open("wb") as file:
        file.truncate(1 << 46)  # Sparse: it takes no room here, and would where it is copied to.
    _owned(large)
    planned = fresh.api.ask("reclone", "n3", upstream="n1")
    done = fresh.api.confirm(planned)
    assert (done.result, done.code) == ("not executed", "kernel.copy-unfit")
    assert facts_of(fresh, "n3").standing.upstream == "n1"
    assert _streaming(fresh, "n3")
    assert instance_of(fresh, "n3").unused == ()
    large.unlink()
    fresh.api.do("reclone", "n3", upstream="n1")


def test_tablespaces_go_beside_the_copy(fresh: Running) -> None:
    """A tablespace outside the source's data folder is copied into the node's home; its rows are there, and stream."""
    folder = _owned(_made(fresh.layout.root / "space = $one"))
    for node in ("n2", "n3"):  # On one host no standby can replay a tablespace at the primary's place.
        fresh.api.do("stop", node)
    with connect(fresh, "n1") as session:
        session.execute("set synchronous_commit = local")
        session.execute(f"create tablespace one location '{folder}'".encode())
        session.execute("create table spaced tablespace one as select 1 as n")
    for node in ("n2", "n3"):
        fresh.api.do("reclone", node, upstream="n1")
        wait_until(lambda node=node: _streaming(fresh, node))  # type: ignore[misc]
    run(fresh, "n1", "insert into spaced values (2)")
    place = Path(run(fresh, "n3", "select pg_tablespace_location(oid) from pg_tablespace where spcname = 'one'")[0][0])
    assert place.is_relative_to(fresh.home("n3").resolve())
    wait_until(lambda: run(fresh, "n3", "select n from spaced order by n") == [(1,), (2,)])


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_a_log_on_its_own_volume_stays_there(fresh: Running) -> None:
    """Where pg_wal is a link elsewhere, the copy's log goes there too, into a folder of its own, again and again."""
    volume = _owned(_made(fresh.home("n3") / "volume"))
    fresh.api.do("stop", "n3")
    log = fresh.home("n3") / "data" / "pg_wal"
    shutil.move(log.resolve(), volume / "wal")
    log.symlink_to((volume / "wal").resolve())
    fresh.api.do("start", "n3")
    for _ in range(2):
        fresh.api.do("reclone", "n3", upstream="n1")
        real = (fresh.home("n3") / "data" / "pg_wal").resolve()
        assert real.parent == volume.resolve()
        assert real.name.startswith("wal.data-")
        assert real.name.count("data-") == 1
        wait_until(lambda: _streaming(fresh, "n3"))


def test_folders_that_are_kept_are_shown_with_their_size(fresh: Running) -> None:
    """After a reclone the old folder is among the facts, with what it takes; it moves no structural fact."""
    assert instance_of(fresh, "n3").unused == ()
    fresh.api.do("reclone", "n3", upstream="n1")
    kept = instance_of(fresh, "n3").unused
    assert [each.name for each in kept] == ["data-0001"]
    assert 10 << 20 < kept[0].bytes < 1 << 30


@pytest.fixture
def odd(ground: Ground, ports_from: int) -> Iterator[Running]:
    """Return a cluster below a folder whose name a shell would read, and a settings file must quote."""
    ground.end()
    root = ground._cluster.parent / 'it\'s a "$HOME" = \\one, `two`'
    make_cluster(root, Size().at_free_ports(ports_from))
    running = Running(Layout(root=root))
    try:
        running.stage.start()
        yield running
    finally:
        ground._running, ground._cluster, kept = running, root, ground._cluster
        ground.end()
        ground._cluster = kept


def test_a_path_of_any_signs(odd: Running) -> None:
    """Every action works below such a path: start, switchover, reclone; no file is made where a shell would have it."""
    odd.api.do("follow", "n3", upstream="n2")
    odd.api.do("demote", "n1", for_="n2")
    odd.api.do("promote", "n2")
    odd.api.do("follow", "n1", upstream="n2")
    odd.api.do("reclone", "n3", upstream="n2")
    wait_until(lambda: _streaming(odd, "n1") and _streaming(odd, "n3"))
    for node in ("n1", "n2", "n3"):
        found = instance_of(odd, node)
        assert (found.state, found.drift, found.damage) == (State.RUNNING, (), ())
