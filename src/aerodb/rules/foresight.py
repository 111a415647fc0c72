"""Foretells writes after an action: the facts that it would leave, judged by the same rule as the facts of now.

- Foreseen is only what the action itself does to the state that the plan was made from. A standby that is attached to
  a node is foreseen to stream from it if both run.
- The same snapshot and request give the same sentences, because they are part of a plan's bytes.

Pure: no I/O, no clock.
"""

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from aerodb.protocol.ahead import THEN
from aerodb.protocol.authority import Candidacy
from aerodb.protocol.facts import Facts, Receiver, Sender, State
from aerodb.rules.streaming import unproven
from aerodb.rules.view import View
from aerodb.rules.writes import STREAMING, SYNCHRONOUS, writes

Scene = Mapping[str, Facts]
AT_ONCE = "at once, by the order that it holds"
"""How a plan says that the successor's promotion, which is signed already, follows."""
MEANWHILE = "Writes meanwhile"
"""How the sentence begins that says how writes are during an execution."""


def _scene(view: View) -> Scene:
    return {name: peer.facts for name, peer in view.everyone().items()}


def _now(view: View) -> str:
    return writes(view.cluster, _scene(view)).headline


def _then(view: View, scene: Scene) -> str:
    return writes(view.cluster, scene).headline


def _sentences(view: View, after: str, during: str = "") -> tuple[str, ...]:
    """Return what a plan says of the writes: now, during execution if `during` is given, and afterwards."""
    before = _now(view)
    if not during and after == before:
        return (f"Writes now and afterwards: {before}.",)
    middle = (f"{MEANWHILE}: {during}.",) if during else ()
    return (f"Writes now: {before}.", *middle, f"Writes afterwards: {after}.")


# What becomes of one node ---------------------------------------------------------------------------------------------


def _instance(scene: Scene, node: str, **changes: object) -> Scene:
    facts = scene.get(node)
    if facts is None or facts.instance is None:
        return scene
    return {**scene, node: replace(facts, instance=replace(facts.instance, **changes))}


def _standing(scene: Scene, node: str, **changes: object) -> Scene:
    facts = scene.get(node)
    return scene if facts is None else {**scene, node: replace(facts, standing=replace(facts.standing, **changes))}


def _cut(scene: Scene, node: str) -> Scene:
    """Return the scene after the node has stopped receiving."""
    for name, facts in scene.items():
        senders = facts.instance.senders if facts.instance else ()
        if any(each.node == node for each in senders):
            scene = _instance(scene, name, senders=tuple(each for each in senders if each.node != node))
    return _instance(scene, node, receiver=None, attached=None)


def _down(scene: Scene, node: str) -> Scene:
    """Return the scene in which the node's PostgreSQL is stopped: it receives nothing, and sends nothing."""
    scene = _cut(scene, node)
    for name, facts in scene.items():
        if facts.instance is not None and facts.instance.attached == node:
            scene = _instance(scene, name, receiver=None)
    return _instance(scene, node, state=State.STOPPED, senders=())


def _streams(scene: Scene, node: str, upstream: str) -> Scene:
    """Return the scene in which the node runs as a standby of `upstream`, and streams from it if that runs."""
    scene = _standing(_cut(scene, node), node, role="standby", upstream=upstream)
    scene = _instance(scene, node, attached=upstream, state=State.RUNNING, recovery=True)
    above, own = scene.get(upstream), scene.get(node)
    if own is None or above is None or above.instance is None or above.instance.state is not State.RUNNING:
        return scene
    sync = "async" if above.instance.recovery else "quorum"
    sender = Sender(node=node, state=STREAMING, sync_state=sync, sent=None, flushed=None, replayed=None)
    scene = _instance(scene, upstream, senders=(*above.instance.senders, sender))
    receiver = Receiver(status=STREAMING, upstream="", flushed=None)
    return _instance(scene, node, receiver=receiver, lineage=above.instance.lineage, position=above.instance.position)


def _primary(view: View, scene: Scene, node: str) -> Scene:
    """Return the scene in which the node is the primary of the view's term, and all that stream from it count."""
    granted = Candidacy(term=view.term, node=node)
    scene = _standing(_cut(scene, node), node, role="primary", granted=granted, pledged=granted)
    facts = scene.get(node)
    senders = tuple(
        replace(each, sync_state=each.sync_state if each.sync_state in SYNCHRONOUS else "quorum")
        for each in (facts.instance.senders if facts and facts.instance else ())
    )
    return _instance(scene, node, recovery=False, senders=senders, quorum=view.cluster.quorum)


