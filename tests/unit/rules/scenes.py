"""Small clusters in chosen states, built from the real documents: what the tests of the rules judge."""

import dataclasses
import itertools
from collections.abc import Iterator
from functools import cache, lru_cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import UnsetType
from msgspec.structs import replace

from aerodb.actions import catalogue
from aerodb.errors import AeroError
from aerodb.protocol.ahead import AFTER, THEN, Earlier, Held, Later
from aerodb.protocol.authority import Branch, Candidacy, Grant, Pledge, Position, Standing
from aerodb.protocol.chain import step_of
from aerodb.protocol.change import Change, step_text
from aerodb.protocol.cluster import Cluster, Member, Operator, Role
from aerodb.protocol.facts import Facts, Instance, Load, Receiver, Report, Sender, SettingsFiles, State
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.plan import Request, Snapshot
from aerodb.protocol.signed import Signed, public_text, sign
from aerodb.rules.arguments import Argument, KindName
from aerodb.rules.explain import check_request, opened_view
from aerodb.rules.invariants import RULES
from aerodb.rules.specification import Action
from aerodb.rules.standing import detached, genesis, granted, promised
from aerodb.rules.view import Peer, View, open_report

NAMES = ("n1", "n2", "n3")
EVERYONE = (*(f"n{at}" for at in range(1, 10)), "w")
KEYS = {name: Ed25519PrivateKey.from_private_bytes(name.encode().ljust(32, b"\0")) for name in EVERYONE}
REQUEST = "11111111-2222-4333-8444-555555555555"
Scene = dict[str, Facts]


def cluster_of(*, quorum: int = 1, witness: bool = False, name: str = "test") -> Cluster:
    """Return a cluster of three members; `witness` makes the third one hold no data."""
    names = (*NAMES[:2], "w") if witness else NAMES
    return Cluster(
        name=name,
        id=f"{name}-id",
        members=tuple(
            Member(
                name=each,
                witness=each == "w",
                agent=f"127.0.0.1:{1000 + at}",
                postgres_host="" if each == "w" else "127.0.0.1",
                postgres_port=0 if each == "w" else 2000 + at,
                public_key=public_text(KEYS[each]),
            )
            for at, each in enumerate(names)
        ),
        operators=(Operator(name="ada", role=Role.OPERATOR),),
        quorum=quorum,
        genesis="n1",
        log_key="",
        control="127.0.0.1:999",
    )


def sized(data: int, quorum: int, *, witness: bool = False) -> Cluster:
    """Return a cluster of `data` data nodes, and perhaps a witness."""
    model = cluster_of(quorum=quorum, witness=witness)
    one, names = model.members[0], [f"n{at}" for at in range(1, data + 1)]
    members = tuple(replace(one, name=name, public_key=public_text(KEYS[name])) for name in names)
    return replace(model, members=(*members, *model.members[2:]) if witness else members)


CLUSTER = cluster_of()
MARKS = (f"7:{'A' * 43}=", f"9:{'A' * 43}=")
"""What is named of the audit log: a beginning of it, and all that was seen of it."""
LATER = Later(request="99999999-2222-4333-8444-555555555555", plan=f"sha256:{'5' * 64}")
"""A promotion that is signed ahead, as the demotion before it names it."""
CHECKPOINT = f"{CLUSTER.origin}\n9\n{'A' * 43}=\n\n\u2014 nobody verifies it here\n"
FIRST = (Branch(timeline=1, begin=Lsn(0), term=1),)


def instance_of(standing: Standing, *, lsn: int = 5000, term: int = 1, state: State = State.RUNNING) -> Instance:
    """Return the PostgreSQL of a node with that standing."""
    primary = standing.role == "primary"
    running = state is State.RUNNING
    return Instance(
        system="7",
        folder="data-0001",
        version="18.6",
        state=state,
        recovery=not primary,
        position=Position(term=term, bound=term, timeline=1, lsn=Lsn(lsn)),
        lineage=FIRST,
        quorum=1 if running else None,
        attached=standing.upstream,
        restores=False,
        receiver=Receiver(status="streaming", upstream="", flushed=Lsn(lsn)) if standing.upstream and running else None,
        replayed=True,
        senders=(),
        drift=(),
        shutdown=None,
        load=Load(
            sessions=0,
            longest_transaction_seconds=0,
            prepared_transactions=0,
            backups=0,
            logical_slots=0,
            waiting_commits=0,
        ),
        checkpoint=Lsn(1000),
        identity=standing.folder,
    )


def facts_of(cluster: Cluster, node: str, standing: Standing, instance: Instance | None) -> Facts:
    """Return what an agent says of its node."""
    return Facts(
        node=node,
        rules=RULES,
        configuration=cluster.digest,
        standing=standing,
        instance=instance,
        unfinished=None,
        entries=0,
        checkpoint="",
    )


