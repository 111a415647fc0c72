"""Every golden past, put back: a test that takes `kept` or `standing` runs once for each released version."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from aerodb.audit.trust import Trust
from aerodb.local.layout import Layout
from aerodb.protocol import canonical
from aerodb.protocol.cluster import Cluster
from release import past


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """One version's golden past: what is kept plainly in `folder`, and the archive's content in `place`."""

    version: str
    folder: Path
    place: Path

    @property
    def cluster(self) -> Cluster:
        """Return the configuration that everything is verified with."""
        return canonical.decode((self.folder / "cluster.json").read_bytes(), Cluster)

    @property
    def trust(self) -> Trust:
        """Return the trust in it alone."""
        return Trust(clusters=(self.cluster,))

    @property
    def layout(self) -> Layout:
        """Return the standing cluster's folder."""
        return Layout(root=self.place / "cluster")

    def copied(self, name: str, folder: Path) -> Path:
        """Return a copy of a part of the archive's content, which a test may change."""
        return Path(shutil.copytree(self.place / name, folder / Path(name).name, symlinks=True))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of one past on one worker: its cluster has one place and one set of ports on a machine."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("golden"))


@contextmanager
def _put_back(version: str, *, data: bool) -> Iterator[Kept]:
    folder = past.GOLDEN / version
    with past.held(version) as place:
        past.unpack(folder / past.STANDING, place, data=data)
        yield Kept(version=version, folder=folder, place=place)


@pytest.fixture(scope="module", params=past.versions())
def kept(request: pytest.FixtureRequest) -> Iterator[Kept]:
    """Return a version's golden past, without PostgreSQL's data."""
    with _put_back(str(request.param), data=False) as found:
        yield found


@pytest.fixture(scope="module", params=past.versions())
def standing(request: pytest.FixtureRequest) -> Iterator[Kept]:
    """Return a version's golden past with PostgreSQL's data; its cluster is the module's own to run."""
    with _put_back(str(request.param), data=True) as found:
        yield found
