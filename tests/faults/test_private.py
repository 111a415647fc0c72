"""What nobody else may have: files whatever the umask, memory after a crash, and secrets wherever they could get to."""

import os
import re
import resource
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from aerodb.errors import AeroError
from aerodb.web.site import PAGES
from tests.faults.conftest import Ground, Running
from tests.faults.people import UNCONFIRMED, Api, new_id
from tests.faults.test_web import Window

CORE = re.compile(r"^Max core file size +0 ", re.MULTILINE)
SECRET_CHARACTERS_MIN = 16
TICKET = re.compile(rb'name="ticket" value="([^"]+)"')
COMMANDS = (
    ("status", "--json"), ("whoami",), ("catalogue",), ("requests",), ("timeline",), ("audit", "search"),
    ("explain", "stop", "n2"), ("show", new_id()), ("outcome", new_id()), ("authenticators",), ("nonsense",),
    ("audit", "export", "--output", "export"), ("diagnostics", "--output", "bundle"),
    ("report", "--since", "2020-01-01", "--output", "report.html"), ("web",), ("web", "--sessions"),
)  # fmt: skip


@pytest.fixture
def careless(ground: Ground) -> Iterator[Running]:
    """Return a cluster whose daemons were started by somebody without any umask, who wants core files."""
    before, cores = os.umask(0), resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (cores[1], cores[1]))
    try:
        yield ground.begin()
    finally:
        ground.end()
        os.umask(before)
        resource.setrlimit(resource.RLIMIT_CORE, cores)


def aerodb(running: Running, folder: Path, person: str, *words: str) -> bytes:
    """Run a command as a person, in a folder; return all that it says."""
    environment = {**os.environ, "AERODB_PROFILE": str(running.layout.profile(person)), "COLUMNS": "200"}
    command = [sys.executable, "-m", "aerodb", *words]
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False, timeout=120)
    return ended.stdout + ended.stderr


def open_to_others(folder: Path) -> set[str]:
    """Return the files in a folder that others than their owner may read or change, and folders that they may list."""
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if not path.is_symlink() and path.exists() and path.stat().st_mode & (0o077 if path.is_file() else 0o066)
    }


def test_files_are_private_whatever_the_umask(careless: Running, tmp_path: Path) -> None:
    """Of the daemons, of PostgreSQL that they start, of a person's commands; folders may be gone through at most."""
    tmp_path.chmod(0o700)
    for node in ("n2", "n3"):
        careless.api.do("checkpoint", node)
    careless.api.do("stop", "n3")
    careless.api.do("start", "n3")
    for words in COMMANDS:
        aerodb(careless, tmp_path, "operator", *words)
    assert {"export", "bundle"} <= {path.name for path in tmp_path.iterdir()}
    assert open_to_others(careless.layout.root) == set()
    assert open_to_others(tmp_path) == set()
    for name in ("control", *(member.name for member in careless.cluster.members)):
        limits = Path(f"/proc/{careless.stage.process(name).pid}/limits").read_text(encoding="ascii")
        assert CORE.search(limits), limits
    limits = Path(f"/proc/{careless.postmaster('n3')}/limits").read_text(encoding="ascii")
    assert CORE.search(limits), limits


def secrets_of(running: Running) -> dict[str, bytes]:
    """Return every secret of a cluster, by the file that it is in: the lines of its keys, its passwords."""
    found = dict[str, bytes]()
    for path in running.layout.root.rglob("*"):
        if path.suffix == ".key" or (path.name in {"id_ed25519", "app.pgpass", "replication"} and path.is_file()):
            for number, line in enumerate(path.read_bytes().splitlines()):
                word = line.rpartition(b":")[2]
                if len(word) >= SECRET_CHARACTERS_MIN and not line.startswith(b"-----"):
                    found[f"{path.relative_to(running.layout.root)}:{number}"] = word
    return found


def ticket_of(running: Running) -> bytes:
    """Return the ticket in the page that `aerodb web` wrote for the operator."""
    found = TICKET.search((running.layout.profile("operator") / "sign-in.html").read_bytes())
    assert found is not None
    return found[1]


class Watched:
    """All command lines of the machine's processes, for as long as somebody looks."""

    def __init__(self) -> None:
        """Begin with none."""
        self.said = set[bytes]()
        self._ended = threading.Event()

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Look meanwhile."""
        thread = threading.Thread(target=self._look)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.05):
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit():
                    with suppress(OSError):
                        self.said.add((entry / "cmdline").read_bytes())


def _calls(running: Running, said: dict[str, bytes], window: Window) -> None:
    """Ask every page as it stands, and of every service what is refused; note what is said."""
    for page in PAGES:
        if page.method == "GET" and page.path != "/leave":
            answer = window.get(page.path)
            said[f"page {page.path}"] = answer.body
    said["a forged form"] = window.post("/requests", {"token": "0" * 64}).body
    for path in ("/metrics", "/v1/events", "/nowhere", f"/v1/report?nonce={new_id()}"):
        with suppress(AeroError):
            said[f"agent {path}"] = running.impostor.agent("n1").get(path)
    for path in ("/v1/orders", f"/v1/outcomes/{new_id()}"):
        try:
            running.impostor.agent("n1").post(path, UNCONFIRMED)
        except AeroError as error:
            said[f"agent {path}"] = f"{error.message} {error.detail}".encode()
    for path in ("/metrics", "/v1/audit/export", "/v1/status?sensitive=1", "/v1/cluster"):
        with suppress(AeroError):
            said[f"control {path}"] = Api(running.layout, "auditor").client.get(path)


def _files(root: Path) -> Iterator[tuple[str, bytes]]:
    """Yield what is written where no secret belongs: logs, journals, events, the audit log."""
    for path in root.rglob("*"):
        parts = set(path.relative_to(root).parts)
        if path.is_file() and not path.is_symlink() and parts & {"logs", "log", "state", "events", "run"}:
            mode = path.stat().st_mode
            if stat.S_ISREG(mode):
                yield str(path.relative_to(root)), path.read_bytes()


def test_no_secret_is_in_arguments_logs_pages_or_errors(fresh: Running, tmp_path: Path) -> None:
    """With every key and every password known here, and a session's own: all is run, and none of them is found."""
    secrets, said, watched = secrets_of(fresh), dict[str, bytes](), Watched()
    assert len(secrets) >= 12, secrets.keys()
    with watched.looking():
        window = Window(fresh).sign_in()
        secrets["session"] = window.cookie.partition("=")[2].encode()
        said["web"] = aerodb(fresh, tmp_path, "operator", "web")
        secrets["ticket"] = ticket_of(fresh)
        for ticket in (window.ticket(), secrets["ticket"].decode()):  # A newer one has replaced the file's.
            said[f"entering {len(said)}"] = Window(fresh).post("/enter", {"ticket": ticket}).body
            said[f"entering again {len(said)}"] = Window(fresh).post("/enter", {"ticket": ticket}).body
        fresh.api.do("reclone", "n3", upstream="n1")
        _calls(fresh, said, window)
        for person in ("operator", "observer"):
            for words in COMMANDS:
                said[f"{person}: {' '.join(words)}"] = aerodb(fresh, tmp_path, person, *words)
        said["no session"] = Window(fresh).get("/").body
    said |= {f"argument {at}": line for at, line in enumerate(watched.said)}
    said |= dict(_files(fresh.layout.root))
    said |= {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert len(watched.said) > 10
    assert len(said) > 60, said.keys()
    leaks = {(name, where) for name, secret in secrets.items() for where, text in said.items() if secret in text}
    assert leaks == set()
