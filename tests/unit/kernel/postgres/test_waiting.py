"""What PostgreSQL waits for, by its processes' titles: what is there is named, what is not seen is left out."""

import os
from pathlib import Path

import pytest

from aerodb.kernel.postgres.copying import GrowingCopy
from aerodb.kernel.postgres.waiting import ServerProcess, recovering, still_there, written_bytes, written_since

RECEIVERS = (
    "walsender aerodb_n3 127.0.0.1(40222) streaming 0/3000148",
    "walsender aerodb_n2 10.0.0.2(1) streaming 0/9",
)
AUXILIARY = ("logger", "background writer", "walwriter", "io worker 0", "logical replication launcher", "checkpointer")


def of(*titles: str) -> tuple[ServerProcess, ...]:
    """Return processes with these titles."""
    return tuple(ServerProcess(at, title) for at, title in enumerate(titles))


@pytest.mark.parametrize(
    ("titles", "said"),
    [
        ((), ""),
        (AUXILIARY, ""),
        (("app orders [local] idle in transaction",), "still 1 session"),
        (("app orders [local] SELECT", "app orders 10.0.0.9(5012) idle"), "still 2 sessions"),
        (("checkpointer performing shutdown checkpoint",), "still the shutdown checkpoint"),
        (
            ("checkpointer performing shutdown checkpoint", *RECEIVERS),
            "still the shutdown checkpoint, the receiver n2 (sent 0/9), the receiver n3 (sent 0/3000148)",
        ),
        (("checkpointer", "walsender aerodb_n2 ::1(9) stopping"), "still the receiver n2"),
        (("walsender backup 10.0.0.9(5) streaming 0/A",), "still a receiver that is no node (sent 0/A)"),
    ],
)
def test_a_shutdown_names_what_it_waits_for(titles: tuple[str, ...], said: str) -> None:
    """Sessions are counted, the checkpoint is named, and so is each receiver; who is always there is not."""
    assert still_there(of(*titles)) == said


@pytest.mark.parametrize(
    ("titles", "said"),
    [
        (("startup recovering 000000010000000000000005",), "it is recovering the WAL file 000000010000000000000005"),
        (("startup waiting for 00000002000000000000000A",), "it is waiting for the WAL file 00000002000000000000000A"),
        (("startup",), ""),
        (AUXILIARY, ""),
    ],
)
def test_a_start_names_what_it_recovers(titles: tuple[str, ...], said: str) -> None:
    """Which WAL file it is at, where that is seen."""
    assert recovering(of(*titles)) == said


def test_what_cannot_be_read_is_not_said() -> None:
    """Of a process that is gone, or that this one may not look into, nothing is said."""
    assert written_bytes(None) is None
    assert written_since(None, 1) == ""
    assert written_since(os.getpid(), None) == ""


def test_what_a_process_wrote_is_counted(tmp_path: Path) -> None:
    """From the moment on that is named, in bytes."""
    before = written_bytes(os.getpid())
    assert before is not None
    (tmp_path / "some").write_bytes(bytes(50 << 20))
    assert written_since(os.getpid(), before) in {"50 MB written so far", "51 MB written so far"}


def test_a_copy_is_measured_without_its_wal(tmp_path: Path) -> None:
    """The files of all its parts count, tablespaces too; its WAL, which the source did not count, does not."""
    copy, space = tmp_path / "data-0002.ab.partial", tmp_path / "data-0002.ab.tablespaces" / "1"
    for path, size in ((copy / "base" / "1", 11 << 10), (copy / "pg_wal" / "1", 1 << 30), (space / "pg_wal", 4 << 10)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.truncate(path, size)
    assert GrowingCopy((copy, space), 1 << 40).said() == "15 kB of about 1024 GB, without WAL"
    assert GrowingCopy((tmp_path / "gone",), 0).said() == "0 B of about 0 B, without WAL"
