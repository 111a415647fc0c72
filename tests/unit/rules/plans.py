"""A wide set of plans, by which a change of the rules is noticed: `python -m tests.unit.rules.plans` notes them.

- Every action is asked for in every way, in small clusters of each shape, in states that each differ by one change.
- What stands in a plan is not said here: only that it stays, for as long as the rules keep their version.
- The forms of the documents that plans are made from are noted too: what a new field could say would be other rules.
"""

import hashlib
import sys
from collections.abc import Iterator
from enum import Enum
from functools import cache
from itertools import product
from pathlib import Path
from types import UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

import msgspec
from msgspec.structs import replace

from aerodb.actions import action_named, catalogue
from aerodb.errors import AeroError
from aerodb.protocol import canonical
from aerodb.protocol.authority import Candidacy, Grant, Pledge
from aerodb.protocol.cluster import Cluster, LaterCluster
from aerodb.protocol.facts import Report
from aerodb.protocol.plan import LaterPlan, PlanOne, Request, Snapshot
from aerodb.protocol.signed import Signed
from aerodb.rules.explain import explain_unsafe, opened_view
from aerodb.rules.invariants import RULES
from aerodb.rules.specification import Action
from aerodb.rules.view import Peer, View, open_report
from tests.unit.protocol.structs import structs
from tests.unit.rules.people import peopled, steps
from tests.unit.rules.scenes import (
    CLUSTER,
    REQUEST,
    Scene,
    cluster_of,
    demoted,
    having_seen,
    healthy,
    pledged,
    possible,
    reports_of,
    request_for,
    scenes,
    sequenced,
    sized,
)
from tests.unit.rules.variations import variations

FILE = Path(__file__).with_name("plans.txt")
HEAD = (
    "# What the rules of each version make of the states in plans.py. Lines of a released version are never changed.\n"
)
VARIED = {"healthy", "demoted", "switched"}
"""The scenes that are varied node by node; the others stand as they are."""
ON_OTHERS = {"promote", "renew", "start"}
"""The actions that are asked for of every node, whichever of them a variation is about."""
JUDGED_IN = {"demote": (2,), "fence": (2,), "promote": (1, 2), "renew": (1, 2)}
"""In which terms, of an earlier plan, a node may come to judge again what has changed since."""
_EVERYONE = sized(9, 1, witness=True)


class Made(NamedTuple):
    """One plan: its action and state, what it was made from, and its text, or the code of why there is none.

    `again` are the verdicts that a node comes to, where the state is another than the one that the plan was made from.
    """

    action: str
    state: str
    cluster: Cluster
    request: Request
    snapshot: Snapshot
    text: str
    again: tuple[str, ...]


@cache
def _opened(name: str, signed: Signed) -> Peer:
    """Return what a report says, verified once: a node has the same key in every cluster here."""
    return open_report(_EVERYONE, name, signed, REQUEST)


def _snapshot(scene: Scene, cluster: Cluster) -> Snapshot:
    reports = reports_of(scene, cluster)
    missing = {member.name: "transport.silent: no" for member in cluster.members if member.name not in scene}
    return Snapshot(cluster=cluster.id, nonce=REQUEST, reports=reports, missing=missing)


def _elected(cluster: Cluster) -> Scene:
    """Return n2 fenced for itself with n3, while n1 is silent: an election after an outage."""
    scene = {name: facts for name, facts in healthy(cluster).items() if name != "n1"}
    for name in scene:
        scene = pledged(scene, name, Candidacy(term=2, node="n2"), cluster)
    return scene


def states() -> Iterator[tuple[str, Cluster, Scene, str]]:
    """Yield every state, by a name of its own, with its cluster, and the node that was changed, if one was."""
    for name, scene in scenes().items():
        yield name, CLUSTER, scene, ""
        for what, node, changed in variations(scene) if name in VARIED else ():
            yield f"{name}, {node} {what}", CLUSTER, changed, node
    shapes = {
        "with a witness": cluster_of(witness=True), "k=0": cluster_of(quorum=0), "k=2": cluster_of(quorum=2),
        "five": sized(5, 2), "two": sized(2, 1), "four and a witness": sized(4, 1, witness=True),
    }  # fmt: skip
    for shape, cluster in shapes.items():
        for name, made in {
            "healthy": healthy(cluster),
            "demoted": demoted(cluster),
            "elected": _elected(cluster),
        }.items():
            yield f"{shape}, {name}", cluster, having_seen(made), ""
    witnessed = cluster_of(witness=True)
    for what, node, changed in variations(having_seen(demoted(witnessed))):
        yield f"with a witness, demoted, {node} {what}", witnessed, changed, node
    for what, node, changed in variations(having_seen(_elected(CLUSTER))):
        yield f"elected, {node} {what}", CLUSTER, changed, node
    for name, cluster, scene in peopled():
        yield name, cluster, scene, ""