# What each action leaves ----------------------------------------------------------------------------------------------


def scene_left(view: View) -> Scene:
    """Return the scene that the request leaves once it is executed; of an action that changes nothing here, the same.

    Foreseen of a standby is only whether it streams: how far its WAL then reaches, and what it has promised, is not.
    """
    left = _LEFT.get(view.request.action)
    return _scene(view) if left is None else left(view)


def _attached(view: View) -> Scene:
    return _streams(_scene(view), view.node, view.argument("upstream"))


def now_said(view: View) -> str:
    """Say what is acknowledged now."""
    return f"Writes now: {_now(view)}."


def unchanged(view: View) -> tuple[str, ...]:
    """Say what is acknowledged now, for an action that does not change it."""
    return _sentences(view, _now(view))


def promoted(view: View) -> tuple[str, ...]:
    """Say what is acknowledged once the target is the primary, with the standbys that already stream from it."""
    return _sentences(view, _then(view, scene_left(view)))


def demoted(view: View) -> tuple[str, ...]:
    """Say that nothing is acknowledged once the target is down, and what is once its successor is promoted."""
    successor, scene, then = view.argument("for"), scene_left(view), view.request.arguments.get(THEN)
    after, at_once = _then(view, _primary(view, scene, successor)), f", {AT_ONCE}" if then is not None else ""
    said = f"none until {successor} is promoted{at_once}" + (f"; then {after}" if successor in scene else "")
    if then is None:
        return _sentences(view, said)
    later = then.partition(":")[0]
    return (
        *_sentences(view, said),
        f"Writes stay stopped where no outcome of that comes: aerodb outcome {later} says what {successor} did; where "
        f"it cannot be asked, fence {successor}, which drops the order, before anything else.",
    )


def stopped(view: View) -> tuple[str, ...]:
    """Say what is acknowledged without the target."""
    return _sentences(view, _then(view, scene_left(view)))


def fenced(view: View) -> tuple[str, ...]:
    """Say what is acknowledged once the target acknowledges nothing."""
    return _sentences(view, _then(view, scene_left(view)))


def followed(view: View) -> tuple[str, ...]:
    """Say what is acknowledged once the target streams from its upstream."""
    return _sentences(view, _then(view, scene_left(view)))


def recloned(view: View) -> tuple[str, ...]:
    """Say what is acknowledged during the copy, and once the target streams from its upstream."""
    during = _then(view, _cut(_scene(view), view.node))
    after = _then(view, scene_left(view))
    return _sentences(view, after, during if during != after else "")


def started(view: View) -> tuple[str, ...]:
    """Say what is acknowledged once the target runs in its standing's role, and those attached to it stream."""
    return _sentences(view, _then(view, scene_left(view)))


def restarted(view: View) -> tuple[str, ...]:
    """Say what is acknowledged while the target is down, and once it runs again in its standing's role."""
    during, after = _then(view, _down(_scene(view), view.node)), _then(view, scene_left(view))
    return _sentences(view, after, during if during != after else "")


def _running(view: View) -> Scene:
    """Return the scene in which the target runs in its standing's role."""
    scene, standing = _scene(view), view.own.facts.standing
    if standing.role == "standby":
        streams = standing.upstream is not None and not unproven(view, standing.upstream)
        return _streams(scene, view.node, standing.upstream or "") if streams else scene
    scene = _instance(scene, view.node, state=State.RUNNING, recovery=False, senders=(), quorum=view.cluster.quorum)
    for name, facts in _scene(view).items():
        own = facts.instance
        if own is not None and own.attached == view.node and own.state is State.RUNNING and own.recovery:
            scene = _streams(scene, name, view.node)
    return scene


_LEFT: dict[str, Callable[[View], Scene]] = {
    "demote": lambda view: _down(_scene(view), view.node),
    "fence": lambda view: _cut(_scene(view), view.node),
    "follow": _attached,
    "promote": lambda view: _primary(view, _scene(view), view.node),
    "reclone": _attached,
    "restart": _running,
    "start": _running,
    "stop": lambda view: _down(_scene(view), view.node),
}
