"""Makes the golden past of a version: a real cluster, its story, and what is kept of it."""

import shutil
import subprocess
import threading
from pathlib import Path

from aerodb.kernel.postgres.installation import find_installation
from aerodb.local.layout import Layout
from aerodb.local.making import make_cluster
from aerodb.local.size import Size
from aerodb.local.stage import READY_SECONDS_MAX
from release import past
from release.story import Story, StoryBroken, keep
from tests.faults.conftest import Running

PORTS_FROM = 31_000
"""Above the ports of all other tests, and below those that the system lends out."""
NODES = 3


def make(version: str, uv: Path) -> None:
    """Make the golden past of `version`, and add it to those that are there.

    Raises:
        StoryBroken: something did not come about as it should have; nothing was added.
        PastChanged: there is one of that version.
    """
    with past.held(version) as place:
        made = place / "made"
        made.mkdir(mode=0o700)
        rows = _play(Layout(root=place / "cluster"), made, place)
        _pack(place, made)
        _build_wheel(uv, made)
        major = find_installation().major
        (made / "README.md").write_text(_readme(version, rows, major), encoding="utf-8")
        past.add(version, made)


def _play(layout: Layout, made: Path, place: Path) -> int:
    """Make a cluster, play the story on it, keep what it left, and shut it down; return how many rows it holds."""
    make_cluster(layout.root, Size(nodes=NODES).at_free_ports(PORTS_FROM))
    running = Running(layout)
    try:
        troubles = running.stage.start_what_starts(threading.Event(), READY_SECONDS_MAX)
        if troubles:
            raise StoryBroken(f"the cluster did not come up: {troubles}")
        story = Story(running)
        story.tell()
        keep(running, story, made, place)
    finally:
        left = running.stage.stop_with_postgres()
    if left:
        raise StoryBroken(f"PostgreSQL still runs on {left}")
    return story.rows


def _pack(place: Path, made: Path) -> None:
    """Pack the cluster's folder, the log's backup and the log witness's folder."""
    packed = place / "packed"
    packed.mkdir(mode=0o711)
    for name in ("cluster", "log.backup", "witness"):
        shutil.move(place / name, packed / name)
    past.pack(packed, made / past.STANDING)


def _build_wheel(uv: Path, made: Path) -> None:
    command = [str(uv), "build", "--quiet", "--wheel", "--out-dir", str(made / "wheel")]
    subprocess.run(command, cwd=past.ROOT, check=True)
    (made / "wheel" / ".gitignore").unlink(missing_ok=True)  # Else nothing beside it would be committed.


def _readme(version: str, rows: int, major: int) -> str:
    return f"""# What {version} left behind

Made by {version} itself, with real processes, when it was released (`make release VERSION={version}`). Nothing here is
ever changed: `../DIGESTS` names every file, and `tests/golden` holds every later build to opening, verifying, replaying
and carrying on from all of it.

- `cluster.json`: the cluster's configuration, with which everything is verified.
- `log.jsonl`: an export of its audit log.
- `evidence/`: evidence files, named for what became of the request.
- `wheel/`: the release itself, to be run beside later ones.
- `{past.STANDING}`:
    - `cluster/`: the whole folder of a cluster of {NODES} nodes that was shut down in order: the control plane's with
      the log, people's profiles, agents' durable states, and PostgreSQL {major}'s data, with {rows} rows in the table
      `golden` of the application's database;
    - `witness/`: the folder of a log witness that watched it;
    - `log.backup`: a backup of the log.

The archive holds private keys and passwords. They are throw-away keys of this cluster, which stands only while a test
runs, on the loopback interface; they open nothing else. They are published on purpose: a past without its keys could be
read, and not carried on.
"""
