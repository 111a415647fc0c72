"""What an agent keeps survives a crash at any moment: the old bytes or the new, and never a fresh start by mistake."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from aerodb.kernel.durable import write_durably
from aerodb.kernel.errors import RoomMissing, StandingFalls, StandingForeign, StandingUnreadable
from aerodb.kernel.seen import LogSeen
from aerodb.kernel.store import Store
from aerodb.protocol import canonical
from aerodb.protocol.authority import Candidacy, Standing
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


SYNCED = """
import os, sys
from pathlib import Path
from aerodb.kernel.store import Store
from aerodb.protocol.authority import Candidacy
from aerodb.rules.standing import promised
from tests.unit.rules.scenes import healthy

store, request, fsync = Store(Path(sys.argv[1])), sys.argv[2], os.fsync

def told(descriptor):
    print(Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(sys.argv[1]))
    return fsync(descriptor)

os.fsync = told
for step in (
    lambda: store.begin(request, "plan", healthy()["n2"]),
    lambda: store.mark(request),
    lambda: store.write_standing(promised(store.standing, Candidacy(term=2, node="n3"))),
):
    step()
    print("--")
"""


def test_each_durable_step_syncs_its_file_and_its_folder(store: Store, tmp_path: Path) -> None:
    """And nothing else: room that is reserved is this process's own, and writes stand still while a disk syncs."""
    del store
    command = [sys.executable, "-c", SYNCED, str(tmp_path / "state"), REQUEST]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    steps = [step.split() for step in said.split("--")]
    assert steps == [
        [f"journal/.{REQUEST}.begun.json.new", "journal"],
        [f"journal/.{REQUEST}.crossed.new", "journal"],
        [".standing.json.new", "."],
        [],
    ]


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
        epoch=1, cluster="c", node="n2", request=REQUEST, plan="", result="executed", established=False, code="",
        message="", evidence=(),
    )  # fmt: skip
    return sign(document, "n2", KEYS["n2"])


def test_everything_is_there_again(store: Store, tmp_path: Path) -> None:
    """A new process finds what the one before had written: standing, checkpoint, journal."""
    standing = promised(STANDING, Candidacy(term=2, node="n3"))
    store.write_standing(standing)
    store.write_seen(LogSeen(size=3, checkpoint="x"))
    store.begin(REQUEST, "plan", healthy()["n2"])
    again = Store(tmp_path / "state")
    assert (again.standing, again.seen.size, again.entries) == (standing, 3, 1)
    (begun,) = again.unfinished()
    assert (begun.request, begun.plan, begun.before) == (REQUEST, "plan", healthy()["n2"])
    again.end(REQUEST, outcome())
    last = Store(tmp_path / "state")
    ended = last.ended(REQUEST)
    assert ended is not None
    assert (last.unfinished(), last.entries, ended.outcome) == ((), 1, outcome())


HIGH = replace(STANDING, pledged=Candidacy(term=3, node="n3"), granted=Candidacy(term=2, node="n2"))


@pytest.mark.parametrize(
    "lower",
    [
        replace(HIGH, pledged=Candidacy(term=2, node="n3")),
        replace(HIGH, pledged=Candidacy(term=3, node="n2")),
        replace(HIGH, granted=Candidacy(term=1, node="n1")),
        replace(HIGH, granted=Candidacy(term=2, node="n1")),
    ],
)
def test_a_standing_never_falls(store: Store, tmp_path: Path, lower: Standing) -> None:
    """Less promised, another promised in the same term, less known of grants: refused, and nothing is written."""
    store.write_standing(HIGH)
    with pytest.raises(StandingFalls):
        store.write_standing(lower)
    assert store.standing == Store(tmp_path / "state").standing == HIGH


def test_a_standing_that_another_wrote_is_not_written_over(store: Store, tmp_path: Path) -> None:
    """Whoever wrote it, knowing more or less: the agent stops, and what they wrote stays."""
    Store(tmp_path / "state").write_standing(HIGH)
    with pytest.raises(StandingForeign):
        store.write_standing(replace(HIGH, pledged=Candidacy(term=9, node="n2")))
    assert Store(tmp_path / "state").standing == HIGH


def test_that_a_request_crossed_is_there_again(store: Store, tmp_path: Path) -> None:
    """A new process knows of each request begun whether it crossed, and of all that are not ended, oldest first."""
    later, earlier = "11111111-2222-4333-8444-000000000000", REQUEST
    for request in (earlier, later):
        store.begin(request, "plan", healthy()["n2"])
    store.mark(later)
    again = Store(tmp_path / "state")
    assert [each.request for each in again.unfinished()] == [earlier, later]
    assert (again.crossed(earlier), again.crossed(later)) == (False, True)
    again.end(earlier, outcome())
    assert [each.request for each in again.unfinished()] == [later]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """Return the folder of a disk of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], check=False).returncode:
        pytest.skip("this user may not mount a disk to fill up")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(folder: Path) -> None:
    """Write until the disk is full."""
    with suppress(OSError), (folder / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 512)


def test_a_disk_that_fills_up_changes_no_answer(small: Path) -> None:
    """Full once an operation has begun, the disk still takes that it crossed, its standing and its outcome."""
    store = Store.create(small / "state", STANDING)
    store.begin(REQUEST, "plan", healthy()["n2"])
    fill(small)
    store.mark(REQUEST)
    for term in (2, 3, 4):
        store.write_standing(replace(STANDING, pledged=Candidacy(term=term, node="n3")))
    store.end(REQUEST, outcome())
    again = Store(small / "state")
    assert (again.unfinished(), again.standing.pledged.term, again.crossed(REQUEST)) == ((), 4, True)


def test_on_a_full_disk_nothing_is_begun(small: Path) -> None:
    """Without room for the end there is no beginning; with room again there is."""
    store = Store.create(small / "state", STANDING)
    fill(small)
    with pytest.raises(RoomMissing):
        store.begin(REQUEST, "plan", healthy()["n2"])
    assert not Store(small / "state").knows(REQUEST)
    (small / "filler").unlink()
    store.begin(REQUEST, "plan", healthy()["n2"])


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
    store.write_seen(LogSeen(size=1, checkpoint="x"))
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
