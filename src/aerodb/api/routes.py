"""The HTTP API, as one table: method, path, what it takes and gives, and what answers it.

The OpenAPI document and the routes come from the same table; the actions in it come from the catalogue.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aerodb.actions import catalogue
from aerodb.audit.evidence import Evidence
from aerodb.audit.search import PAGE_RECORDS_MAX, Query, required_instant
from aerodb.control.access import Access
from aerodb.control.errors import KeyMissing
from aerodb.control.roles import Right
from aerodb.protocol import canonical
from aerodb.protocol.api import (
    Ask,
    AsOf,
    Catalogue,
    CatalogueEntry,
    Compared,
    Confirm,
    Decision,
    Done,
    Found,
    GapFound,
    Planned,
    ProvenEntry,
    Records,
    Replayed,
    RequestLine,
    Requests,
    SessionLine,
    Shown,
    SignedIn,
    Status,
    Ticket,
    WhoAmI,
)
from aerodb.protocol.base64text import URLSAFE, from_base64
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.credentials import Authenticator, AuthenticatorList, CreationOptions, Register
from aerodb.protocol.envelope import Configurations
from aerodb.protocol.procedure import Procedure
from aerodb.protocol.timeline import Timeline
from aerodb.rules.procedures import KINDS
from aerodb.transport.errors import QueryMalformed

RECORDS_MAX = 1_000
PAGE_RECORDS = 100
QUERY = Query.__struct_fields__
TIMELINE_RECORDS = 300
"""How many of the newest records, and of each node's newest events, a timeline shows unless more are asked for."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of one person: the path's and the query's values, the headers, the body."""

    access: Access
    path: dict[str, str]
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


def _ask(call: Call) -> Planned:
    key = call.headers.get("idempotency-key")
    if key is None:
        raise KeyMissing("the Idempotency-Key header is the request's id, a UUID", field="Idempotency-Key")
    return call.access.ask(key, canonical.decode(call.body, Ask))


def _confirm(call: Call) -> Done:
    confirmation = canonical.decode(call.body, Confirm)
    return call.access.confirm(call.path["request"], confirmation.signature)


def _sign_first(call: Call) -> RequestLine:
    return call.access.sign_first(call.path["request"], canonical.decode(call.body, Confirm).signature)


def _decline(call: Call) -> RequestLine:
    return call.access.decline(call.path["request"])


def _outcome(call: Call) -> Done:
    return call.access.outcome(call.path["request"])


def _explain(call: Call) -> Planned:
    values = dict(call.query)
    for name in ("action", "target"):
        if name not in values:
            raise QueryMalformed(f"the query names no {name}", field=name)
    ask = Ask(action=values.pop("action"), target=values.pop("target"), reason="look", arguments=values)
    return call.access.look(ask)


def _procedure(call: Call) -> Procedure:
    nodes = dict(call.query)
    return call.access.procedure(call.path["procedure"], nodes, nodes.pop("reason", ""))


def _ticket(call: Call) -> Ticket:
    return call.access.ticket()


def _signed_in(call: Call) -> SignedIn:
    return call.access.sessions()


def _end_session(call: Call) -> SessionLine:
    return call.access.end_session(call.path["session"])


def _status(call: Call) -> Status:
    return call.access.status(sensitive=_sensitive(call))


def _sensitive(call: Call) -> bool:
    """Tell whether sensitive facts are asked for outright."""
    text = call.query.get("sensitive", "0")
    if text not in {"0", "1"}:
        raise QueryMalformed("sensitive is 0 or 1", field="sensitive")
    return text == "1"


def _cluster(call: Call) -> Cluster:
    call.access.require(Right.LOOK)
    return call.access.cluster


def _configurations(call: Call) -> Configurations:
    return call.access.configurations()


def _whoami(call: Call) -> WhoAmI:
    return WhoAmI(operator=call.access.person.name, role=call.access.person.role)


def _catalogue(call: Call) -> Catalogue:
    call.access.require(Right.LOOK)
    return Catalogue(
        actions=tuple(
            CatalogueEntry(
                name=action.name,
                summary=action.summary,
                target=action.target,
                arguments={argument.name: argument.help for argument in action.arguments},
                authority=action.authority,
                invariants=action.invariants,
                effects=action.effects,
                irreversible=action.irreversible,
                commit_point=action.commit_point,
                failures=tuple(f"{each.when} {each.leaves} {each.then}" for each in action.failures),
            )
            for action in catalogue().values()
        )
    )


