"""The admin UI as one table: method, path, and what answers. The navigation stands beside it."""

from collections.abc import Callable
from dataclasses import dataclass

from aerodb.web.pages import (
    catalogue,
    cluster,
    configuration,
    confirming,
    history,
    log,
    nodes,
    procedure,
    requests,
    roles,
)
from aerodb.web.visit import PageAnswer, Visit


@dataclass(frozen=True, kw_only=True)
class SitePage:
    """One row of the table; what is `for_scripts` is no page, but a document that a script of this site reads."""

    method: str
    path: str
    answer: Callable[[Visit], PageAnswer]
    for_scripts: bool = False


@dataclass(frozen=True, kw_only=True)
class Section:
    """One entry of the navigation; `key` is its shortcut's second letter, after g."""

    path: str
    title: str
    key: str


def _get(path: str, answer: Callable[[Visit], PageAnswer]) -> SitePage:
    return SitePage(method="GET", path=path, answer=answer)


def _read(path: str, answer: Callable[[Visit], PageAnswer]) -> SitePage:
    return SitePage(method="GET", path=path, answer=answer, for_scripts=True)


def _post(path: str, answer: Callable[[Visit], PageAnswer]) -> SitePage:
    return SitePage(method="POST", path=path, answer=answer)


WRITES = "/writes"
"""What the line on top of pages asks for. It waits for every node, so it takes no place of those who ask for a page."""

PAGES = (
    _get("/", cluster.cluster),
    _post("/", cluster.sensitive),
    _get("/now", cluster.now),
    _read(WRITES, cluster.writes_now),
    _get("/nodes/{node}", nodes.node),
    _get("/requests", requests.listing),
    _get("/requests/new", requests.new),
    _post("/requests", requests.ask),
    _get("/requests/{request}", requests.one),
    _read("/requests/{request}/progress", requests.progress),
    _post("/requests/{request}/outcome", requests.ask_outcome),
    _post("/requests/{request}/confirmation", confirming.confirm),
    _post("/requests/{request}/decline", confirming.decline),
    _get("/decisions/{request}", log.decision),
    _post("/decisions/{request}/evidence", log.evidence),
    _get("/procedures", procedure.choice),
    _get("/procedures/{procedure}", procedure.laid),
    _get("/timeline", history.timeline),
    _get("/as-of/{digest}", history.as_of),
    _get("/audit", log.audit),
    _post("/audit/export", log.exported),
    _get("/audit/{sequence}", log.record),
    _get("/configuration", configuration.configuration),
    _get("/configuration/change", configuration.new),
    _post("/configuration/change", configuration.ask),
    _get("/authenticators", confirming.authenticators),
    _post("/authenticators", confirming.register),
    _post("/authenticators/registration", confirming.begin),
    _get("/roles", roles.roles),
    _get("/actions", catalogue.catalogue),
    _get("/actions/{action}", catalogue.action),
    _get("/invariants/{invariant}", catalogue.invariant),
    _get("/keyboard", roles.keyboard),
)

NAVIGATION = (
    Section(path="/", title="Cluster", key="c"),
    Section(path="/now", title="Accepted now", key="n"),
    Section(path="/requests", title="Requests", key="r"),
    Section(path="/procedures", title="Procedures", key="w"),
    Section(path="/timeline", title="Timeline", key="t"),
    Section(path="/audit", title="Audit", key="a"),
    Section(path="/configuration", title="Configuration", key="p"),
    Section(path="/authenticators", title="Authenticators", key="k"),
    Section(path="/roles", title="Roles", key="o"),
    Section(path="/actions", title="Actions", key="d"),
)
