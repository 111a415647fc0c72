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

from aerodb.errors import AeroError
from aerodb.kernel.node import read_node
from aerodb.kernel.postgres.installation import wheel
from aerodb.kernel.postgres.naming import programs_named
from aerodb.local.errors import FolderIncomplete, FolderTaken, SizeRefused
from aerodb.local.layout import Layout
from aerodb.local.making import make_cluster
from aerodb.local.size import Size, size_of
from aerodb.local.stage import Stage
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.plan import Result
from aerodb.protocol.words import whole_words_of
from aerodb.rules.ways import UNTOLD, planned


def reopen_or_make(layout: Layout, asked: dict[str, int], postgres: str = "") -> bool:
    """Make the cluster if there is none; return whether it was made.

    What was `asked` of its size must hold, and so must the programs that `postgres` names, unless it is empty.

    Raises:
        FolderIncomplete: making it was interrupted earlier.
        FolderTaken: the cluster that is there is only watched, and not this program's to bring up.
        SizeRefused: the cluster that is there is of another size than was asked for, or none can be of that size.
        PortsTaken: a port that is needed is not free.
        PostgresNotBundled: a node runs the wheel's programs, and the wheel is not installed.
        PostgresMissing, PostgresUnsupported: there are no such programs, or AeroDB does not run them.
    """
    if layout.configuration.exists():
        cluster = layout.cluster()
        if cluster.watched:
            raise FolderTaken(
                f"{cluster.name} in {layout.root} is only watched, and its PostgreSQL is others'. Its control plane "
                f"alone: aerodb serve --folder {shlex.quote(str(layout.control))}"
            )
        _refuse_other(cluster, asked)
        _refuse_without_programs(layout)
        _refuse_other_programs(layout, postgres)
        return False
    if layout.control.exists():
        raise FolderIncomplete(f"{layout.root}: the cluster was never finished; remove the folder, or take another")
    make_cluster(layout.root, msgspec.convert(asked, Size), _say_step, postgres=postgres)
    return True


def _refuse_other(cluster: Cluster, asked: dict[str, int]) -> None:
    found = size_of(cluster)
    other = {name: getattr(found, name) for name, value in asked.items() if getattr(found, name) != value}
    if other:
        said = ", ".join(f"{name.replace('_', '-')} {_shown(value)}" for name, value in other.items())
        raise SizeRefused(f"the cluster in this folder was made otherwise: {said}; leave it out, or take another")


def _refuse_without_programs(layout: Layout) -> None:
    """Refuse a cluster whose programs are not installed here; of a node whose folder is damaged its agent says so."""
    for name in layout.cluster().data_nodes:
        try:
            bundled = not read_node(layout.node(name)).file.binaries
        except AeroError:
            continue
        if bundled:
            wheel()


def _refuse_other_programs(layout: Layout, postgres: str) -> None:
    wanted = str(programs_named(postgres) or "")
    for name in layout.cluster().data_nodes if postgres else ():
        found = read_node(layout.node(name)).file.binaries
        if found != wanted:
            raise SizeRefused(
                f"{name} in this folder runs the programs in {found or 'aerodb[local]'}; "
                "leave --postgres out, or take another folder",
                field="postgres",
            )


def _shown(value: int) -> str:
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


def _say_step(step: str) -> None:
    """Say what making a cluster is at."""
    _say(f"Making {step}")


def greeting(layout: Layout, stage: Stage, seconds: float, troubles: dict[str, str], *, made: bool) -> str:
    """Return what a person sees when the cluster is up; `troubles` are the parts that are not."""
    profile = layout.profile("operator").resolve()
    lines = [
        up_line(stage.cluster, seconds, troubles, made=made),
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


def up_line(cluster: Cluster, seconds: float, troubles: dict[str, str], *, made: bool) -> str:
    """Say what came up, and where the control plane is, if that did."""
    parts = [each.name for each in cluster.members if each.name not in troubles]
    control = [f"the control plane at {cluster.control}"] if "control" not in troubles else []
    said = ", and ".join([*([", ".join(parts)] if parts else []), *control])
    return f"Cluster {cluster.name} {'made and ' if made else ''}up in {seconds:.1f} s: {said or 'nothing'}."


def not_begun(cluster: Cluster, troubles: dict[str, str]) -> str:
    """Say that nothing was begun here, since something else listens wherever it would."""
    lines = [
        *(f"  {said}" for said in troubles.values()),
        "Is it up already, by another `aerodb up`? Nothing was begun here.",
    ]
    return "\n".join([f"Cluster {cluster.name} was not started:", *lines])


def ended_line(layout: Layout, name: str, code: int) -> str:
    """Say that a part has ended by itself, or was killed; nothing starts it again."""
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"has ended with the exit code {code}"
    if name == "control":
        return f"THE CONTROL PLANE {how}: the nodes go on without it ({layout.logs / name}.log says more)."
    what = f"its PostgreSQL, if it has one, may go on; aerodb status shows what is seen of {name}"
    return f"THE AGENT OF {name} {how}: {what} ({layout.logs / name}.log says more). Nothing starts it again by itself."


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


def _say(text: str) -> None:
    """Say something at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def up(root: Path, asked: dict[str, int], postgres: str = "") -> int:
    """Make or reopen the cluster in `root`, run it until SIGINT or SIGTERM, and stop it cleanly.

    `asked` are the parts of its size that the command line named.

    Returns 0; or 1 if PostgreSQL still runs on a node, which is named, or nothing could be begun here.
    """
    begun = time.monotonic()
    layout = Layout(root=root)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    made = reopen_or_make(layout, asked, postgres)
    if ended.is_set():
        _say("Interrupted: the cluster is made, and was not started. `aerodb up` on the same folder starts it.")
        return 0
    stage = Stage(layout)
    try:
        troubles = stage.start_what_starts(ended)
        if not stage.begun:
            _say(not_begun(stage.cluster, troubles))
            return 1
        if not ended.is_set():
            _say(greeting(layout, stage, time.monotonic() - begun, troubles, made=made))
            stage.watch(lambda name, code: None if ended.is_set() else _say(ended_line(layout, name, code)))
        while not ended.wait(3600):
            pass
        _say("Stopping: the control plane, the primary, the standbys.")
    except BaseException:
        stage.stop()
        raise
    left = stage.stop_with_postgres()
    for name in left:
        sys.stdout.write(f"PostgreSQL on {name} STILL RUNS: its agent's log says why ({layout.logs / name}.log)\n")
    return 1 if left else 0
