"""A node that is only watched, in a folder of its own, at whose socket nobody answers unless somebody is put there."""

from pathlib import Path

from msgspec.structs import replace

from aerodb.kernel.node import Node, WatchedNodeFile, WatchedPlace
from aerodb.protocol.authority import Position
from aerodb.protocol.cluster import Member, Operator, Role, WatchedCluster
from aerodb.protocol.facts import Facts, Instance, Receiver, Sender, State
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.signed import public_text
from aerodb.protocol.watched import Stranger, Survey, Watched, watched_standing
from aerodb.rules.invariants import RULES
from tests.unit.rules.scenes import KEYS

NAMES = ("n1", "n2", "n3")
HOSTS = {"n1": "127.0.0.9", "n2": "127.0.0.1", "n3": "2001:db8::3"}
MEMBERS = {
    name: Member(
        name=name,
        witness=False,
        agent=f"127.0.0.1:{2300 + at}",
        postgres_host=HOSTS[name],
        postgres_port=5432,
        public_key=public_text(KEYS[name]),
    )
    for at, name in enumerate(NAMES)
}
CLUSTER = WatchedCluster(
    name="shop",
    id="shop-id",
    members=tuple(MEMBERS.values()),
    operators=(Operator(name="ada", role=Role.OPERATOR),),
    log_key="",
    control="127.0.0.1:999",
)


SURVEY = Survey(
    waits_for=0,
    names=(),
    settings=(),
    tablespaces=(),
    logical_slots=(),
    wal_apart=None,
    managers=("patroni (process 712)", "repmgr (a database of that name)"),
    rewindable=True,
    archiving="off",
    archive_command=None,
)
STRANGER = Stranger(address="10.0.0.9", application="archive", state="streaming", sync_state="async", flushed=Lsn(5))
LINK = Receiver(status="streaming", upstream="127.0.0.9:5432", flushed=Lsn(5000))
POSITION = Position(term=None, bound=None, timeline=7, lsn=Lsn(5000))
RUNNING = Instance(
    system="7",
    folder="/var/lib/postgresql/15/main",
    version="15.18",
    state=State.RUNNING,
    recovery=False,
    position=POSITION,
    lineage=(),
    quorum=None,
    attached=None,
    restores=False,
    receiver=None,
    replayed=True,
    senders=(Sender(node="n2", state="streaming", sync_state="async", sent=Lsn(5), flushed=Lsn(5), replayed=Lsn(5)),),
    drift=(),
    shutdown=None,
    load=None,
    started="then",
)
STANDBY = replace(RUNNING, recovery=True, attached="n1", receiver=LINK, senders=())
WATCHED = Watched(unseen=("The data folder.",), strangers=(STRANGER,), survey=SURVEY)


def watched_facts(instance: Instance = RUNNING, watched: Watched = WATCHED) -> Facts:
    """Return the facts of a watched node."""
    return Facts(
        node="n1",
        rules=RULES,
        configuration=CLUSTER.digest,
        standing=watched_standing("standby" if instance.recovery else "primary"),
        instance=instance,
        unfinished=None,
        entries=0,
        checkpoint="",
        watched=watched,
    )


def watched_node(folder: Path, name: str = "n1", cluster: WatchedCluster = CLUSTER, **place: str | int) -> Node:
    """Return a watched node's folder; `place` says where its PostgreSQL is (left out: nobody is there)."""
    said: dict[str, str | int] = {"socket": str(folder), "port": 5432, **place}
    file = WatchedNodeFile(name=name, watch_seconds=0, watched=WatchedPlace(**said))  # type: ignore[arg-type]
    return Node(folder=folder, file=file, cluster=cluster, key=KEYS[name])
