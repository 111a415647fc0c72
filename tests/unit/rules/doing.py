"""A node's hands in memory: what an operation does, step by step, to one node of a scene."""

from msgspec.structs import replace

from aerodb.actions import catalogue
from aerodb.protocol.authority import Grant, Pledge, Standing
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import Facts, State
from aerodb.protocol.lsn import Lsn
from aerodb.protocol.signed import Signed, sign
from aerodb.rules.explain import explain
from aerodb.rules.specification import Order
from tests.unit.rules.scenes import CLUSTER, KEYS, Scene, request_for, snapshot_of, view_for


class SceneHands:
    """The hands of one node of a scene. `done` names the steps that were taken; `after_checkpoint` changes facts."""

    def __init__(self, facts: Facts) -> None:
        """Begin with the node as it is."""
        self.facts = facts
        self.done: list[str] = []
        self.after_checkpoint: dict[str, object] = {}

    @property
    def attached(self) -> str | None:
        """Return whom the settings name."""
        return self.facts.instance.attached if self.facts.instance else None

    def _change(self, step: str, **changes: object) -> None:
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

    def sign(self, document: Pledge | Grant) -> Signed:
        """Sign as the node."""
        return sign(document, self.facts.node, KEYS[self.facts.node])

    def cross(self, request: str) -> None:
        """Note that the operation has come to the point from which its effect can happen."""
        del request
        self.done.append("cross")

    def detach(self) -> None:
        """Cut the receiver."""
        self._change("detach", attached=None, receiver=None)

    def attach(self, upstream: str) -> None:
        """Name the upstream."""
        self._change(f"attach {upstream}", attached=upstream)

    def checkpoint(self) -> None:
        """Run a checkpoint, during which things may change."""
        self._change("checkpoint", **self.after_checkpoint)

    def stop(self) -> None:
        """Shut down."""
        self._change("stop", state=State.STOPPED, receiver=None)

    def start(self) -> None:
        """Start in the standing's role."""
        self._change("start", state=State.RUNNING, recovery=self.facts.standing.role == "standby")

    def promote(self) -> None:
        """Leave recovery."""
        self._change("promote", recovery=False)

    def write_term(self, term: int, quorum: int) -> Lsn:
        """Write the term's row."""
        del quorum
        self._change(f"write term {term}")
        return Lsn(9000)

    def copy(self, upstream: str) -> None:
        """Copy."""
        self._change(f"copy {upstream}")

    def swap(self) -> None:
        """Swap."""
        self._change("swap")


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