def _requests(call: Call) -> Requests:
    return call.access.requests(*_page(call))


def _page(call: Call) -> tuple[int | None, int]:
    """Return below which number a page ends, and how much it holds at most."""
    before = _number(call, "before", 0) if "before" in call.query else None
    return before, max(1, min(_number(call, "limit", PAGE_RECORDS), PAGE_RECORDS_MAX))


def _search(call: Call) -> Found:
    call.access.require(Right.READ_AUDIT)
    for name in call.query:
        if name not in (*QUERY, "before", "limit"):
            raise QueryMalformed(f"there is nothing called {name} to search by", field=name)
    values = {name: value for name, value in call.query.items() if name in QUERY}
    for name in ("since", "until"):
        values[name] = required_instant(values.get(name, ""), name)
    return call.access.search(Query(**values), *_page(call))


def _entry(call: Call) -> ProvenEntry:
    call.access.require(Right.READ_AUDIT)
    text = call.path["sequence"]
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise QueryMalformed("a record's number is a number", field="sequence")
    return call.access.entry(int(text))


def _decision(call: Call) -> Decision:
    return call.access.decision(call.path["request"], sensitive=_sensitive(call))


def _evidence(call: Call) -> Evidence:
    return call.access.evidence(call.path["request"])


def _replay(call: Call) -> Replayed:
    return call.access.replay(call.path["request"])


def _timeline(call: Call) -> Timeline:
    count = min(_number(call, "records", TIMELINE_RECORDS), RECORDS_MAX)
    term = _number(call, "term", 0) if "term" in call.query else None
    node = call.query.get("node")
    return call.access.timeline(node, term, count, sensitive=_sensitive(call))


def _snapshot(call: Call) -> AsOf:
    return call.access.status_as_of(call.path["digest"], sensitive=_sensitive(call))


def _records(call: Call) -> Records:
    call.access.require(Right.READ_AUDIT)
    start, count = (_number(call, name, default) for name, default in (("start", 0), ("count", RECORDS_MAX)))
    return call.access.records(start, min(count, RECORDS_MAX))


def _compare(call: Call) -> Compared:
    if "seen" not in call.query:
        return call.access.compare(Shown(checkpoints={}))
    try:
        shown = from_base64(call.query["seen"], URLSAFE)
    except ValueError as error:
        raise QueryMalformed("what was seen is not in base64url", field="seen") from error
    return call.access.compare(canonical.decode(shown, Shown))


def _gap(call: Call) -> GapFound:
    return call.access.gap()


def _begin(call: Call) -> CreationOptions:
    return call.access.begin_registration()


def _register(call: Call) -> Authenticator:
    return call.access.finish_registration(canonical.decode(call.body, Register).response)


def _authenticators(call: Call) -> AuthenticatorList:
    return AuthenticatorList(authenticators=call.access.authenticators())


