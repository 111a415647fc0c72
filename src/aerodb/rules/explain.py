"""Explanation: makes a plan's bytes from a snapshot, a request and the configuration.

- The same three inputs give the same bytes, under any hash seed, time zone and locale.
- A plan is accepted only if every verdict holds; unknown counts as no.
- The agent judges again with `view_of` and the action's own `judge`: the same functions in two places.

Pure: no I/O, no clock.
"""

import re
import unicodedata

from msgspec.structs import replace

from aerodb.errors import AeroError
from aerodb.protocol import canonical
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import Facts
from aerodb.protocol.plan import LaterPlan, Plan, Request, Snapshot, Verdict
from aerodb.protocol.signed import Signed
from aerodb.rules.ahead import AGREED, earlier_of, foreseen, foreseen_writes, judged, sequence_notes
from aerodb.rules.arguments import Given, RequestMalformed, check_argument
from aerodb.rules.charge import loss_in_charge, notes_in_charge
from aerodb.rules.foresight import now_said
from aerodb.rules.invariants import RULES
from aerodb.rules.second import second_notes
from aerodb.rules.specification import Action
from aerodb.rules.versions import untaken
from aerodb.rules.view import Peer, View, open_report, peer_of

REQUEST_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
REASON_CHARACTERS_MAX = 500
LOOK_ID = "00000000-0000-0000-0000-000000000000"
"""The id for plans that are only looked at; no request may use it."""


class TargetSilent(AeroError):
    """The target did not report, so nothing can be judged."""

    code = "transport.target-silent"
    status = 503
    title = "The target did not report"


def check_request(cluster: Cluster, action: Action, request: Request) -> None:
    """Refuse a request that is not well formed, before anything is looked at.

    Raises:
        RequestMalformed, ArgumentMalformed, MarkMalformed, StepMalformed: naming the field.
        NodeUnknown: there is no such node.
    """
    cluster.member(request.target)
    check_id(request.id)
    _check_reason(request.reason)
    wanted = {argument.name: argument for argument in action.arguments}
    for name in request.arguments:
        if name not in wanted:
            raise RequestMalformed(f"{action.name} takes no argument {name!r}", field=f"arguments.{name}")
    for name, argument in wanted.items():
        if name not in request.arguments and argument.optional:
            continue
        if name not in request.arguments:
            raise RequestMalformed(f"{action.name} needs {argument.option}: {argument.help}", field=f"arguments.{name}")
        text = request.arguments[name]
        check_argument(Given(argument=argument, text=text, action=action.name, target=request.target, cluster=cluster))


def check_id(request: str) -> None:
    """Refuse a text that does not have the form of an id, so that an id cannot be anything else, such as a path.

    Raises:
        RequestMalformed: it does not.
    """
    if not REQUEST_ID.fullmatch(request):
        raise RequestMalformed("a request's id is a UUID in lower case", field="id")


def check_usable(request: str) -> None:
    """Refuse a text that cannot be the id of an executed request: it is malformed, or the id for looking.

    Raises:
        RequestMalformed: it cannot.
    """
    check_id(request)
    if request == LOOK_ID:
        raise RequestMalformed("that id is for looking; no request may use it", field="id")


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise RequestMalformed("a request needs a reason, in the operator's words", field="reason")
    if len(reason) > REASON_CHARACTERS_MAX:
        raise RequestMalformed(f"a reason has at most {REASON_CHARACTERS_MAX} characters", field="reason")
    if not unicodedata.is_normalized("NFC", reason):
        raise RequestMalformed("the reason is not in Unicode normal form C", field="reason")


def peers_of(cluster: Cluster, reports: dict[str, Signed], nonce: str) -> dict[str, Peer]:
    """Return the verified statements in `reports`, by node, in the configuration's order.

    Raises:
        NodeUnknown, ReportForged, ReportStale, ClusterForeign, PledgeForged: a report is not what it says.
    """
    for name in reports:
        cluster.member(name)
    return {
        member.name: open_report(cluster, member.name, reports[member.name], nonce)
        for member in cluster.members
        if member.name in reports
    }


def view_of(cluster: Cluster, request: Request, own: Facts, reports: dict[str, Signed], nonce: str, term: int) -> View:
    """Return the view on which to judge `request` in its plan's term; the reports are verified here.

    Raises:
        NodeUnknown, ReportForged, ReportStale, ClusterForeign, PledgeForged: a report is not what it says.
    """
    peers = {name: peer for name, peer in peers_of(cluster, reports, nonce).items() if name != request.target}
    return View(cluster=cluster, request=request, own=peer_of(cluster, own), peers=peers, term=term)


