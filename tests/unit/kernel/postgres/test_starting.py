"""PostgreSQL is started by the major version alone that made its data; anything else changes nothing."""

from pathlib import Path

import pytest

from aerodb.kernel.postgres.errors import CommandFailed, MajorDiffers
from aerodb.kernel.postgres.installation import Installation
from aerodb.kernel.postgres.instance import Postgres
from aerodb.kernel.postgres.place import Place


@pytest.mark.parametrize("standby", [True, False])
def test_data_of_another_major_version_are_not_started(tmp_path: Path, *, standby: bool) -> None:
    """No program is run, and no file is written: not the server's log, nor what would make it a standby."""
    data = tmp_path / "data-0001"
    data.mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "data").symlink_to("data-0001")
    (data / "PG_VERSION").write_text("17\n", encoding="ascii")
    place = Place(name="n1", home=tmp_path, host="127.0.0.1", port=1, quorum=1, data_nodes=("n1",))

    def of(version: str) -> Postgres:
        return Postgres(Installation(bin=tmp_path / "none", version=version, account=None), place, lambda _: ("", 1))

    for version in ("16.14", "18.6"):
        with pytest.raises(
            MajorDiffers, match=f"is of PostgreSQL 17, and the programs in .* are {version[:2]}"
        ) as error:
            of(version).start(standby=standby)
        assert error.value.executed == "not executed"
    assert sorted(path.name for path in (*data.iterdir(), *(tmp_path / "run").iterdir())) == ["PG_VERSION"]
    with pytest.raises(CommandFailed, match=r"pg_ctl .*\b(cannot be run|not found)"):
        of("17.10").start(standby=standby)
