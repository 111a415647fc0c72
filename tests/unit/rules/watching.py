"""A cluster that others made, as its agents without hands report it."""

from msgspec.structs import replace

from aerodb.protocol.authority import Position
from aerodb.protocol.cluster import Cluster, WatchedCluster
from aerodb.protocol.facts import Facts, Instance, Receiver, Sender
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.watched import Survey, Watched, watched_standing
from tests.unit.rules.scenes import CLUSTER, NAMES, Scene, facts_of, instance_of

WATCHED = WatchedCluster(
    name=CLUSTER.name,
    id=CLUSTER.id,
    members=CLUSTER.members,
    operators=CLUSTER.operators,
    log_key=CLUSTER.log_key,
    control=CLUSTER.control,
)
SURVEY = Survey(
    waits_for=1,
    names=(),
    settings=(),
    tablespaces=(),
    logical_slots=(),
    wal_apart=None,
    managers=(),
    rewindable=True,
    archiving="off",
    archive_command=False,
)


def watched_instance(*, primary: bool, upstream: str | None = None) -> Instance:
    """Return a PostgreSQL as an agent without hands sees it."""
    return replace(
        instance_of(watched_standing("primary" if primary else "standby")),
        folder="",
        position=Position(term=None, bound=None, timeline=7, lsn=Lsn(5000)),
        lineage=(),
        quorum=None,
        attached=upstream,
        receiver=Receiver(status="streaming", upstream="", flushed=Lsn(5000)) if upstream else None,
        identity=None,
        checkpoint=None,
    )


def watched_facts(node: str, instance: Instance, survey: Survey | None = None, cluster: Cluster = WATCHED) -> Facts:
    """Return what an agent without hands says of its node."""
    standing = watched_standing("standby" if instance.recovery else "primary")
    watched = Watched(unseen=(), strangers=(), survey=survey)
    return replace(facts_of(cluster, node, standing, instance), watched=watched)


def watched() -> Scene:
    """Return n1 as a primary at timeline 7, and everyone streaming from it; a commit waits for one of them."""
    primary = replace(
        watched_instance(primary=True),
        senders=tuple(
            Sender(
                node=name, state="streaming", sync_state="quorum", sent=Lsn(5000), flushed=Lsn(5000), replayed=Lsn(5000)
            )
            for name in NAMES[1:]
        ),
    )
    others = {name: watched_facts(name, watched_instance(primary=False, upstream="n1")) for name in NAMES[1:]}
    return {"n1": watched_facts("n1", primary, SURVEY), **others}
