"""The page of boundaries: what is privileged and what is sensitive, read from the code that enforces it."""

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
    anybody: "everybody with a certificate of the cluster's authority",
}
"""Whom the guards of an agent's routes let through."""


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
    """Return the name of a kind of answer, with its module."""
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
        "What is privileged, and what is sensitive, as the code enforces it. What the parties can do with it, and "
        "which test tries: [security.md](security.md).",
        "## What is privileged",
        "What each role allows. Only the cluster's configuration gives a person a role. The API's resources, and "
        "the meaning of each right: [permissions.md](permissions.md).",
        f"```\n{matrix_text().rstrip()}\n```",
        "The role that each action demands of the person who asks for it and of the person who confirms it. A "
        "confirmation must also be signed, which the node itself checks.",
        table(("action", "authority", "what it does"), actions),
        "An agent's routes. A certificate of the cluster's authority lets its holder call these routes, and no "
        "more: an order is obeyed for its signature, its proof and its verdicts, whoever carries it.",
        table(("method", "path", "who may call"), routes),
        "## How much of a service each caller may use",
        "Each cell is the limit for all callers of a room together / for one caller. Rooms do not share. "
        f"Strangers, whose handshake is not complete, have {STRANGERS_MAX} connections of their own. If file "
        "descriptors are scarce, all limits of connections shrink in proportion.",
        table(("service", "room", "connections", "calls at once", "bytes of bodies"), list(_rooms())),
        "## What is sensitive",
        "Every field of every fact that leaves a node has a class; a field without a class cannot be shown. A "
        "person who may not read sensitive facts gets a mark in their place, and is told which were left out. No "
        "fact is secret, because secrets never leave an agent.",
        table(("fact", "public", "sensitive"), list(_classes())),
        f"Among the events of nodes, the texts of these kinds are sensitive: {kinds}; so is the address of a "
        "receiver's upstream.",
        "These parts of answers may hold sensitive facts. *Live* parts are made from nodes' reports, and shown to "
        "people who may see those; *recorded* parts come from the log, and are shown to people who may read it. "
        "Everyone else gets a mark, or a text made anew. A kind of answer that is in no table is shown only to "
        "people who may see everything.",
        table(("answer", "live", "recorded"), list(_answers())),
    )) + "\n"  # fmt: skip


def pages() -> dict[str, str]:
    """Return the page by its path."""
    return {"boundaries.md": page()}
