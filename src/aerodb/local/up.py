"""`aerodb up`: a whole cluster on this machine, in the foreground, until Ctrl-C."""

import shlex
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

from aerodb.kernel.node import read_node
from aerodb.local.errors import FolderIncomplete
from aerodb.local.layout import Layout
from aerodb.local.making import make_cluster
from aerodb.local.stage import Stage


def reopen_or_make(layout: Layout, nodes: int) -> bool:
    """Make the cluster where there is none; tell whether it was made.

    Raises:
        FolderIncomplete: the making was cut off before.
    """
    if layout.configuration.exists():
        return False
    if layout.control.exists():
        raise FolderIncomplete(f"{layout.root}: the cluster was never finished; remove the folder, or take another")
    make_cluster(layout.root, nodes)
    return True


def greeting(layout: Layout, stage: Stage, seconds: float, *, made: bool) -> str:
    """Return what a person sees when the cluster is up."""
    profile = layout.profile("operator").resolve()
    lines = [
        f"Cluster {stage.cluster.name} {'made and ' if made else ''}up in {seconds:.1f} s: "
        f"{', '.join(stage.cluster.data_nodes)}, their agents, and the control plane at {stage.cluster.control}.",
        "",
        "Connect:",
        f"  psql {shlex.quote(layout.dsn())}",
        "",
        *_elsewhere(layout, stage),
        "In another terminal, first:",
        *_path_line(),
        f"  export AERODB_PROFILE={shlex.quote(str(profile))}",
        "  aerodb status",
        f"  aerodb web             (a link that signs you in to the admin UI at {stage.cluster.web_origin}, once)",
        "",
        "A planned switchover, from n1 to n2, is four requests:",
        '  aerodb follow n3 --upstream n2 --reason "..."',
        '  aerodb demote n1 --for n2 --reason "..."',
        '  aerodb promote n2 --reason "..."',
        '  aerodb follow n1 --upstream n2 --reason "..."',
        "",
        "Ctrl-C stops everything cleanly; `aerodb up` on the same folder brings it back as it was.",
    ]
    return "\n".join(lines)


def _path_line() -> list[str]:
    """Return how `aerodb` gets onto the PATH, where it is not there."""
    if shutil.which("aerodb"):
        return []
    return [f"  export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH"]


def _elsewhere(layout: Layout, stage: Stage) -> list[str]:
    """Say where the data is, where PostgreSQL's account cannot enter the cluster's folder."""
    home = Path(read_node(layout.node(stage.cluster.genesis)).file.home)
    if home.is_relative_to(layout.root.resolve()):
        return []
    return [
        f"PostgreSQL's account cannot enter {layout.root.resolve()}; its data is in {home.parent}.",
        "Whoever removes the one must remove the other.",
        "",
    ]


def up(root: Path, nodes: int) -> int:
    """Make or reopen the cluster in `root`, run it until SIGINT or SIGTERM, and stop it cleanly."""
    begun = time.monotonic()
    layout = Layout(root=root)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    made = reopen_or_make(layout, nodes)
    stage = Stage(layout)
    try:
        stage.start()
        sys.stdout.write(greeting(layout, stage, time.monotonic() - begun, made=made) + "\n")
        sys.stdout.flush()
        while not ended.wait(3600):
            pass
        sys.stdout.write("Stopping: the control plane, the primary, the standbys.\n")
        sys.stdout.flush()
    finally:
        stage.stop()
    return 0
