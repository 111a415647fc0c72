"""A standby is detached durably: with one wait for the disk fewer than it could have, and no state in between."""

import subprocess
import sys
from pathlib import Path

DETACHING = """
import os, sys
from pathlib import Path
from aerodb.kernel.postgres.children import Children
from aerodb.kernel.postgres.ground import Ground
from aerodb.kernel.postgres.installation import Installation
from aerodb.kernel.postgres.place import Place
from aerodb.kernel.postgres.replicating import Replicating
from aerodb.kernel.postgres.session import PostgresSession

home = Path(sys.argv[1])
place = Place(name="n1", home=home, host="127.0.0.1", port=1, quorum=1, data_nodes=("n1", "n2"))
installation = Installation(bin=home, version="18.0", account=None)
session = PostgresSession(place, 18)
replicating = Replicating(Ground(installation, place, session, Children(), lambda name: ("127.0.0.1", 2)))
replicating._name_upstream("n2")
fsync, unlink, rename = os.fsync, Path.unlink, Path.replace

def synced(descriptor):
    print("sync", Path(f"/proc/self/fd/{descriptor}").readlink().name)
    return fsync(descriptor)

def unlinked(path, **named):
    print("unlink", path.name)
    return unlink(path, **named)

def replaced(path, target):
    print("rename", target.name)
    return rename(path, target)

os.fsync, Path.unlink, Path.replace = synced, unlinked, replaced
replicating.detach()
"""


def test_a_detachment_is_durable_before_it_returns(tmp_path: Path) -> None:
    """The password file goes first, then the settings name no upstream; one sync of their folder makes both durable."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "data-0001").mkdir()
    (tmp_path / "data").symlink_to("data-0001")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "replication").write_text("secret", encoding="ascii")
    command = [sys.executable, "-c", DETACHING, str(tmp_path)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert said.splitlines() == [
        "unlink replication.pgpass",
        "sync .standing.conf.new",
        "rename standing.conf",
        "sync conf",
    ]
    assert not (tmp_path / "conf" / "replication.pgpass").exists()
    assert "upstream" not in (tmp_path / "conf" / "standing.conf").read_text(encoding="utf-8")