@cache
def _possible(action: str, cluster: Cluster) -> tuple[Request, ...]:
    return (*possible(action_named(action), cluster), *sequenced(action_named(action), cluster))


def _asked(action: Action, cluster: Cluster, state: str, changed: str) -> Iterator[Request]:
    """Yield the requests for an action that a state is worth: where one node was `changed`, those that are about it."""
    for request in _possible(action.name, cluster):
        about = changed in (request.target, *request.arguments.values())
        told = action.every_arguments(cluster) is not None or "log" in state or not changed
        if told and (about or not changed or action.name in ON_OTHERS):
            yield request
    if action.name == "configure" and cluster.version > 1:
        for step, member in product(steps(cluster), cluster.members):
            yield request_for(action, member.name, {"change": step})


def plans(*only: str, every: int = 1) -> Iterator[Made]:
    """Yield all plans, or those of some actions, or `every` so manieth of them."""
    at = 0
    for state, cluster, scene, changed in states():
        snapshot = _snapshot(scene, cluster)
        everyone = {name: _opened(name, signed) for name, signed in snapshot.reports.items()}
        for action in (action_named(name) for name in only or catalogue()):
            for request in _asked(action, cluster, state, changed):
                at += 1
                if at % every:
                    continue
                try:
                    text = canonical.encode(explain_unsafe(cluster, action, request, snapshot, everyone)).decode()
                    again = tuple(_judged(opened_view(cluster, action, request, everyone, snapshot), action))
                except AeroError as error:
                    text, again = error.code, ()
                yield Made(action.name, state, cluster, request, snapshot, text, again)


def _judged(view: View, action: Action) -> Iterator[str]:
    """Yield the verdicts of a node that judges again, in the terms that an earlier plan may have named."""
    for term in JUDGED_IN.get(action.name, ()):
        if term != view.term:
            yield canonical.encode(action.judge(replace(view, term=term))).decode()


def forms() -> str:
    """Return the digest of the forms of all documents that plans are made from, and of plans."""
    kinds: set[type[msgspec.Struct]] = set()
    for kind in (LaterCluster, Grant, LaterPlan, Pledge, PlanOne, Report, Request, Snapshot):
        kinds = structs(kind, kinds)
    listed = sorted(
        f"{kind.__name__}.{field.name}: {_named(field.type)} = {field.default!r}"
        for kind in kinds
        for field in msgspec.structs.fields(kind)
    )
    return f"sha256:{hashlib.sha256(chr(10).join(listed).encode()).hexdigest()}"


def _named(kind: Any) -> str:
    """Return a type's name, the same under every version of Python."""
    inside = get_args(kind)
    if get_origin(kind) is Literal:
        return f"one of {inside}"
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(sorted(map(_named, inside)))
    if inside:
        return f"{get_origin(kind).__name__} of {', '.join(map(_named, inside))}"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return f"{kind.__name__} {[str(each.value) for each in kind]}"
    return str(getattr(kind, "__name__", kind))


def lines(*only: str) -> list[str]:
    """Return what the rules of now make: the forms, and for each action (or `only` these) how many plans and which."""
    actions = only or tuple(catalogue())
    marks, counts = {name: hashlib.sha256() for name in actions}, {name: [0, 0] for name in actions}
    for made in plans(*actions):
        marks[made.action].update("\n".join((made.text, *made.again, "")).encode())
        counts[made.action][0] += 1
        counts[made.action][1] += '"accepted":true' in made.text
    return [f"{RULES} forms {forms()}"] + [
        f"{RULES} {name} {counts[name][0]} plans, {counts[name][1]} accepted, sha256:{marks[name].hexdigest()}"
        for name in marks
    ]


def noted(rules: str, file: Path = FILE) -> list[str]:
    """Return the lines that were noted of a version of the rules."""
    return [line for line in file.read_text(encoding="utf-8").splitlines() if line.startswith(f"{rules} ")]


def main() -> None:
    """Note what the rules of now make, as those of their version; the lines of other versions stay."""
    others = [line for line in FILE.read_text(encoding="utf-8").splitlines() if not line.startswith((f"{RULES} ", "#"))]
    FILE.write_text(HEAD + "\n".join([*others, *lines()]) + "\n", encoding="utf-8")
    sys.stdout.write(f"{FILE} written\n")


if __name__ == "__main__":
    main()
