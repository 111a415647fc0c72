"""A node's hands in memory: what an operation does, step by step, to one node of a scene."""

from msgspec.structs import replace

from aerodb.actions import catalogue
from aerodb.protocol import canonical
from aerodb.protocol.authority import Branch, Grant, Pledge, Standing
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import Facts, Instance, Receiver, Sender, SettingsFiles, State
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.signed import Signed, sign
from aerodb.rules.explain import explain
from aerodb.rules.operation import carry_out
from aerodb.rules.position import reaches_owed
from aerodb.rules.specification import Order
from aerodb.rules.versions import taken
from aerodb.rules.ways import Step
from tests.unit.rules.scenes import CLUSTER, KEYS, Scene, request_for, snapshot_of, view_for

LATER = "2030-01-31T12:30:01.000000Z"
"""When PostgreSQL has read its settings files again."""


class _Subject:
    """The hands on one subject; the node is the hands' own."""

    def __init__(self, hands: "SceneHands") -> None:
        """Keep whose they are."""
        self._hands = hands


class SceneProcess(_Subject):
    """PostgreSQL's process, in memory."""

    def checkpoint(self) -> None:
        """Run a checkpoint, during which things may change."""
        self._hands.change("checkpoint", **self._hands.after_checkpoint)

    def stop(self) -> None:
        """Shut down."""
        self._hands.change("stop", state=State.STOPPED, receiver=None)

    def start(self) -> None:
        """Start in the standing's role."""
        self._hands.change("start", state=State.RUNNING, recovery=self._hands.facts.standing.role == "standby")


class SceneReplication(_Subject):
    """Replication, in memory."""

    def detach(self) -> None:
        """Cut the receiver."""
        self._hands.change("detach", attached=None, receiver=None)

    def attach(self, upstream: str) -> None:
        """Name the upstream."""
        self._hands.change(f"attach {upstream}", attached=upstream)

    def promote(self) -> None:
        """Leave recovery."""
        instance = self._hands.facts.instance
        assert instance is not None
        assert instance.position is not None
        last, position = instance.lineage[-1], instance.position
        branch = Branch(timeline=last.timeline + 1, begin=position.lsn, term=None)
        after = replace(position, timeline=branch.timeline, term=None, bound=None)
        self._hands.change("promote", recovery=False, lineage=(*instance.lineage, branch), position=after)

    def write_term(self, term: int, quorum: int, epoch: int) -> Lsn:
        """Write the term's row, in the epoch of the version that the node has taken."""
        assert epoch == self._hands.facts.epoch
        instance = self._hands.facts.instance
        assert instance is not None
        assert instance.position is not None
        end = Lsn(instance.position.lsn.value + 100)
        position = replace(instance.position, term=term, bound=term, lsn=end)
        lineage = (*instance.lineage[:-1], replace(instance.lineage[-1], term=instance.lineage[-1].term or term))
        self._hands.change(f"write term {term}", quorum=quorum, position=position, lineage=lineage)
        return end


class SceneData(_Subject):
    """The data folders, in memory."""

    def fits(self, upstream: str) -> None:
        """Have room."""

    def copy(self, upstream: str) -> Lsn:
        """Copy."""
        self._hands.change(f"copy {upstream}")
        return Lsn(9000)

    def swap(self) -> None:
        """Swap."""
        self._hands.change("swap")


class SceneSettings(_Subject):
    """The settings, in memory."""

    def reload(self) -> None:
        """Read the settings files again."""
        files = self._hands.facts.instance.files if self._hands.facts.instance else None
        assert isinstance(files, SettingsFiles)
        self._hands.change("reload", files=replace(files, loaded=LATER))

    def quorum(self) -> int:
        """Return k."""
        return 1