def opened_view(
    cluster: Cluster, action: Action, request: Request, everyone: dict[str, Peer], snapshot: Snapshot
) -> View:
    """Return the view for a new plan; `everyone` are the snapshot's reports, which `peers_of` has verified.

    Raises:
        TargetSilent: the target is not in the snapshot.
    """
    refuse_silent(request, snapshot)
    peers = {name: peer for name, peer in everyone.items() if name != request.target}
    view = View(cluster=cluster, request=request, own=everyone[request.target], peers=peers, term=0)
    return replace(view, term=action.term(view))


def refuse_silent(request: Request, snapshot: Snapshot) -> None:
    """Refuse a request whose target is not in the snapshot.

    Raises:
        TargetSilent: the target is not in it.
    """
    if request.target not in snapshot.reports:
        why = snapshot.missing.get(request.target, "it is not in the snapshot")
        raise TargetSilent(f"{request.target} did not report: {why}", field="target")


def _filled(templates: tuple[str, ...], view: View) -> tuple[str, ...]:
    words = {**view.request.arguments, "node": view.node, "term": str(view.term)}
    return tuple(template.format_map(words) for template in templates)


def explain(cluster: Cluster, action: Action, request: Request, snapshot: Snapshot) -> Plan:
    """Return the sealed plan of `request` from `snapshot`, whose reports are verified here.

    Raises:
        RequestMalformed, NodeUnknown: the request is not well formed.
        TargetSilent: the target is not in the snapshot.
        ReportForged, ReportStale, ClusterForeign, PledgeForged: a report is not what it says.
    """
    check_request(cluster, action, request)
    refuse_silent(request, snapshot)
    everyone = peers_of(cluster, snapshot.reports, snapshot.nonce)
    return explain_unsafe(cluster, action, request, snapshot, everyone)


def explain_unsafe(
    cluster: Cluster, action: Action, request: Request, snapshot: Snapshot, everyone: dict[str, Peer]
) -> Plan:
    """Return the sealed plan of `request` from `snapshot`; nothing is verified: its reports must say `everyone`.

    Its only legal callers have just verified those very reports: `control/explain.py`, which collected them, by
    `audit/checks.py`, whose callers did; `control/veil.py`, which took out what is sensitive and signs nothing.

    Raises:
        RequestMalformed, NodeUnknown: the request is not well formed.
        TargetSilent: the target is not in the snapshot.
    """
    check_request(cluster, action, request)
    now = opened_view(cluster, action, request, everyone, snapshot)
    ahead = foreseen(now, action)
    verdicts, view = judged(now, action, ahead), (ahead.view if ahead else None) or now
    everybody = {name: peer.facts for name, peer in now.everyone().items()}
    silent = tuple(f"{name} did not report: {why}" for name, why in sorted(snapshot.missing.items()))
    form = LaterPlan if ahead else Plan
    return form(
        rules=RULES,
        cluster=cluster.id,
        cluster_name=cluster.name,
        configuration=cluster.digest,
        snapshot=canonical.digest(canonical.encode(snapshot)),
        request=request,
        term=view.term,
        accepted=all(verdict.result in AGREED for verdict in verdicts),
        title=_filled((action.title,), view)[0],
        effects=_filled(action.effects, view),
        irreversible=_filled(action.irreversible, view),
        notes=(
            *_writes(now, view, action),
            *sequence_notes(view),
            *notes_in_charge(action, view),
            *second_notes(view, action),
            *untaken(everybody),
            *silent,
        ),
        loss=loss_in_charge(action, view),
        commit_point=_filled((action.commit_point,), view)[0],
        failures=tuple(
            " ".join(_filled((failure.when, failure.leaves, failure.then), view)) for failure in action.failures
        ),
        verdicts=verdicts,
        reports={name: signed.digest for name, signed in sorted(snapshot.reports.items()) if name != request.target},
    ).sealed()


def _writes(now: View, view: View, action: Action) -> tuple[str, ...]:
    """Return what a plan says of the writes, of the state of now, or of the one that is foreseen."""
    earlier = earlier_of(view.request)
    if view is now or earlier is None:
        return action.writes(view)
    return foreseen_writes(now_said(now), earlier, action.writes(view))


def verdict_changes(planned: tuple[Verdict, ...], now: tuple[Verdict, ...]) -> tuple[Verdict, ...]:
    """Return the verdicts of `now` that do not hold, or whose result differs from the plan's."""
    before = {verdict.invariant: verdict.result for verdict in planned}
    return tuple(
        verdict
        for verdict in now
        if verdict.result not in AGREED or before.get(verdict.invariant) is not verdict.result
    )


def failed(verdicts: tuple[Verdict, ...]) -> tuple[str, ...]:
    """Return the invariants among `verdicts` that do not hold."""
    return tuple(verdict.invariant for verdict in verdicts if verdict.result not in AGREED)
