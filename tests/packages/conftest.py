"""The package, built once; a guest that it is installed in; and a cluster there, of PostgreSQL from the wheel."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from packages.__main__ import ROOT, package
from tests.packages.guest import Guest
from tests.packages.host import Host

NEEDED = ("dpkg-deb", "systemd-analyze", "systemd-sysusers", "nsenter", "unshare")
UV = Path(os.environ.get("AERODB_UV", ROOT / ".tools" / "bin" / "uv"))


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the package of this tree, or the one that AERODB_PACKAGE names."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    assert not missing, f"these tests need {', '.join(missing)}"
    if "AERODB_PACKAGE" in os.environ:
        return Path(os.environ["AERODB_PACKAGE"])
    return package(UV, Path("/usr/bin/python3"), tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="session")
def host(built: Path) -> Iterator[Host]:
    """Yield a host with a systemd of its own, on which the package is installed, and nothing of it runs."""
    assert os.geteuid() == 0, "these tests need root, for hosts of their own"
    folder = Path(f"/var/tmp/aerodb-guest-{os.getpid()}")  # noqa: S108 - made by mkdir, which takes nobody else's.
    guest = Guest(folder, (ROOT, Path(sys.base_prefix)))
    try:
        guest.boot()
        yield Host(guest, built)
    finally:
        guest.end()
        shutil.rmtree(folder)
