"""What an agent keeps survives a crash at any moment: the old bytes or the new, and never a fresh start by mistake."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aerodb.kernel.durable import write_durably
from aerodb.kernel.errors import StandingUnreadable
from aerodb.kernel.store import Seen, Store
from aerodb.protocol import canonical
from aerodb.protocol.authority import Candidacy
from aerodb.protocol.plan import Outcome
from aerodb.protocol.signed import Signed, sign
from aerodb.rules.standing import genesis, promised
from tests.unit.rules.scenes import KEYS, healthy

STANDING = genesis("n2", "n1", witness=False)
REQUEST = "11111111-2222-4333-8444-555555555555"
CALLS = ("open", "write", "fsync", "replace", "close")
"""What a durable write asks of the system, in its order; it may die before any of them."""

DYING = """
import os, signal, sys
from pathlib import Path
import aerodb.kernel.durable as durable
left = int(sys.argv[2])

def dies(function):
    def counted(*arguments, **named):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)
    return counted

for name in ("open", "write", "fsync", "close"):
    setattr(os, name, dies(getattr(os, name)))
Path.replace = dies(Path.replace)
durable.write_durably(Path(sys.argv[1]), b"new" * 1000)
"""


def test_a_crash_leaves_the_old_bytes_or_the_new(tmp_path: Path) -> None:
    """Killed before each thing that it asks of the system, a durable write leaves a whole file; at last the new."""
    path, found = tmp_path / "standing.json", []
    for left in range(20):
        path.write_bytes(b"old")
        ended = subprocess.run([sys.executable, "-c", DYING, str(path), str(left)], check=False)
        found.append(path.read_bytes())
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL
    assert set(found) == {b"old", b"new" * 1000}
    assert found == sorted(found, reverse=True)  # Once new, always new.
    assert len(found) > len(CALLS)


def test_a_disk_that_refuses_leaves_the_old_bytes(tmp_path: Path) -> None:
    """An error while writing is raised, and what was there stays."""
    path = tmp_path / "standing.json"
    path.write_bytes(b"old")
    tmp_path.joinpath(".standing.json.new").mkdir()
    with pytest.raises(OSError, match="standing"):
        write_durably(path, b"new")
    assert path.read_bytes() == b"old"


def test_nobody_else_reads_it(tmp_path: Path) -> None:
    """Whatever the umask, the file is its owner's alone."""
    previous = os.umask(0)
    try:
        write_durably(tmp_path / "x", b"secret")
    finally:
        os.umask(previous)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o600


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return a new node's store."""
    return Store.create(tmp_path / "state", STANDING)


def outcome() -> Signed:
    """Return a signed outcome."""
    document = Outcome(
        cluster="c", node="n2", request=REQUEST, plan="", result="executed", established=False, code="", message="",
        evidence=(),
    )  # fmt: skip
    return sign(document, "n2", KEYS["n2"])


def test_everything_is_there_again(store: Store, tmp_path: Path) -> None:
    """A new process finds what the one before had written: standing, checkpoint, journal."""
    standing = promised(STANDING, Candidacy(term=2, node="n3"))
    store.write_standing(standing)
    store.write_seen(Seen(size=3, checkpoint="x"))
    store.begin(REQUEST, "plan", healthy()["n2"])
    again = Store(tmp_path / "state")
    assert (again.standing, again.seen.size, again.entries) == (standing, 3, 1)
    begun = again.unfinished()
    assert begun is not None
    assert (begun.request, begun.plan, begun.before) == (REQUEST, "plan", healthy()["n2"])
    again.end(REQUEST, outcome())
    last = Store(tmp_path / "state")
    ended = last.ended(REQUEST)
    assert ended is not None
    assert (last.unfinished(), last.entries, ended.outcome) == (None, 1, outcome())


@pytest.mark.parametrize("how", ["begun", "ended"])
def test_an_id_is_spent_for_ever(store: Store, tmp_path: Path, how: str) -> None:
    """Begun or ended, in this process or a later one, the id is known."""
    assert not store.knows(REQUEST)
    if how == "begun":
        store.begin(REQUEST, "plan", healthy()["n2"])
    else:
        store.end(REQUEST, outcome())
    assert store.knows(REQUEST)
    assert Store(tmp_path / "state").knows(REQUEST)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.data())
def test_a_damaged_standing_is_an_error(tmp_path: Path, data: st.DataObject) -> None:
    """Cut short, or with a byte changed so that it is no standing: an error, never a fresh start."""
    folder = tmp_path / "state"
    if not folder.exists():
        Store.create(folder, STANDING)
    whole = canonical.encode(STANDING)
    cut = data.draw(st.integers(0, len(whole) - 1))
    (folder / "standing.json").write_bytes(whole[:cut])
    with pytest.raises(StandingUnreadable):
        Store(folder)
    (folder / "standing.json").write_bytes(whole[:cut] + b"\x00" + whole[cut + 1 :])
    with pytest.raises(StandingUnreadable):
        Store(folder)


@pytest.mark.parametrize("name", ["standing.json", "checkpoint.json"])
def test_a_missing_or_foreign_file_is_an_error(store: Store, tmp_path: Path, name: str) -> None:
    """Without a standing there is no node; with a checkpoint that cannot be read there is none either."""
    store.write_seen(Seen(size=1, checkpoint="x"))
    path = tmp_path / "state" / name
    path.write_bytes(b"{}")
    with pytest.raises(StandingUnreadable):
        Store(tmp_path / "state")
    path.unlink()
    if name == "standing.json":
        with pytest.raises(StandingUnreadable):
            Store(tmp_path / "state")


def test_a_folder_is_made_once(store: Store, tmp_path: Path) -> None:
    """A second genesis over a living standing is refused."""
    del store
    with pytest.raises(FileExistsError):
        Store.create(tmp_path / "state", STANDING)
