"""A cluster whose making fails leaves nothing running, and no folder that would be taken for a cluster."""

import os
import tempfile
from pathlib import Path

import pytest

from aerodb.local.layout import Layout
from aerodb.local.making import make_cluster
from aerodb.local.size import Size
from tests.faults.conftest import _folder_above


def _works_in(root: Path) -> list[str]:
    """Return the processes that work in a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink().is_relative_to(root):
                found.append((entry / "cmdline").read_bytes().decode())
        except OSError:
            continue
    return found


@pytest.mark.parametrize("step", ["PostgreSQL on n1", "copies of it to n2"])
def test_what_a_failed_making_began_is_ended(ports_from: int, step: str) -> None:
    """Wherever it fails, PostgreSQL of the first primary is stopped again."""
    with tempfile.TemporaryDirectory(prefix="aerodb-making-", dir=_folder_above()) as above:
        if os.geteuid() == 0:
            Path(above).chmod(0o711)
        root = Path(above) / "cluster"

        def fail(begun: str) -> None:
            if begun == step:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            make_cluster(root, Size(nodes=2).at_free_ports(ports_from), fail)
        assert _works_in(root) == []
        assert not Layout(root=root).configuration.exists()
