"""`aerodb up`: a whole cluster on this machine, in the foreground, until Ctrl-C."""

import shlex
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

import msgspec
from msgspec.structs import replace

from aerodb.kernel.node import read_node
from aerodb.local.errors import FolderIncomplete, SizeRefused
from aerodb.local.layout import Layout
from aerodb.local.making import make_cluster
from aerodb.local.size import Size, size_of
from aerodb.local.stage import Stage
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.plan import Result
from aerodb.protocol.words import whole_words_of
from aerodb.rules.ways import UNTOLD, planned


def reopen_or_make(layout: Layout, asked: dict[str, int]) -> bool:
    """Make the cluster if there is none; return whether it was made. What was `asked` of its size must hold.

    Raises:
        FolderIncomplete: making it was interrupted earlier.
        SizeRefused: the cluster that is there is of another size than was asked for, or none can be of that size.
        PortsTaken: a port that is needed is not free.
    """
    if layout.configuration.exists():
        _refuse_other(layout.cluster(), asked)
        return False
    if layout.control.exists():
        raise FolderIncomplete(f"{layout.root}: the cluster was never finished; remove the folder, or take another")
    make_cluster(layout.root, msgspec.convert(asked, Size), _say_step)
    return True


def _refuse_other(cluster: Cluster, asked: dict[str, int]) -> None:
    found = size_of(cluster)
    other = {name: getattr(found, name) for name, value in asked.items() if getattr(found, name) != value}
    if other:
        said = ", ".join(f"{name.replace('_', '-')} {_shown(value)}" for name, value in other.items())
        raise SizeRefused(f"the cluster in this folder was made otherwise: {said}; leave it out, or take another")


def _shown(value: int) -> str:
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


def _say_step(step: str) -> None:
    """Say what making a cluster is at."""
    sys.stdout.write(f"Making {step}\n")
    sys.stdout.flush()


def greeting(layout: Layout, stage: Stage, seconds: float, troubles: dict[str, str], *, made: bool) -> str:
    """Return what a person sees when the cluster is up; `troubles` are the parts that are not."""
    profile = layout.profile("operator").resolve()
    lines = [
        f"Cluster {stage.cluster.name} {'made and ' if made else ''}up in {seconds:.1f} s: "
        f"{', '.join(each.name for each in stage.cluster.members if each.name not in troubles)}, and the control plane "
        f"at {stage.cluster.control}.",
        "",
        *_not_up(troubles),
        "Connect:",
        f"  psql {shlex.quote(layout.dsn())}",
        "",
        *_elsewhere(layout, stage),
        "In another terminal, first:",
        *_path_line(),
        f"  export AERODB_PROFILE={shlex.quote(str(profile))}",
        "  aerodb status",
        f"  aerodb web --open      (signs you in to the admin UI at {stage.cluster.web_origin}, once)",
        "",
        *_switchover(stage),
        *founding_lines(stage.cluster),
        "",
        "Ctrl-C stops everything cleanly; `aerodb up` on the same folder brings it back as it was.",
    ]
    return "\n".join(lines)


def founding_lines(cluster: Cluster) -> list[str]:
    """Return the digest of version 1 of the configuration, also as words, for auditors to trust."""
    return [
        f"Version 1 of the configuration is {cluster.digest}, in words, to be written down:",
        *(f"  {line}" for line in whole_words_of(cluster.digest)),
        'Whoever has these words, and no other file, verifies the audit log: aerodb audit verify PATH --trust "WORDS"',
    ]


def _not_up(troubles: dict[str, str]) -> list[str]:
    """Say what did not come up; the rest goes on."""
    if not troubles:
        return []
    return ["NOT UP, while the rest goes on:", *(f"  {said}" for said in troubles.values()), ""]


def _switchover(stage: Stage) -> list[str]:
    """Lay out the way from the primary of now to another node."""
    cluster = stage.cluster
    proven = [name for name, judged in stage.primaries().items() if judged.result is Result.HOLDS]
    primary = proven[0] if proven else cluster.genesis
    successor = next((name for name in cluster.data_nodes if name != primary), None)
    if successor is None:
        return []
    return [*switchover_lines(cluster, primary, successor), ""]


def switchover_lines(cluster: Cluster, primary: str, successor: str) -> list[str]:
    """Return the way from a primary to its successor, as it is typed."""
    way = replace(planned(cluster, primary, successor), form="ahead")
    return [
        f"A planned switchover, from {primary} to {successor}, is {len(way.steps)} requests:",
        *(f'  {typed} --reason "..."' for typed in way.typed),
        *(f"  ({remark})" for remark in way.remarks),
        f"{UNTOLD} is the id of the promotion, which is signed first, held, and says so. Writes stop only from the",
        f"demotion's confirmation until {successor} is promoted, which nobody is asked for again.",
        f"Each judged beforehand, and marked once it is done: aerodb procedure switchover {primary} {successor}",
    ]


def _path_line() -> list[str]:
    """Return the command that puts `aerodb` onto the PATH, if it is not there."""
    if shutil.which("aerodb"):
        return []
    return [f"  export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH"]


def _elsewhere(layout: Layout, stage: Stage) -> list[str]:
    """Say where the data is, if PostgreSQL's account cannot enter the cluster's folder."""
    home = Path(read_node(layout.node(stage.cluster.genesis)).file.home)
    if home.is_relative_to(layout.root.resolve()):
        return []
    return [
        f"PostgreSQL's account cannot enter {layout.root.resolve()}; its data is in {home.parent}.",
        "Whoever removes the one must remove the other.",
        "",
    ]


def up(root: Path, asked: dict[str, int]) -> int:
    """Make or reopen the cluster in `root`, run it until SIGINT or SIGTERM, and stop it cleanly.

    `asked` are the parts of its size that the command line named.

    Returns 0; or 1 if PostgreSQL still runs on a node, which is named.
    """
    begun = time.monotonic()
    layout = Layout(root=root)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    made = reopen_or_make(layout, asked)
    stage = Stage(layout)
    try:
        troubles = stage.start_what_starts(ended)
        sys.stdout.write(greeting(layout, stage, time.monotonic() - begun, troubles, made=made) + "\n")
        sys.stdout.flush()
        while not ended.wait(3600):
            pass
        sys.stdout.write("Stopping: the control plane, the primary, the standbys.\n")
        sys.stdout.flush()
    except BaseException:
        stage.stop()
        raise
    left = stage.stop_with_postgres()
    for name in left:
        sys.stdout.write(f"PostgreSQL on {name} STILL RUNS: its agent's log says why ({layout.logs / name}.log)\n")
    return 1 if left else 0