def healthy(cluster: Cluster = CLUSTER) -> Scene:
    """Return n1 as the primary of term 1, and everyone streaming from it."""
    scene = {}
    for member in cluster.members:
        folder = "" if member.witness else f"folder of {member.name}"
        standing = genesis(member.name, "n1", witness=member.witness, folder=folder)
        scene[member.name] = facts_of(cluster, member.name, standing, None if member.witness else instance_of(standing))
    senders = tuple(
        Sender(node=name, state="streaming", sync_state="quorum", sent=Lsn(5000), flushed=Lsn(5000), replayed=Lsn(5000))
        for name in cluster.data_nodes
        if name != "n1"
    )
    return with_instance(scene, "n1", senders=senders)


def with_instance(scene: Scene, node: str, **changes: object) -> Scene:
    """Return the scene with parts of one node's PostgreSQL changed."""
    facts = scene[node]
    assert facts.instance is not None
    return {**scene, node: replace(facts, instance=replace(facts.instance, **changes))}


def with_standing(scene: Scene, node: str, **changes: object) -> Scene:
    """Return the scene with parts of one node's standing changed."""
    facts = scene[node]
    return {**scene, node: replace(facts, standing=replace(facts.standing, **changes))}


def pledged(scene: Scene, node: str, candidacy: Candidacy, cluster: Cluster = CLUSTER) -> Scene:
    """Return the scene with the node fenced for `candidacy`, its signed pledge included."""
    facts = scene[node]
    standing = promised(detached(facts.standing), candidacy)
    pledge = Pledge(
        epoch=1,
        cluster=cluster.id,
        node=node,
        term=candidacy.term,
        candidate=candidacy.node,
        position=facts.instance.position if facts.instance else None,
        granted=standing.granted,
        since=standing.since,
        quorum=facts.instance.quorum if facts.instance else None,
    )
    after = replace(standing, pledge=sign(pledge, node, KEYS[node]))
    scene = {**scene, node: replace(facts, standing=after)}
    return with_instance(scene, node, receiver=None, attached=None) if facts.instance else scene


def carried(scene: Scene, node: str, lsn: int = 5100) -> Scene:
    """Return the scene with a node that came onto timeline 2, and has no word of its term."""
    position = Position(term=None, bound=None, timeline=2, lsn=Lsn(lsn))
    untold = Branch(timeline=2, begin=Lsn(5000), term=None)
    return with_instance(scene, node, position=position, lineage=(*FIRST, untold))


def grant_of(scene: Scene, node: str, term: int, cluster: Cluster = CLUSTER) -> tuple[Grant, Signed]:
    """Return a grant of `term` to `node`, signed by it."""
    instance = scene[node].instance
    assert instance is not None
    grant = Grant(
        epoch=1, cluster=cluster.id, node=node, term=term, begin=Lsn(0), lineage=instance.lineage, quorum=1, pledges=()
    )
    return grant, sign(grant, node, KEYS[node])


def demoted(cluster: Cluster = CLUSTER) -> Scene:
    """Return n1 shut down cleanly and pledged to n2 in term 2; n2 has everything."""
    scene = pledged(healthy(cluster), "n1", Candidacy(term=2, node="n2"), cluster)
    scene = with_standing(scene, "n1", halted=True)
    return with_instance(scene, "n1", state=State.STOPPED, recovery=False, senders=(), shutdown=Lsn(5000))


def switched(cluster: Cluster = CLUSTER) -> Scene:
    """Return n2 as the primary of term 2; n1 is down, pledged to it."""
    scene = demoted(cluster)
    grant, signed = grant_of(scene, "n2", 2, cluster)
    standing = granted(promised(scene["n2"].standing, Candidacy(term=2, node="n2")), grant, signed, own=True)
    scene = {**scene, "n2": replace(scene["n2"], standing=standing)}
    return with_instance(scene, "n2", recovery=False, attached=None, receiver=None)


def scenes() -> dict[str, Scene]:
    """Return every scene by its name."""
    return {name: dict(scene) for name, scene in _scenes().items()}


@cache
def _scenes() -> dict[str, Scene]:
    down = with_instance(healthy(), "n1", state=State.CRASHED, senders=())
    fenced = pledged(healthy(), "n3", Candidacy(term=2, node="n1"))
    found = {
        "healthy": healthy(),
        "demoted": demoted(),
        "switched": switched(),
        "primary crashed": down,
        "fenced for nothing": fenced,
        "files told": with_files(healthy()),
        "waiting": holding(healthy(), "n2", held_for("n1")),
    }
    return {name: having_seen(scene) for name, scene in found.items()}


def held_for(primary: str, term: int = 2) -> Held:
    """Return the order to promote a node once `primary` is demoted for it, by the request that the tests make."""
    after = Earlier(action="demote", target=primary, request=REQUEST)
    return Held(request=LATER.request, action="promote", plan=LATER.plan, after=str(after), term=term)


def holding(scene: Scene, node: str, held: Held | UnsetType) -> Scene:
    """Return the scene with a node that holds an order, or none."""
    return {**scene, node: replace(scene[node], held=held)}