class SceneHands:
    """The hands of one node of a scene. `done` names the steps that were taken; `after_checkpoint` changes facts."""

    def __init__(self, facts: Facts) -> None:
        """Begin with the node as it is."""
        self.facts = facts
        self.done: list[str] = []
        self.after_checkpoint: dict[str, object] = {}
        self.process, self.replication = SceneProcess(self), SceneReplication(self)
        self.data, self.settings = SceneData(self), SceneSettings(self)

    @property
    def attached(self) -> str | None:
        """Return whom the settings name."""
        return self.facts.instance.attached if self.facts.instance else None

    def change(self, step: str, **changes: object) -> None:
        """Note that a step was taken, and what of PostgreSQL it changed."""
        self.done.append(step)
        if self.facts.instance is not None:
            self.facts = replace(self.facts, instance=replace(self.facts.instance, **changes))

    def look(self) -> Facts:
        """Return the facts."""
        return self.facts

    def standing(self) -> Standing:
        """Return the standing."""
        return self.facts.standing

    def write_standing(self, standing: Standing) -> None:
        """Write the standing."""
        self.done.append("write standing")
        self.facts = replace(self.facts, standing=standing)

    def sign(self, document: Pledge | Grant, rules: str) -> Signed:
        """Sign as the node; the rules here are always this build's."""
        del rules
        return sign(document, self.facts.node, KEYS[self.facts.node])

    def cross(self, request: str) -> None:
        """Note that the operation has come to the point from which its effect can happen."""
        del request
        self.done.append("cross")

    def accept_log(self, request: str) -> int:
        """Give up what was seen of the log."""
        self.done.append("accept log")
        self.facts = replace(self.facts, gave_up=(*self.facts.gave_up, request))
        return 0

    def take_version(self, document: str) -> None:
        """Take the next version of the configuration."""
        self.done.append("take version")
        path = taken(self.facts)
        digest = canonical.digest(document.encode())
        self.facts = replace(self.facts, configuration=digest, versions=(*path, digest))


def streamed(scene: Scene) -> Scene:
    """Return the scene once every standby that may receive has received all that its upstream has."""
    for _ in scene:  # As often as a cascade may be long.
        scene = {name: _received(scene, facts) for name, facts in scene.items()}
    return {name: _with_senders(scene, facts) for name, facts in scene.items()}


def _upstream(scene: Scene, facts: Facts) -> Instance | None:
    instance = facts.instance
    if instance is None or instance.state is not State.RUNNING or not instance.recovery or instance.attached is None:
        return None
    above = scene.get(instance.attached)
    running = above is not None and above.instance is not None and above.instance.state is State.RUNNING
    return above.instance if above is not None and running else None


def _received(scene: Scene, facts: Facts) -> Facts:
    above, instance = _upstream(scene, facts), facts.instance
    if instance is None:
        return facts
    if above is None or above.position is None:
        return replace(facts, instance=replace(instance, receiver=None))
    receiver = Receiver(status="streaming", upstream="", flushed=above.position.lsn)
    position, owed = above.position, instance.position.owed if instance.position else None
    position = replace(position, owed=None if owed is None or reaches_owed(position, owed) else owed)
    moved = replace(instance, receiver=receiver, position=position, lineage=above.lineage, quorum=above.quorum)
    return replace(facts, instance=moved)


def _with_senders(scene: Scene, facts: Facts) -> Facts:
    if facts.instance is None:
        return facts
    names = [name for name, each in scene.items() if each.instance and each.instance.receiver is not None]
    mine = [name for name in names if _upstream(scene, scene[name]) is facts.instance]
    end = facts.instance.position.lsn if facts.instance.position else None
    senders = tuple(
        Sender(node=name, state="streaming", sync_state="quorum", sent=end, flushed=end, replayed=end) for name in mine
    )
    return replace(facts, instance=replace(facts.instance, senders=senders))


def walk(scene: Scene, cluster: Cluster, step: Step) -> Scene:
    """Return the scene after a request that must be accepted: judged, and carried out, by the real rules."""
    option = {"follow": {"upstream": step.other}, "fence": {"for_": step.other}, "demote": {"for_": step.other}}
    order = order_in(scene, step.action, step.target, cluster, **option.get(step.action, {}))
    hands = hands_in(scene, step.target)
    carry_out(catalogue()[step.action], hands, order)
    return streamed({**scene, step.target: hands.facts})


def hands_in(scene: Scene, node: str) -> SceneHands:
    """Return the hands of a node of the scene."""
    return SceneHands(scene[node])


def order_in(scene: Scene, action: str, target: str, cluster: Cluster = CLUSTER, **arguments: str) -> Order:
    """Return the order of an accepted request, as the node would work from it."""
    chosen = catalogue()[action]
    request = request_for(chosen, target, {name.rstrip("_"): value for name, value in arguments.items()})
    plan = explain(cluster, chosen, request, snapshot_of(scene, cluster))
    assert plan.accepted, plan.verdicts
    return Order(plan=plan, view=view_for(request, scene, cluster), judge=chosen.judge)