def _number(call: Call, name: str, default: int) -> int:
    text = call.query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise QueryMalformed(f"{name} is not a number", field=name)
    return int(text)


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One row of the table. `takes` is the body's type; `gives` the answer's."""

    method: str
    path: str
    summary: str
    gives: type
    answer: Callable[[Call], Any]
    takes: type | None = None
    query: tuple[str, ...] = ()
    keyed: bool = False


ENDPOINTS = (
    Endpoint(
        method="POST", path="/v1/requests", summary="Ask for one action, once; returns its plan.", takes=Ask,
        gives=Planned, answer=_ask, keyed=True,
    ),
    Endpoint(
        method="POST", path="/v1/requests/{request}/confirmation", takes=Confirm, gives=Done, answer=_confirm,
        summary="Confirm a plan by a signature or an assertion over its exact bytes; runs it, and returns the outcome.",
    ),
    Endpoint(
        method="POST", path="/v1/requests/{request}/signature", takes=Confirm, gives=RequestLine, answer=_sign_first,
        summary="Sign a plan of one's own first, where a second person must sign it too; runs nothing.",
    ),
    Endpoint(
        method="POST", path="/v1/requests/{request}/decline", gives=RequestLine, answer=_decline,
        summary="Let a plan go unconfirmed, for good; runs nothing.",
    ),
    Endpoint(
        method="POST", path="/v1/requests/{request}/outcome", gives=Done, answer=_outcome,
        summary="Ask the agent what became of a confirmed request; runs nothing.",
    ),
    Endpoint(
        method="GET", path="/v1/requests", summary="List the requests, the newest first.", gives=Requests,
        answer=_requests, query=("before", "limit"),
    ),
    Endpoint(
        method="GET", path="/v1/requests/{request}", summary="Everything that the log holds of one request.",
        gives=Decision, answer=_decision, query=("sensitive",),
    ),
    Endpoint(
        method="GET", path="/v1/requests/{request}/evidence", gives=Evidence, answer=_evidence,
        summary="Everything about one request, in one file that proves itself; the reading is recorded.",
    ),
    Endpoint(
        method="GET", path="/v1/requests/{request}/replay", gives=Replayed, answer=_replay,
        summary="Compute a plan again from its recorded snapshot, and compare the bytes.",
    ),
    Endpoint(
        method="GET", path="/v1/status", summary="The cluster now, and what would be accepted.", gives=Status,
        answer=_status, query=("sensitive",),
    ),
    Endpoint(
        method="GET", path="/v1/explain", summary="The plan that a request would have now; records nothing.",
        gives=Planned, answer=_explain, query=("action", "target"),
    ),
    Endpoint(
        method="GET", path="/v1/procedures/{procedure}", gives=Procedure, answer=_procedure,
        summary="The requests of a procedure in order, each as far as it can be judged; asks for nothing.",
        query=(*dict.fromkeys(part.name for kind in KINDS.values() for part in kind.parts), "reason"),
    ),
    Endpoint(
        method="GET", path="/v1/snapshots/{digest}", gives=AsOf, answer=_snapshot, query=("sensitive",),
        summary="A recorded snapshot, and what would have been accepted then.",
    ),
    Endpoint(
        method="GET", path="/v1/timeline", gives=Timeline, answer=_timeline,
        summary="What every node saw change and every record of the log, in one order.",
        query=("node", "term", "records", "sensitive"),
    ),
    Endpoint(method="GET", path="/v1/catalogue", summary="The closed catalogue.", gives=Catalogue, answer=_catalogue),
    Endpoint(
        method="GET", path="/v1/configurations", summary="The chain of configurations, with what proves each version.",
        gives=Configurations, answer=_configurations,
    ),
    Endpoint(method="GET", path="/v1/cluster", summary="The configuration.", gives=Cluster, answer=_cluster),
    Endpoint(
        method="POST", path="/v1/sessions", gives=Ticket, answer=_ticket,
        summary="Return a ticket that signs the caller in to the admin UI, once.",
    ),
    Endpoint(
        method="GET", path="/v1/sessions", gives=SignedIn, answer=_signed_in,
        summary="List the caller's sessions in the admin UI; everyone's, where the caller may end them.",
    ),
    Endpoint(
        method="POST", path="/v1/sessions/{session}/end", gives=SessionLine, answer=_end_session,
        summary="End a session in the admin UI: one's own, or somebody else's.",
    ),
    Endpoint(method="GET", path="/v1/whoami", summary="The caller.", gives=WhoAmI, answer=_whoami),
    Endpoint(
        method="POST", path="/v1/authenticators/registration", gives=CreationOptions, answer=_begin,
        summary="Begin to register an authenticator; returns what the browser needs.",
    ),
    Endpoint(
        method="POST", path="/v1/authenticators", takes=Register, gives=Authenticator, answer=_register,
        summary="Finish the registration; the credential then awaits its enrolment.",
    ),
    Endpoint(
        method="GET", path="/v1/authenticators", gives=AuthenticatorList, answer=_authenticators,
        summary="All authenticators: enrolled, revoked, and pending.",
    ),
    Endpoint(
        method="GET", path="/v1/audit/records", summary="Records of the log.", gives=Records, answer=_records,
        query=("start", "count"),
    ),
    Endpoint(
        method="GET", path="/v1/audit/comparison", gives=Compared, answer=_compare, query=("seen",),
        summary="Show checkpoints that were seen; returns the proof that the log extends each, or none.",
    ),
    Endpoint(
        method="GET", path="/v1/audit/gap", gives=GapFound, answer=_gap,
        summary="What nodes hold, of the log and of requests, that the log lacks.",
    ),
    Endpoint(
        method="GET", path="/v1/audit/records/{sequence}", summary="One record of the log, and its proof.",
        gives=ProvenEntry, answer=_entry,
    ),
    Endpoint(
        method="GET", path="/v1/audit/search", summary="Search the log's records, the newest first.", gives=Found,
        answer=_search, query=(*QUERY, "before", "limit"),
    ),
)  # fmt: skip
