"""The gate, asked before PostgreSQL is started. It reads only the node's files, and needs no agent.

The rule itself is `rules.gate`; the agent asks the same question when it starts together with its host.
"""

from pathlib import Path

from aerodb.errors import AeroError
from aerodb.kernel.node import Node
from aerodb.kernel.postgres.configured import Configured
from aerodb.kernel.postgres.control_file import ControlFile
from aerodb.kernel.postgres.identity import read_identity
from aerodb.kernel.postgres.installation import Installation
from aerodb.kernel.postgres.place import Place
from aerodb.kernel.postgres.reading import read_control_file
from aerodb.kernel.postgres.settings import differing, expected, upstream_in
from aerodb.kernel.postgres.waldump import end_of_wal
from aerodb.kernel.store import Store
from aerodb.logs import say
from aerodb.rules.gate import Files, Starts, refusal
from aerodb.rules.reach import PUT_BACK, Reach, is_put_back


def refused(node: Node, starts: Starts | None = None) -> str:
    """Return why the host may not start the node's PostgreSQL; empty if it may.

    `starts` overrides what node.json says (None: no override).

    Raises:
        StandingUnreadable: the standing is missing or damaged.
        PostgresMissing: PostgreSQL's programs are not there.
    """
    store = Store(node.state)
    return refusal(starts or node.file.starts, node.name, store.standing, files_of(node, store))


def lets_start(node: Node, store: Store, *, as_it_stands: bool) -> bool:
    """Tell whether PostgreSQL may start together with its agent; a refusal is written to the agent's log.

    Raises:
        PostgresMissing: PostgreSQL's programs are not there.
    """
    starts: Starts = "standing" if as_it_stands else node.file.starts
    why = refusal(starts, node.name, store.standing, files_of(node, store))
    if why:
        say("PostgreSQL stays down", why=why)
    return not why


def files_of(node: Node, store: Store) -> Files:
    """Return what a node's files say.

    Raises:
        PostgresMissing: PostgreSQL's programs are not there.
    """
    begun = store.unfinished()
    unfinished = begun[0].request if begun else None
    nothing = Files(control=None, signal=False, copied=False, attached=None, unfinished=unfinished, identity=None)
    if node.member.witness:
        return nothing
    place = node.place()
    installation = node.installation()
    try:
        data = place.data()
        standing = (place.conf / "standing.conf").read_text(encoding="utf-8")
        control_file = read_control_file(installation, data)
        return Files(
            control=control_file.state,
            signal=(data / "standby.signal").exists(),
            copied=(data / "backup_label").exists(),
            attached=upstream_in(standing),
            unfinished=unfinished,
            identity=_identity(installation, data, control_file, store.reach),
            drift=_drift(installation, place, data, standing),
        )
    except (OSError, ValueError, AeroError):
        return nothing


def _identity(installation: Installation, data: Path, control_file: ControlFile, noted: Reach | None) -> str | None:
    """Return the data folder's identity, None if it cannot be read; PUT_BACK where its WAL ends before what was noted.

    Raises:
        AeroError: where the WAL ends cannot be told.
    """
    identity = read_identity(data)
    if noted is None or noted.folder != identity:
        return identity
    _, end = end_of_wal(installation, data, control_file)
    return PUT_BACK if is_put_back(noted, identity, end) else identity


def _drift(installation: Installation, place: Place, data: Path, standing: str) -> tuple[str, ...] | None:
    """Return the settings, of whichever file, that are not as the agent wrote them; None if that cannot be told."""
    try:
        return differing(expected(place, standing), Configured(installation, place).read(data))
    except (OSError, AeroError):
        return None
