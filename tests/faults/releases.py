"""A cluster whose parts are of two releases: each part runs the code of a wheel that was released, or this build's.

A release's wheel is part of its golden past: kept, since a clone need not hold the history, and building one needs a
network. It is pure Python: it is unpacked, and runs by the interpreter and the libraries of the build under test.
"""

import hashlib
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

from aerodb import private
from aerodb.local.layout import Layout
from aerodb.local.stage import Stage

GOLDEN = Path(__file__).parents[1] / "golden"


def unpacked(version: str, folder: Path) -> Path:
    """Return a released version's code, unpacked into a folder that every account can go through."""
    (wheel,) = (GOLDEN / version / "wheel").glob("*.whl")
    assert hashlib.sha256(wheel.read_bytes()).hexdigest() in (GOLDEN / "DIGESTS").read_text(encoding="ascii")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(folder)
    folder.chmod(0o755)
    return folder


def environment_of(code: Path | None) -> dict[str, str]:
    """Return the environment in which a process runs some code; None: this build's."""
    return dict(os.environ) if code is None else {**os.environ, "PYTHONPATH": str(code), "PYTHONSAFEPATH": "1"}


class MixedStage(Stage):
    """The processes of one cluster, each of its own release; PostgreSQL goes on while an agent is replaced."""

    def __init__(self, layout: Layout, code: Path | None) -> None:
        """Start nothing yet; everything is of the release whose `code` is given."""
        super().__init__(layout)
        self.code: dict[str, Path | None] = dict.fromkeys(
            [*(member.name for member in self.cluster.members), "control"], code
        )

    def _spawn(self, name: str, *arguments: str | Path) -> None:
        with open(self._layout.logs / f"{name}.log", "ab", opener=private.opener) as output:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", "aerodb", *map(str, arguments)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, cwd="/",
                env=environment_of(self.code[name]),
            )  # fmt: skip

    def replace(self, name: str, code: Path | None) -> None:
        """End one process by SIGTERM, as an operator does, and start the other release's in its place."""
        self._processes[name].send_signal(signal.SIGTERM)
        self._processes[name].wait()
        self.code[name] = code
        if name == "control":
            self.start_control()
        else:
            self.start_agent(name)
        self.wait_for(name)


def types(layout: Layout, code: Path | None, *words: str, person: str = "operator") -> tuple[int, str]:
    """Run one command of one release as a person; return its exit code and all that it said."""
    environment = {**environment_of(code), "AERODB_PROFILE": str(layout.profile(person)), "COLUMNS": "160"}
    command = [sys.executable, "-m", "aerodb", *words]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd="/")
    return ended.returncode, ended.stdout + ended.stderr