FILES = SettingsFiles(loaded="2030-01-31T12:30:00.000000Z", faults=(), drift=(), pending=(), low=())
"""What is told of settings files in which nothing is wrong."""


def with_files(scene: Scene, files: SettingsFiles = FILES) -> Scene:
    """Return a scene in which every data node tells of its settings files."""
    for name, facts in scene.items():
        if facts.instance is not None:
            scene = with_instance(scene, name, files=files)
    return scene


def having_seen(scene: Scene, checkpoint: str = "") -> Scene:
    """Return a scene in which every node has seen the audit log at this checkpoint, or at the usual one."""
    return {name: replace(facts, checkpoint=checkpoint or CHECKPOINT) for name, facts in scene.items()}


def reports_of(scene: Scene, cluster: Cluster = CLUSTER, nonce: str = REQUEST) -> dict[str, Signed]:
    """Return the signed reports of a scene."""
    return {name: _reported(cluster.id, name, nonce, facts) for name, facts in scene.items()}


@lru_cache(maxsize=1 << 14)
def _reported(cluster: str, name: str, nonce: str, facts: Facts) -> Signed:
    """Return one report, signed once: the same key signs the same words by the same bytes."""
    return sign(Report(cluster=cluster, node=name, nonce=nonce, facts=facts), name, KEYS[name])


def snapshot_of(scene: Scene, cluster: Cluster = CLUSTER) -> Snapshot:
    """Return a scene as a snapshot."""
    missing = {member.name: "silent" for member in cluster.members if member.name not in scene}
    return Snapshot(cluster=cluster.id, nonce=REQUEST, reports=reports_of(scene, cluster), missing=missing)


def request_for(action: Action, target: str, arguments: dict[str, str]) -> Request:
    """Return a request."""
    return Request(
        id=REQUEST, action=action.name, target=target, arguments=arguments, operator="ada", reason="Grund: Prüfung"
    )


def view_for(request: Request, scene: Scene, cluster: Cluster = CLUSTER) -> View:
    """Return the view of a request in a scene."""
    snapshot = snapshot_of(scene, cluster)
    assert set(scene) <= {member.name for member in cluster.members}
    everyone = {
        member.name: _opened(cluster, member.name, snapshot.reports[member.name])
        for member in cluster.members
        if member.name in scene
    }
    return opened_view(cluster, catalogue()[request.action], request, everyone, snapshot)


@lru_cache(maxsize=1 << 14)
def _opened(cluster: Cluster, name: str, signed: Signed) -> Peer:
    """Return what a report says, verified once."""
    return open_report(cluster, name, signed, REQUEST)


def enrolling(cluster: Cluster) -> str:
    """Return the step that enrols zoe, as a request names it."""
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJqEFZzAFxcv4jDaoDp12bDhJA/WgA8Db59svCWbwbtR"
    change = Change(kind="enrol", name="zoe", before="", after=f"operator {key}")
    return step_text(step_of(cluster, change))


def possible(action: Action, cluster: Cluster = CLUSTER) -> Iterator[Request]:
    """Yield every well-formed request for an action that comes neither before nor after another one."""
    names = [member.name for member in cluster.members]
    needed = [each for each in action.arguments if not each.optional]
    values_of = [each.values(cluster) or _unlisted(each, cluster) for each in needed]
    for target in names:
        for values in itertools.product(*values_of):
            arguments = {argument.name: value for argument, value in zip(needed, values, strict=True)}
            request = request_for(action, target, arguments)
            try:
                check_request(cluster, action, request)
            except AeroError:
                continue
            yield request


def sequenced(action: Action, cluster: Cluster = CLUSTER) -> Iterator[Request]:
    """Yield every well-formed request for an action that comes after a demotion, or has a promotion come after it."""
    optional = {argument.name for argument in action.arguments if argument.optional}
    for request in possible(action, cluster):
        if THEN in optional:
            yield replace(request, arguments={**request.arguments, THEN: str(LATER)})
        for primary in cluster.data_nodes if AFTER in optional else ():
            after = Earlier(action="demote", target=primary, request=LATER.request)
            asked = replace(request, arguments={**request.arguments, AFTER: str(after)})
            if primary != request.target:
                yield asked


def _unlisted(argument: Argument, cluster: Cluster) -> tuple[str, ...]:
    """Return values of an argument that no configuration lists."""
    return MARKS if argument.kind == "log" else (enrolling(cluster),)


def argument_of(kind: KindName) -> Argument:
    """Return an argument of that kind."""
    choices = ("fast", "smart") if kind == "choice" else ()
    before = ("demote",) if kind == "earlier" else ()
    return Argument(
        name="how", option="--how", help="how it is done", word="by", kind=kind, choices=choices, choices_before=before
    )


def action_with(kind: KindName) -> Action:
    """Return an action of the catalogue that takes one argument of that kind besides."""
    return dataclasses.replace(catalogue()["checkpoint"], arguments=(argument_of(kind),))
