"""Data folders that nothing can be read from: the node's facts come all the same, in parts, and a reclone mends it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from aerodb.local.demo import kill_postgres
from aerodb.protocol.facts import State
from tests.faults.behind import connect, instance_of, run
from tests.faults.conftest import Running
from tests.faults.verdicts import failing
from tests.faults.waiting import wait_until


def _without_control(data: Path) -> None:
    (data / "global" / "pg_control").unlink()


def _control_cut(data: Path) -> None:
    with (data / "global" / "pg_control").open("r+b") as file:
        file.truncate(100)


def _control_damaged(data: Path) -> None:
    with (data / "global" / "pg_control").open("r+b") as file:
        file.seek(40)
        file.write(b"\xff" * 40)


def _log_zeroed(data: Path) -> None:
    for path in (data / "pg_wal").glob("0*"):
        if path.is_file():
            path.write_bytes(bytes(path.stat().st_size))


def _without_log(data: Path) -> None:
    shutil.rmtree(data / "pg_wal")


def _emptied(data: Path) -> None:
    for path in data.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _gone(data: Path) -> None:
    shutil.rmtree(data)


@pytest.mark.parametrize("crashed", [False, True])
@pytest.mark.parametrize(
    "damaged", [_without_control, _control_cut, _control_damaged, _log_zeroed, _without_log, _emptied, _gone]
)
def test_a_folder_that_cannot_be_read_is_recloned(
    fresh: Running, damaged: Callable[[Path], None], *, crashed: bool
) -> None:
    """Whatever is left of a folder: what it says is said, the rest is unknown, and `reclone` leads out."""
    if crashed:
        kill_postgres(fresh.layout, "n3")
        wait_until(lambda: instance_of(fresh, "n3").state is State.CRASHED)
    else:
        fresh.api.do("stop", "n3")
    before = instance_of(fresh, "n3")
    damaged((fresh.home("n3") / "data").resolve())
    found = instance_of(fresh, "n3")
    assert (found.state, found.position) == (State.UNREADABLE, None)
    assert found.damage
    assert found.system in {"", before.system}
    assert "running-fits" in failing(fresh, "start", "n3")
    fresh.api.do("reclone", "n3", upstream="n1")
    assert instance_of(fresh, "n3").folder == "data-0002"
    wait_until(lambda: (receiver := instance_of(fresh, "n3").receiver) is not None and receiver.status == "streaming")
    mended = instance_of(fresh, "n3")
    assert (mended.state, mended.system, mended.damage) == (State.RUNNING, before.system, ())


def test_a_lock_on_the_terms_blinds_nobody(fresh: Running) -> None:
    """With `aerodb.terms` locked, the looks go on and come in time; the term alone is unknown, on the standby too."""
    with connect(fresh, "n1") as holder, holder.transaction():
        holder.execute("lock table aerodb.terms")
        found = instance_of(fresh, "n1")
        assert found.state is State.RUNNING
        assert found.senders
        assert found.position is not None
        assert (found.position.term, found.quorum) == (None, None)
        assert [said.partition(":")[0] for said in found.damage] == ["terms"]
        assert fresh.api.status().snapshot.reports.keys() == {"n1", "n2", "n3"}
        assert "position-known" in failing(fresh, "demote", "n1", for_="n2")
        run(fresh, "n1", "select pg_switch_wal()")
        wait_until(lambda: (seen := instance_of(fresh, "n2").position) is not None and seen.term is None)
    wait_until(lambda: not instance_of(fresh, "n2").damage and not instance_of(fresh, "n1").damage)
