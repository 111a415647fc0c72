"""States in which people have changed: versions of the configuration that nodes have taken, or not yet.

What is read of them in a plan: who must sign second and could, who is behind, what a change would make.
"""

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from aerodb.errors import AeroError
from aerodb.protocol.chain import changed, step_of
from aerodb.protocol.change import ASKED, NOT_ASKED, Change, step_text
from aerodb.protocol.classes import ActionClass
from aerodb.protocol.cluster import Cluster
from tests.unit.protocol.authenticator import ORIGIN, SoftAuthenticator, enrolling, revoking
from tests.unit.protocol.test_chain import enrol, founding, key_of, revoke
from tests.unit.rules.scenes import Scene, demoted, having_seen, healthy, switched

FOUNDING = replace(founding(), web="localhost:7407", web_origin=ORIGIN)
KEY = SoftAuthenticator()


def asking(kind: str, *, asked: bool = True) -> Change:
    """Return the change that asks for a second person for a class of actions, or for none any more."""
    before, after = (NOT_ASKED, ASKED) if asked else (ASKED, NOT_ASKED)
    return Change(kind="second-person", name=kind, before=before, after=after)


CHANGES = (
    enrol("xara"),
    enrol("yan", "auditor"),
    revoke("bob"),
    Change(kind="re-key", name="bob", before=key_of("bob"), after=key_of("bob, later")),
    Change(kind="re-role", name="bob", before="operator", after="observer"),
    enrolling(KEY, "bob"),
    revoking(KEY, "bob"),
    *(asking(kind, asked=asked) for kind in ActionClass for asked in (True, False)),
)
"""Changes of every kind; which of them can be made depends on the version before."""


def versions(*made: Change, first: Cluster = FOUNDING) -> tuple[Cluster, ...]:
    """Return a chain: the founding document, and what each change makes of the version before."""
    path = [first]
    for change in made:
        path.append(changed(path[-1], change))
    return tuple(path)


def having_taken(scene: Scene, **paths: tuple[Cluster, ...]) -> Scene:
    """Return a scene in which nodes have taken chains of versions."""
    for name, path in paths.items():
        digests = tuple(each.digest for each in path) if len(path) > 1 else ()
        scene = {**scene, name: replace(scene[name], configuration=path[-1].digest, versions=digests)}
    return scene


def everywhere(scene: Scene, path: tuple[Cluster, ...]) -> Scene:
    """Return a scene in which every node has taken a chain."""
    return having_taken(scene, **dict.fromkeys(scene, path))


CHAINS = {
    "running takes two": versions(asking("running")),
    "authority takes two": versions(enrol("xara"), asking("authority")),
    "all takes two": versions(enrol("xara"), *map(asking, ActionClass)),
    "one could be second": versions(enrol("xara"), asking("data"), revoke("xara")),
    "bob has an authenticator": versions(enrolling(KEY, "bob")),
    "bob is revoked": versions(revoke("bob")),
}


def peopled() -> Iterator[tuple[str, Cluster, Scene]]:
    """Yield states by a name of their own, each with the version that plans are made under in it."""
    for name, path in CHAINS.items():
        newest = path[-1]
        for state, made in (("healthy", healthy), ("demoted", demoted), ("switched", switched)):
            yield f"{name}, {state}", newest, having_seen(everywhere(made(newest), path))
        behind = having_taken(everywhere(healthy(newest), path), n2=path[:-1])
        yield f"{name}, n2 is behind", newest, having_seen(behind)
        yield f"{name}, n2 is behind and judges", path[-2], having_seen(behind)
        ahead = having_taken(everywhere(healthy(newest), path[:-1]), n1=path)
        yield f"{name}, n1 is ahead", path[-2], having_seen(ahead)
        fork = (*path[:-1], changed(path[-2], enrol("mallory")))
        yield (
            f"{name}, n3 has taken another",
            newest,
            having_seen(having_taken(everywhere(healthy(newest), path), n3=fork)),
        )


def steps(before: Cluster, changes: Iterable[Change] = CHANGES) -> Iterator[str]:
    """Yield the steps that can be made of a version, as a request names them."""
    for change in changes:
        try:
            yield step_text(step_of(before, change))
        except AeroError:
            continue
