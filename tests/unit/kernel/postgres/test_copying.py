"""Where the parts of a copy go, and when it has no room."""

from pathlib import Path

import pytest

from aerodb.kernel.postgres.copying import CopySource, layout_of, refuse_other_major, refuse_unfit
from aerodb.kernel.postgres.errors import CopyUnfit, MajorDiffers
from aerodb.kernel.postgres.installation import Installation


def _source(size_bytes: int = 0, *tablespaces: str) -> CopySource:
    return CopySource(size_bytes=size_bytes, tablespaces=tablespaces, major=17)


def test_each_tablespace_has_a_place_of_this_attempts_own(tmp_path: Path) -> None:
    """No two share a folder; the sign that parts pg_basebackup's mapping is escaped."""
    layout = layout_of(_source(0, "/a=b", "/c"), tmp_path / "data-0002.ab=", None)
    assert layout.arguments == [
        f"--tablespace-mapping=/a\\=b={tmp_path}/data-0002.ab\\=.tablespaces/1",
        f"--tablespace-mapping=/c={tmp_path}/data-0002.ab\\=.tablespaces/2",
    ]


def test_a_log_inside_the_folder_needs_nothing(tmp_path: Path) -> None:
    """Neither a folder whose WAL lies in it, nor one that is gone, sends the copy's WAL elsewhere."""
    (tmp_path / "data-0001" / "pg_wal").mkdir(parents=True)
    for current in (tmp_path / "data-0001", tmp_path / "gone", None):
        assert layout_of(_source(), tmp_path / "data-0002.ab", current).arguments == []


def test_a_log_elsewhere_stays_on_its_volume(tmp_path: Path) -> None:
    """Its name does not grow from copy to copy."""
    (tmp_path / "data-0001").mkdir()
    for name in ("wal", "wal.data-0002.0f0f"):
        (tmp_path / "volume" / name).mkdir(parents=True, exist_ok=True)
        link = tmp_path / "data-0001" / "pg_wal"
        link.unlink(missing_ok=True)
        link.symlink_to(tmp_path / "volume" / name)
        layout = layout_of(_source(), tmp_path / "data-0003.ab", tmp_path / "data-0001")
        assert layout.log == tmp_path.resolve() / "volume" / "wal.data-0003.ab"


def test_a_copy_that_is_larger_than_the_volume_is_refused(tmp_path: Path) -> None:
    """It says how much it takes, and how much there is."""
    layout = layout_of(_source(), tmp_path / "data-0002.ab", None)
    refuse_unfit(_source(), tmp_path, layout)
    with pytest.raises(CopyUnfit, match="takes 11259"):
        refuse_unfit(_source(1 << 50), tmp_path, layout)


@pytest.mark.parametrize("version", ["16.14", "18.6", "15.18"])
def test_a_source_of_another_major_version_is_refused(version: str) -> None:
    """Newer or older: pg_basebackup copies an older server, and its data would then not start."""
    programs = Installation(bin=Path("/programs"), version=version, account=None)
    with pytest.raises(MajorDiffers, match=f"the source is PostgreSQL 17, .* {version[:2]},") as error:
        refuse_other_major(_source(), programs)
    assert error.value.executed == "not executed"
    refuse_other_major(_source(), Installation(bin=Path("/programs"), version="17.1", account=None))
