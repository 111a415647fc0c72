"""What is privileged and what is sensitive: the page of the boundaries, read from what enforces them."""

from collections.abc import Iterator

import msgspec

from aerodb.actions import catalogue
from aerodb.api.service import OPERATORS, READERS
from aerodb.control.answers import LIVE, RECORDED
from aerodb.control.roles import matrix_text
from aerodb.kernel.service import ROUTES, RouteGuard, anybody, control_only
from aerodb.protocol.classification import CLASSES, SENSITIVE_KINDS, Class
from aerodb.transport.metrics import scraper_only
from aerodb.transport.rooms import CONTROL, MONITORS, PEOPLE, STRANGERS_MAX, Room
from aerodb.transport.server import PAGES
from docs.generator.text import GENERATED, table

GUARDS: dict[RouteGuard, str] = {
    control_only: "the control plane alone",
    scraper_only: "a monitor, the control plane, an enrolled person",
    anybody: "whoever has a certificate of the cluster's authority",
}
"""What the guards of an agent's routes let through."""


def agent_routes() -> Iterator[tuple[str, str, str]]:
    """Yield the method, the path and who may call, of each of an agent's routes."""
    for route in ROUTES:
        yield ", ".join(route.methods), route.path, GUARDS[route.guard]


def _rooms() -> Iterator[tuple[str, ...]]:
    where = {"an agent": (CONTROL, MONITORS, PEOPLE), "the control plane": (OPERATORS, READERS, MONITORS),
             "the admin UI": (PAGES,)}  # fmt: skip
    for service_name, rooms in where.items():
        yield from (_room(service_name, room) for room in rooms)


def _room(service_name: str, room: Room) -> tuple[str, ...]:
    shares = (room.connections, room.calls, room.body_bytes)
    return service_name, room.name, *(f"{share.all:,} / {share.each:,}" for share in shares)


def _classes() -> Iterator[tuple[str, str, str]]:
    for kind, fields in sorted(CLASSES.items(), key=lambda pair: pair[0].__name__):
        by_class = {each: [name for name in kind.__struct_fields__ if fields[name] is each] for each in Class}
        yield kind.__name__, _names(by_class[Class.PUBLIC]), _names(by_class[Class.SENSITIVE])


def _names(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "-"


def _answers() -> Iterator[tuple[str, str, str]]:
    for kind in sorted({*LIVE, *RECORDED}, key=_named):
        live, recorded = (_names(named.get(kind, "").split()) for named in (LIVE, RECORDED))
        yield _named(kind), live, recorded


def _named(kind: type) -> str:
    """Return a kind of answer with its module: two of them are called Entry."""
    return f"{kind.__module__.rpartition('.')[2]}.{kind.__name__}"


def sensitive_fields() -> dict[type[msgspec.Struct], list[str]]:
    """Return the fields that are sensitive, by the kind of fact."""
    found = {
        kind: [name for name, each in fields.items() if each is Class.SENSITIVE] for kind, fields in CLASSES.items()
    }
    return {kind: names for kind, names in found.items() if names}


def page() -> str:
    """Return the page."""
    actions = [(f"`{each.name}`", str(each.authority), each.summary) for each in catalogue().values()]
    routes = [(method, f"`{path}`", who) for method, path, who in agent_routes()]
    kinds = ", ".join(f"`{kind}`" for kind in sorted(SENSITIVE_KINDS))
    return "\n\n".join((
        GENERATED,
        "# Boundaries",
        "What is privileged, and what is sensitive, as the code enforces it. What the parties can do with it, and which "
        "test tries: [security.md](security.md).",
        "## What is privileged",
        "A person's role, certified by nobody but the cluster's configuration; the API's resources, and each right's "
        "meaning: [permissions.md](permissions.md).",
        f"```\n{matrix_text().rstrip()}\n```",
        "What each action demands of who asks and of who confirms. Whoever may confirm must also sign, and the node checks "
        "that by itself.",
        table(("action", "authority", "what it does"), actions),
        "An agent's routes. A certificate of the cluster's authority opens the door of each service, and no more than this; "
        "an order is obeyed for its signature, its proof and its verdicts, and never for who carries it.",
        table(("method", "path", "who may call"), routes),
        "## What each may hold of a service",
        "All callers of a room together / one caller. What one room holds is never another's; strangers, whose handshake is "
        f"not complete, have {STRANGERS_MAX} connections beside. Where descriptors are scarce, connections are cut alike.",
        table(("service", "room", "connections", "calls at once", "bytes of bodies"), list(_rooms())),
        "## What is sensitive",
        "Every field of every fact that leaves a node has a class; one without cannot be shown. Who may not read sensitive "
        "facts gets a mark in their place, and is told which. Secret is what never leaves an agent: so no fact is.",
        table(("fact", "public", "sensitive"), list(_classes())),
        f"Of what nodes saw change, the texts of these kinds are sensitive: {kinds}; and of a receiver the address of its "
        "upstream.",
        "Parts of answers that may hold it. *Live* is what is made from nodes' reports, for who may see those; *recorded* is "
        "what the log holds, for who may read it. Everyone else gets a mark or a text made anew; a kind of answer that is in "
        "no table is shown to nobody from whom something is kept.",
        table(("answer", "live", "recorded"), list(_answers())),
    )) + "\n"  # fmt: skip


def pages() -> dict[str, str]:
    """Return the page by its path."""
    return {"boundaries.md": page()}
